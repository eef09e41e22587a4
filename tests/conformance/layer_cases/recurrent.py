"""Recurrent cells, within `keras.layers.RNN`, and recurrent layers."""

import keras
from contract import LayerCase

from dlrecipes import layers


def recurrent(cell, **kwargs):
    return lambda **more: keras.layers.RNN(cell(**kwargs, **more), return_sequences=True, **more)


CASES = {
    **{
        name: LayerCase(
            lambda kind=getattr(layers, name), **more: kind(4, return_sequences=True, **more),
            public=lambda layer: layer,
            masked=True,
        )
        for name in ("LSTM", "PeepholeLSTM", "SimpleRNN")
    },
    "JordanCell": LayerCase(recurrent(layers.JordanCell, units=4, output_units=2), masked=True),
    "PeepholeLSTMCell": LayerCase(recurrent(layers.PeepholeLSTMCell, units=4), masked=True),
}
