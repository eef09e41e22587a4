"""Oracles of keras-tuner, which choose the trials, with state that survives a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from dlrecipes._utils.files import atomic_write
from dlrecipes.tuning.spec import SearchSpec, hyperparameters


class AtomicState:
    """Makes an oracle write its state atomically: it may be killed at any time."""

    # Methods of keras-tuner's Oracle.
    _get_oracle_fname: Callable[[], str]
    _get_trial_dir: Callable[[str], str]
    get_state: Callable[[], dict[str, Any]]

    def save(self) -> None:
        """Writes the oracle's state."""
        atomic_write(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial_: Any) -> None:
        path = Path(self._get_trial_dir(trial_.trial_id)) / "trial.json"
        atomic_write(path, json.dumps(trial_.get_state()))


class _Random(AtomicState, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Bayesian(AtomicState, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(AtomicState, keras_tuner.oracles.HyperbandOracle):
    pass


class _Grid(AtomicState, keras_tuner.oracles.GridSearchOracle):
    pass


ORACLES = {"random": _Random, "bayesian": _Bayesian, "hyperband": _Hyperband, "grid": _Grid}


def make_oracle(spec: SearchSpec) -> Any:
    """Returns the oracle that chooses a search's trials."""
    shared = {
        "objective": keras_tuner.Objective(*spec.objective),
        "hyperparameters": hyperparameters(spec),
        "allow_new_entries": True,
        "tune_new_entries": True,
        # Impossible architectures must not end a search.
        "max_consecutive_failed_trials": 10**6,
    }
    if spec.tuner == "hyperband":
        return ORACLES["hyperband"](max_epochs=spec.epochs, seed=spec.seed + 1, **shared)
    if spec.tuner == "bayesian":
        # keras-tuner's default, three per setting, exceeds most searches.
        shared["num_initial_points"] = max(2, min(3 * len(spec.space), spec.trials // 3))
    # keras-tuner takes seed 0 for no seed.
    return ORACLES[spec.tuner](max_trials=spec.trials, seed=spec.seed + 1, **shared)
