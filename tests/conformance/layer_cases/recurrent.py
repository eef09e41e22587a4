"""Recurrent cells, within `keras.layers.RNN`."""

import keras
from contract import LayerCase

from dlrecipes import layers


def recurrent(cell, **kwargs):
    return lambda **more: keras.layers.RNN(cell(**kwargs, **more), return_sequences=True, **more)


CASES = {
    "JordanCell": LayerCase(recurrent(layers.JordanCell, units=4, output_units=2), masked=True),
    "PeepholeLSTMCell": LayerCase(recurrent(layers.PeepholeLSTMCell, units=4), masked=True),
}
