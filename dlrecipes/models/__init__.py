"""Model builders: functions that return an uncompiled `keras.Model`."""

from dlrecipes.models.tagger import tagger

__all__ = ["tagger"]
