"""Training loops: `keras.Model` subclasses whose `train_step` is the algorithm."""

from dlrecipes.training.checkpoints import Checkpoints
from dlrecipes.training.divergence import StopOnDivergence
from dlrecipes.training.sequence_tagger import SequenceTagger
from dlrecipes.training.supervised import SupervisedTrainer
from dlrecipes.training.trainer import Trainer

__all__ = ["Checkpoints", "SequenceTagger", "StopOnDivergence", "SupervisedTrainer", "Trainer"]
