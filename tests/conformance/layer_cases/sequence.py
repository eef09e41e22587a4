"""Recurrent cells that contain other cells."""

import keras
from contract import LayerCase

from dlrecipes import layers


def feedback(**kwargs):
    cells = [keras.layers.LSTMCell(4, **kwargs), layers.PeepholeLSTMCell(3, **kwargs)]
    cell = layers.FeedbackCell(cells, output_units=2, **kwargs)
    return keras.layers.RNN(cell, return_sequences=True, **kwargs)


CASES = {"FeedbackCell": LayerCase(feedback, masked=True)}
