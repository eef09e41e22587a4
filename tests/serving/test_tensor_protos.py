"""Arrays as TensorProto messages: each type has its field, and clients read back the array."""

import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving.tensor_protos import SLICE, from_proto, to_proto


@pytest.mark.parametrize(
    ("array", "field", "values"),
    [
        (np.float32([[1.5, -2], [0.25, 4]]), "float_val", [1.5, -2, 0.25, 4]),
        (np.float64([0.1, 1e300]), "double_val", [0.1, 1e300]),
        (np.int32([1, -2]), "int_val", [1, -2]),
        (np.int8([1, -2]), "int_val", [1, -2]),
        (np.uint8([1, 255]), "int_val", [1, 255]),
        (np.int16([1, -2]), "int_val", [1, -2]),
        (np.uint16([1, 65535]), "int_val", [1, 65535]),
        (np.int64([2**62, -1]), "int64_val", [2**62, -1]),
        (np.uint32([2**32 - 1]), "uint32_val", [2**32 - 1]),
        (np.uint64([2**64 - 1]), "uint64_val", [2**64 - 1]),
        (np.array([True, False]), "bool_val", [True, False]),
        (np.array([b"a", b"\xff"], object), "string_val", [b"a", b"\xff"]),
        # The bits of 1.0 in IEEE half precision, and in the upper half of single precision.
        (np.float16([1.0]), "half_val", [0x3C00]),
        (np.array([1.0], tf.bfloat16.as_numpy_dtype), "half_val", [0x3F80]),
        (np.complex64([1 + 2j]), "scomplex_val", [1, 2]),
        (np.complex128([1 + 2j]), "dcomplex_val", [1, 2]),
        (np.array(b"scalar", object), "string_val", [b"scalar"]),
        (np.zeros((0, 3), np.float32), "float_val", []),
        (np.float32([[1, 2], [3, 4]]).T, "float_val", [1, 3, 2, 4]),
    ],
)
def test_each_type_is_written_to_its_field(array, field, values):
    proto = to_proto(array)
    assert list(getattr(proto, field)) == values
    assert proto.tensor_content == b""
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    assert tf.make_ndarray(proto).shape == array.shape


def test_types_without_a_field_are_written_as_bytes():
    array = np.array([1.0, 2.0], tf.dtypes.experimental.float8_e5m2.as_numpy_dtype)
    np.testing.assert_array_equal(tf.make_ndarray(to_proto(array)), array)


@pytest.mark.parametrize(
    "kind",
    [
        "float32",
        "float64",
        "float16",
        "bfloat16",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "uint64",
        "bool",
        "complex64",
        "string",
    ],
)
def test_large_tensors_are_read_in_slices_as_tensorflow_reads_them(kind):
    dtype = tf.as_dtype(kind)
    numbers = np.arange(2 * (SLICE + 1)) % 100
    array = numbers.astype("S").astype(object) if kind == "string" else numbers
    array = array.astype(dtype.as_numpy_dtype).reshape(2, SLICE + 1)
    read = from_proto(to_proto(array))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    # Fewer values than elements: the last value stands for the rest.
    proto = to_proto(array)
    proto.tensor_shape.dim[0].size = 3
    np.testing.assert_array_equal(from_proto(proto), tf.make_ndarray(proto))
    proto.tensor_shape.dim[0].size = 1
    with pytest.raises(ValueError, match="reshape"):
        from_proto(proto)


def test_a_large_tensor_does_not_keep_other_threads_waiting():
    proto = to_proto(np.zeros(4_000_000, "float32"))
    # In one piece, other threads wait for the whole time. The machine may be busy once.
    assert min(longest_wait(lambda: from_proto(proto)) for _ in range(3)) < 0.5


def longest_wait(work):
    """Returns the share of the time of `work` for which another thread had to wait at once."""
    longest, done = 0.0, threading.Event()

    def watch():
        nonlocal longest
        while not done.is_set():
            began = time.perf_counter()
            time.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    return longest / seconds
