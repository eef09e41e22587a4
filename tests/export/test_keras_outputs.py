"""Outputs of Keras models: all of them, by unique names."""

from collections import namedtuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlrecipes.errors import UsageError
from dlrecipes.export.keras_outputs import named_outputs, output_layers

A, B, C = (tf.constant([float(k)]) for k in range(3))
Moments = namedtuple("Moments", ["mean", "variance"])


@pytest.mark.parametrize(
    ("results", "layers", "expected"),
    [
        (A, None, {"output_0": A}),
        (A, ["dense"], {"dense": A}),
        ([A, B, C], ["lstm"] * 3, {"lstm": A, "lstm_1": B, "lstm_2": C}),
        ((A, [B, C]), None, {"output_0": A, "output_1_0": B, "output_1_1": C}),
        ({"heads": [A, B], "z": {"q": C}}, ["d", "d", "e"], {"heads_0": A, "heads_1": B, "z_q": C}),
        ({"heads": [A], "heads_0": B}, None, {"heads_0": A, "heads_0_1": B}),
        ([{"u": A}, B], ["d", "e"], {"output_0_u": A, "e": B}),
        ({0: A, 1: B}, None, {"output_0": A, "output_1": B}),
        (Moments(A, B), None, {"mean": A, "variance": B}),
        ({"a": A, "b": None}, None, {"a": A}),
    ],
)
def test_every_tensor_of_a_structure_has_a_name(results, layers, expected):
    named = named_outputs("net", results, layers)
    assert list(named) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(named[name], tensor)


def test_numbers_and_texts_are_outputs():
    named = named_outputs("net", {"n": 3, "x": 2.5, "flag": True, "text": "é", "row": np.ones(2)})
    assert {name: value.dtype.name for name, value in named.items()} == {
        "flag": "bool",
        "n": "int32",
        "row": "float64",
        "text": "string",
        "x": "float32",
    }


def test_keys_that_are_numbers_are_the_same_in_a_keras_file():
    # The file's configuration is JSON, whose keys are texts.
    for keys in ((0, 1, 2), ("0", "1", "2")):
        results = {keys[0]: A, keys[1]: {keys[2]: B}}
        assert list(named_outputs("net", results, ["d", "e"])) == ["output_0", "output_1_2"]


def test_ragged_and_sparse_outputs_are_dense():
    ragged = tf.ragged.constant([[1, 2], [3]])
    sparse = tf.sparse.from_dense([[0, 5]])
    named = named_outputs("net", {"r": ragged, "s": sparse})
    assert {name: value.numpy().tolist() for name, value in named.items()} == {
        "r": [[1, 2], [3, 0]],
        "r_lengths": [2, 1],
        "s": [[0, 5]],
    }


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (None, "net: the model returns no tensors"),
        ({"o": object()}, "net: the output o is of type object, not a tensor"),
        ({"r": tf.ragged.constant([[[1], [2, 3]]])}, "net: the output r is ragged in 2 dimensions"),
    ],
)
def test_an_output_that_is_not_a_tensor_is_rejected(results, message):
    with pytest.raises(UsageError, match=message):
        named_outputs("net", results)


def test_generated_names_of_layers_do_not_depend_on_the_process():
    def names():
        x = keras.Input((4,))
        lstm = layers.LSTM(2, return_state=True)(x[:, None])
        heads = [layers.Dense(1)(x), layers.Conv2D(1, 1)(x[:, None, None]), x + 1, *lstm]
        tower = keras.Sequential([layers.Dense(1, name="dense_9")])
        named = [layers.Dense(1, name="score")(x), layers.Dense(1, name="dense_net")(x)]
        return output_layers(keras.Model(x, [*heads, tower(x), *named, x]))

    assert names() == names() == [None] * 7 + ["score", "dense_net", None]


def test_outputs_without_names_are_numbered_by_position():
    named = named_outputs("net", [A, B, C], [None, "score", None])
    assert list(named) == ["output_0", "score", "output_2"]
