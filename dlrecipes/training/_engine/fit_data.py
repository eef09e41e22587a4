"""The data that `fit` and `evaluate` are given: arrays, or streams of batches."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def batch_spec(x: Any, y: Any = None, sample_weight: Any = None) -> tuple | None:
    """Returns the specs `(x, y, sample_weight)` of one batch, or `None` if they are unknown.

    Args:
        x: Inputs as given to `fit`: arrays, tensors or a data set.
        y: Targets, in the same form. Defaults to `None`.
        sample_weight: Sample weights, in the same form. Defaults to `None`.
    """
    if isinstance(x, tf.data.Dataset):
        return keras.utils.unpack_x_y_sample_weight(x.element_spec)
    parts = (x, y, sample_weight)
    if not all(hasattr(leaf, "shape") for leaf in tf.nest.flatten(parts) if leaf is not None):
        return None

    def spec(leaf: Any) -> tf.TensorSpec | None:
        if leaf is None:
            return None
        text = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSU"
        dtype = tf.string if text else keras.backend.standardize_dtype(leaf.dtype)
        return tf.TensorSpec([None, *leaf.shape[1:]], dtype)

    return tf.nest.map_structure(spec, parts)


def as_arrays(x: Any, y: Any = None, sample_weight: Any = None) -> tuple | None:
    """Returns the data if they are arrays or tensors, and `None` if they are a stream.

    Args:
        x: Inputs as given to `fit`: arrays, tensors, a data set, a `PyDataset` or a generator.
        y: Targets, if `x` is none of the last three. Defaults to `None`.
        sample_weight: Sample weights, in the same form. Defaults to `None`.
    """
    is_array = x is not None and all(hasattr(leaf, "shape") for leaf in tf.nest.flatten(x))
    return (x, y, sample_weight) if is_array else None


def checked_stream(dataset: tf.data.Dataset, check: Callable[[Any], None]) -> tf.data.Dataset:
    """Returns a data set whose first batch of each iteration is checked on its way to the model.

    Reading a batch ahead would change the order of a shuffled data set, lose a batch of one that
    can be read only once, and discard a cache.

    Args:
        dataset: Data set of batches.
        check: Function that raises an error for a batch of eager tensors; the error ends the
            iteration as a `tf.errors.OpError`.
    """
    spec = dataset.element_spec

    def check_leaves(*leaves: tf.Tensor) -> None:
        check(tf.nest.pack_sequence_as(spec, leaves, expand_composites=True))

    def step(is_first: tf.Tensor, batch: Any) -> tuple[tf.Tensor, Any]:
        leaves = tf.nest.flatten(batch, expand_composites=True)

        def run() -> tf.Tensor:
            with tf.control_dependencies([tf.py_function(check_leaves, leaves, [])]):
                return tf.constant(False)

        with tf.control_dependencies([tf.cond(is_first, run, lambda: tf.constant(False))]):
            same = [tf.identity(leaf) for leaf in leaves]
        return tf.constant(False), tf.nest.pack_sequence_as(batch, same, expand_composites=True)

    return dataset.scan(tf.constant(True), step)


def without_autotune(value: Any) -> Any:
    """Returns a data set without TensorFlow's autotuning, which ends with a delay of seconds."""
    if not isinstance(value, tf.data.Dataset):
        return value
    options = tf.data.Options()
    options.autotune.enabled = False
    return value.with_options(options)
