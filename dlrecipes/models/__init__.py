"""Model builders: functions that return an uncompiled `keras.Model`."""

from dlrecipes.models.ensemble import ensemble
from dlrecipes.models.tagger import tagger

__all__ = ["ensemble", "tagger"]
