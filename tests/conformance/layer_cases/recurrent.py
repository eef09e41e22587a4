"""Recurrent cells inside `keras.layers.RNN`, and recurrent layers."""

import keras
from contract import LayerCase

from dlrecipes import layers


def recurrent(cell, **kwargs):
    return lambda **more: keras.layers.RNN(cell(**kwargs, **more), return_sequences=True, **more)


def sequences(layer):
    return lambda **more: layer(4, return_sequences=True, **more)


def itself(layer):
    return layer


CASES = {
    "LSTM": LayerCase(sequences(layers.LSTM), public=itself, masked=True),
    "PeepholeLSTM": LayerCase(sequences(layers.PeepholeLSTM), public=itself, masked=True),
    "SimpleRNN": LayerCase(sequences(layers.SimpleRNN), public=itself, masked=True),
    "JordanCell": LayerCase(recurrent(layers.JordanCell, units=4, output_units=2), masked=True),
    "PeepholeLSTMCell": LayerCase(recurrent(layers.PeepholeLSTMCell, units=4), masked=True),
}
