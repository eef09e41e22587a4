"""Examples of Keras models: arrays of the inputs' types, with the same values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlrecipes.errors import UsageError
from dlrecipes.export.signatures import exports_from_model


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "int32", "float16", "float64"])
def test_inputs_keep_their_type(dtype):
    x = keras.Input((3,), dtype=dtype, name="x")
    model = keras.Model(x, layers.Rescaling(0.5, name="y")(x))
    values = np.array([[1, 0, 1], [0, 1, 1]])
    signature = exports_from_model(model, values).signatures["serving_default"]
    assert signature.inputs[0].dtype.name == dtype
    assert signature.examples[0][0].dtype == dtype
    np.testing.assert_allclose(signature.expected["y"], 0.5 * values)


def uint8_model():
    x = keras.Input((3,), dtype="uint8", name="x")
    return keras.Model(x, layers.Rescaling(1 / 255)(x))


@pytest.mark.parametrize("value", [300, -1, 0.5, np.nan])
def test_examples_that_the_type_cannot_hold_are_rejected(value):
    with pytest.raises(UsageError, match="some values are not of uint8"):
        exports_from_model(uint8_model(), np.full((2, 3), value))


def test_examples_that_are_texts_or_not_arrays_are_rejected():
    with pytest.raises(UsageError, match=r"array of uint8 .*: some are texts"):
        exports_from_model(uint8_model(), np.array([["1", "2", "3"]]))
    with pytest.raises(UsageError, match="x: expected at least one example"):
        exports_from_model(uint8_model(), tf.data.Dataset.from_tensors(np.ones((2, 3))))
