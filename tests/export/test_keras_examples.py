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


def test_examples_that_are_texts_are_rejected():
    with pytest.raises(UsageError, match=r"array of uint8 .*: some are texts"):
        exports_from_model(uint8_model(), np.array([["1", "2", "3"]]))


@pytest.mark.parametrize(
    ("examples", "hint"),
    [
        (tf.data.Dataset.from_tensors(np.ones((2, 3))), "one batch"),
        ((x for x in [np.ones((2, 3))]), "one batch"),
        ("x.npy", "an array of the model's inputs"),
        (keras.Sequential(), "an array of the model's inputs"),
    ],
)
def test_examples_that_are_not_arrays_are_named_by_their_type(examples, hint):
    with pytest.raises(UsageError, match=f"of type {type(examples).__name__}.* {hint}"):
        exports_from_model(uint8_model(), examples)


def test_a_list_of_numbers_or_texts_is_one_array():
    def shape(shape, examples, dtype="uint8"):
        x = keras.Input(shape, dtype=dtype, name="x")
        layer = layers.Hashing(3) if dtype == "string" else layers.Rescaling(2)
        exports = exports_from_model(keras.Model(x, layer(x)), examples)
        return exports.signatures["serving_default"].examples[0][0].shape

    assert shape((3,), [[1, 2, 3], [4, 5, 6]]) == (2, 3)
    assert shape((3,), [[1, 2, 3]]) == (1, 3)
    assert shape((3,), [[[1, 2, 3], [4, 5, 6]]]) == (2, 3)
    assert shape((), ["a", "b"], "string") == (2,)
    assert shape((), ["a"], "string") == (1,)
    # A last axis of size 1 may be missing, or be too many, as in Keras.
    assert shape((1,), np.array([1, 2])) == (2, 1)
    assert shape((1,), ["a", "b"], "string") == (2, 1)
    assert shape((2, 2), np.ones((4, 2, 2, 1))) == (4, 2, 2)


def test_inputs_and_labels_are_not_two_inputs():
    with pytest.raises(UsageError, match=r"expected 1 array of examples, for x, got 2.*no labels"):
        exports_from_model(uint8_model(), (np.ones((2, 3)), np.ones(2)))


def test_the_columns_of_a_table_are_inputs_by_name():
    pandas = pytest.importorskip("pandas")
    inputs = {name: keras.Input((1,), name=name) for name in "ab"}
    model = keras.Model(inputs, layers.Subtract(name="y")([inputs["a"], inputs["b"]]))
    table = pandas.DataFrame({"b": [1.0, 2.0], "a": [5.0, 8.0]})
    signature = exports_from_model(model, table).signatures["serving_default"]
    np.testing.assert_allclose(signature.expected["y"], [[4], [6]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3), 1e39), "larger than 3.4e"),
        (np.ones((2, 3)) * 1j, "of type complex128"),
        (np.full((2, 3), "2024-01-01", "datetime64[D]"), "of type datetime64"),
    ],
)
def test_values_that_floats_cannot_hold_are_rejected(values, message):
    model = keras.Sequential([keras.Input((3,), name="x"), layers.Rescaling(2)])
    with pytest.raises(UsageError, match=message):
        exports_from_model(model, values)


@pytest.mark.parametrize(("value", "hint"), [(np.nan, "contain NaN"), (3e38, "overflows")])
def test_examples_on_which_nothing_can_be_compared_are_rejected(value, hint):
    model = keras.Sequential([keras.Input((3,), name="x"), layers.Rescaling(2, name="y")])
    with pytest.raises(UsageError, match=f"the output y is NaN or infinite on all.*{hint}"):
        exports_from_model(model, np.full((2, 3), value))
