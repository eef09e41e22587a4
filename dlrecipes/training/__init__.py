"""Training loops: `keras.Model` subclasses whose `train_step` is the algorithm."""

# Not a trainer: the random numbers of a loop of one's own.
from dlrecipes.training._engine import stateless_random as stateless_random
from dlrecipes.training.activation_maximization import (
    TopImages,
    preferred_images,
    top_images,
)
from dlrecipes.training.back_propagation import BackPropagation
from dlrecipes.training.bptt import TruncatedBPTT
from dlrecipes.training.callbacks.averaged_weights import AveragedWeights
from dlrecipes.training.callbacks.checkpoints import Checkpoints
from dlrecipes.training.callbacks.early_stopping import StopOnGeneralizationGap, StopOnPlateau
from dlrecipes.training.callbacks.freeze_features import FreezeFeatures
from dlrecipes.training.callbacks.magnitude_pruning import MagnitudePruning
from dlrecipes.training.callbacks.quantization_aware_training import QuantizationAwareTraining
from dlrecipes.training.callbacks.stop_on_divergence import StopOnDivergence
from dlrecipes.training.carried_state import CarriedState
from dlrecipes.training.character_language_model import CharacterLanguageModel
from dlrecipes.training.contrastive_divergence import ContrastiveDivergence
from dlrecipes.training.cyclegan import CycleGAN
from dlrecipes.training.distillation import Distillation
from dlrecipes.training.faster_rcnn import FasterRCNN
from dlrecipes.training.gan import GAN
from dlrecipes.training.global_search.base import GlobalSearch, SearchResult
from dlrecipes.training.global_search.evolutionary import EvolutionarySearch
from dlrecipes.training.global_search.random_perturbation import RandomPerturbation
from dlrecipes.training.global_search.restarts import Restarts
from dlrecipes.training.global_search.simulated_annealing import SimulatedAnnealing
from dlrecipes.training.grad_cam import GradCAM, grad_cam
from dlrecipes.training.gradient_by_lag import gradient_by_lag
from dlrecipes.training.image_classifier import ImageClassifier
from dlrecipes.training.image_pool import ImagePool
from dlrecipes.training.perceptron_rule import PerceptronRule
from dlrecipes.training.pix2pix import Pix2Pix
from dlrecipes.training.pretraining import pretrain
from dlrecipes.training.quantization_aware import quantization_aware
from dlrecipes.training.schedules import LinearDecay, ScheduleSequence, learning_rate_schedule
from dlrecipes.training.sequence_tagger import SequenceTagger
from dlrecipes.training.supervised import SupervisedTrainer
from dlrecipes.training.trainer import Trainer
from dlrecipes.training.triplet_embedding import TripletEmbedding
from dlrecipes.training.weight_decay import decayed_error

__all__ = [
    "GAN",
    "AveragedWeights",
    "BackPropagation",
    "CarriedState",
    "CharacterLanguageModel",
    "Checkpoints",
    "ContrastiveDivergence",
    "CycleGAN",
    "Distillation",
    "EvolutionarySearch",
    "FasterRCNN",
    "FreezeFeatures",
    "GlobalSearch",
    "GradCAM",
    "ImageClassifier",
    "ImagePool",
    "LinearDecay",
    "MagnitudePruning",
    "PerceptronRule",
    "Pix2Pix",
    "QuantizationAwareTraining",
    "RandomPerturbation",
    "Restarts",
    "ScheduleSequence",
    "SearchResult",
    "SequenceTagger",
    "SimulatedAnnealing",
    "StopOnDivergence",
    "StopOnGeneralizationGap",
    "StopOnPlateau",
    "SupervisedTrainer",
    "TopImages",
    "Trainer",
    "TripletEmbedding",
    "TruncatedBPTT",
    "decayed_error",
    "grad_cam",
    "gradient_by_lag",
    "learning_rate_schedule",
    "preferred_images",
    "pretrain",
    "quantization_aware",
    "top_images",
]
