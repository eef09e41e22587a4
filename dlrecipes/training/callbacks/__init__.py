"""Keras callbacks: checkpoints that resume bit for bit, early stopping, pruning, snapshots."""

from dlrecipes.training.callbacks.averaged_weights import AveragedWeights
from dlrecipes.training.callbacks.checkpoints import Checkpoints
from dlrecipes.training.callbacks.early_stopping import StopOnGeneralizationGap, StopOnPlateau
from dlrecipes.training.callbacks.freeze_features import FreezeFeatures
from dlrecipes.training.callbacks.magnitude_pruning import MagnitudePruning
from dlrecipes.training.callbacks.quantization_aware_training import QuantizationAwareTraining
from dlrecipes.training.callbacks.snapshots import Snapshots
from dlrecipes.training.callbacks.stop_on_divergence import StopOnDivergence

__all__ = [
    "AveragedWeights",
    "Checkpoints",
    "FreezeFeatures",
    "MagnitudePruning",
    "QuantizationAwareTraining",
    "Snapshots",
    "StopOnDivergence",
    "StopOnGeneralizationGap",
    "StopOnPlateau",
]
