"""Small networks for the tests of GANs."""

import keras
import numpy as np

X = np.array([[1.0], [-3.0], [0.5], [2.0]], "float32")


class Spy(keras.layers.Layer):
    """Returns its inputs; in eager mode it records them, and whether it is training."""

    def __init__(self, seen):
        super().__init__()
        self.note = seen.append

    def call(self, inputs, training=None):
        self.note((np.array(inputs), training))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def conditional(main, outputs, seen=None, units=16):
    inputs = {main: keras.Input((1,), name=main), "label": keras.Input((), name="label")}
    label = inputs["label"][:, None]
    if seen is not None:
        label = Spy(seen)(label)
    x = keras.layers.Concatenate()([inputs[main], label])
    x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def plain(inputs=1, outputs=1):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])
