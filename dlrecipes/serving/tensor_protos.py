"""Arrays from and to `TensorProto` messages, as TensorFlow Serving writes them by default."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

# Values that are copied at a time.
SLICE = 16 * 1024
# Field of each type whose numbers are written as they are; small types share the field of int32.
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.uint8: "int_val",
    tf.int8: "int_val",
    tf.uint16: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
}
# Complex numbers are written as pairs, and 16-bit floats as the integers with the same bits.
_VIEWS = {
    tf.complex64: ("scomplex_val", np.float32),
    tf.complex128: ("dcomplex_val", np.float64),
    tf.float16: ("half_val", np.uint16),
    tf.bfloat16: ("half_val", np.uint16),
}


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """Returns an array as a `TensorProto` with a value for each element, such as `float_val`.

    Types without such a field are written as bytes. `tf.make_ndarray` reads both.

    Args:
        array: Array of any shape; strings have the type `object`.
    """
    dtype = tf.as_dtype(array.dtype)
    flat = np.ravel(array)
    if dtype in _VIEWS:
        field, kind = _VIEWS[dtype]
        flat = flat.view(kind)
    elif dtype in _FIELDS:
        field = _FIELDS[dtype]
    else:
        return tf.make_tensor_proto(array)
    shape = tf.TensorShape(array.shape).as_proto()
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape)
    # In slices, so that a large output does not keep the GIL from the other threads.
    for start in range(0, flat.size, SLICE):
        getattr(proto, field).extend(flat[start : start + SLICE].tolist())
    return proto


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Returns the array of a `TensorProto`.

    Args:
        proto: Message whose shape is known and whose size has been checked.

    Raises:
        TypeError, ValueError: If the message is invalid.
    """
    dtype = tf.as_dtype(proto.dtype)
    field, kind = _VIEWS.get(dtype) or (_FIELDS.get(dtype), dtype.as_numpy_dtype)
    values = getattr(proto, field) if field and not proto.tensor_content else ()
    if len(values) <= SLICE:
        return tf.make_ndarray(proto)
    # In slices, so that a large input does not keep the GIL from the other threads.
    parts = [values[start : start + SLICE] for start in range(0, len(values), SLICE)]
    flat = np.concatenate([np.array(part, kind) for part in parts])
    if dtype in _VIEWS:
        flat = flat.view(dtype.as_numpy_dtype)
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if flat.size < math.prod(shape):
        # The last value stands for the rest.
        flat = np.append(flat, np.full(math.prod(shape) - flat.size, flat[-1], flat.dtype))
    return flat.reshape(shape)
