"""Stored tensors are read without TensorFlow."""

import base64
import zlib

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.stored_tensors import read_array

# More bytes than one byte of a length can count.
LONG = b"\x89PNG" + bytes(range(256)) * 100


def stored(array, compress=True):
    tensor = tf.constant(array)
    message = tf.io.serialize_tensor(tensor).numpy()
    content = base64.b64encode(zlib.compress(message) if compress else message).decode()
    return f"{content}:{tensor.dtype.name}"


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(600, dtype="float32").reshape(2, 300),
        np.zeros((0, 3), "uint8"),
        np.array(-7, "int64"),
        np.array([True, False]),
        np.array([[b"", LONG], ["明月".encode(), b"x"]], object),
        np.array(b"alone", object),
        np.zeros((2, 0), object),
    ],
    ids=["floats", "no rows", "number", "booleans", "strings", "string", "no strings"],
)
def test_a_stored_array_is_read_as_it_was(array, compress):
    read = read_array(stored(array if array.size else tf.zeros(array.shape, kind(array)), compress))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    assert read.shape == array.shape


def kind(array):
    return tf.string if array.dtype == object else array.dtype


@pytest.mark.parametrize("damage", ["cut", "compressed part cut", "not base64", "unknown type"])
def test_a_damaged_tensor_is_refused(damage):
    message = tf.io.serialize_tensor(tf.constant([LONG])).numpy()
    contents = {
        "cut": base64.b64encode(message[:-1]).decode() + ":string",
        "compressed part cut": base64.b64encode(zlib.compress(message)[:-9]).decode() + ":string",
        "not base64": "x:string",
        # The type of its first field is one that no tensor has.
        "unknown type": base64.b64encode(b"\x0d" + message).decode() + ":string",
    }
    with pytest.raises(ValueError, match=r"damaged|padding|base64"):
        read_array(contents[damage])
