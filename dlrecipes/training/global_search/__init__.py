"""Training that escapes local minima: restarts, perturbation, annealing, evolution."""

from dlrecipes.training.global_search.base import GlobalSearch, SearchResult
from dlrecipes.training.global_search.evolutionary import EvolutionarySearch
from dlrecipes.training.global_search.random_perturbation import RandomPerturbation
from dlrecipes.training.global_search.restarts import Restarts
from dlrecipes.training.global_search.simulated_annealing import SimulatedAnnealing

__all__ = [
    "EvolutionarySearch",
    "GlobalSearch",
    "RandomPerturbation",
    "Restarts",
    "SearchResult",
    "SimulatedAnnealing",
]
