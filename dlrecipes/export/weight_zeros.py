"""The fraction of zero weights in each file of a version, counted in the files themselves."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools.flatbuffer_utils import convert_bytearray_to_object

from dlrecipes.errors import PublishError
from dlrecipes.export.version import KERAS_FILE
from dlrecipes.metrics.weight_sparsity import kernels

SAVED_MODEL = "saved_model.pb"
_LITERT_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
}


def weight_zeros(folder: Path, model: keras.Model, least: float) -> dict[str, float]:
    """Returns the fraction of zeros in the kernels of each file, and checks it.

    Kernels are those of `metrics.sparsity`. In a file they are recognized by their sizes, because
    LiteRT keeps neither names nor the order of axes. In int8 more weights are zero: the small ones
    are rounded.

    Args:
        folder: Folder of the version.
        model: The published model.
        least: Smallest fraction over all kernels, in [0, 1].

    Returns:
        Fractions by file name. The SavedModel's name is `saved_model.pb`.

    Raises:
        PublishError: If the model or a file has fewer zeros, or a file lacks a kernel.
    """
    expected = [keras.ops.convert_to_numpy(kernel) for _, kernel in kernels(model)]
    if not expected:
        raise PublishError(
            f"{model.name}: it has no convolution or dense layer, so no zeros can be counted.",
            "Leave out the sparsity of its exports.",
        )
    # A schedule rounds the number of zeros of each kernel.
    rounding = 0.5 * len(expected) / sum(kernel.size for kernel in expected)
    _check(model.name, _fraction(expected), least - rounding, "Train on until it is reached.")
    files = {SAVED_MODEL: _saved_model(folder), KERAS_FILE: _keras(folder / KERAS_FILE)}
    files |= {path.name: _litert(path) for path in sorted(folder.glob("*.tflite"))}
    fractions = {name: _fraction(_matched(name, a, expected)) for name, a in files.items()}
    for name, fraction in fractions.items():
        _check(name, fraction, max(_fraction(expected), least - rounding), "Nothing was published.")
    return fractions


def _fraction(arrays: list[np.ndarray]) -> float:
    zeros = sum(array.size - np.count_nonzero(array) for array in arrays)
    return zeros / sum(array.size for array in arrays)


def _check(name: str, fraction: float, least: float, hint: str) -> None:
    if fraction < least:
        raise PublishError(
            f"{name}: a fraction of {fraction:.4f} of its weights is zero, expected at least "
            f"{least:.4f}.",
            hint,
        )


def _sizes(array: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(size for size in array.shape if size > 1))


def _matched(
    name: str, arrays: Iterator[np.ndarray], expected: list[np.ndarray]
) -> list[np.ndarray]:
    """Returns the arrays with the sizes of the kernels; of several, those with the most zeros."""
    by_sizes = defaultdict(list)
    for array in arrays:
        by_sizes[_sizes(array)].append(array)
    for group in by_sizes.values():
        group.sort(key=np.count_nonzero, reverse=True)
    matched = []
    for kernel in expected:
        group = by_sizes[_sizes(kernel)]
        if not group:
            raise PublishError(
                f"{name}: it has no weights for the kernel of shape {kernel.shape}, so that its "
                "zeros cannot be counted.",
                "Leave out the sparsity of its exports.",
            )
        matched.append(group.pop())
    return matched


def _saved_model(folder: Path) -> Iterator[np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    for name, shape in reader.get_variable_to_shape_map().items():
        if len(shape) >= 2:
            yield reader.get_tensor(name)


def _keras(path: Path) -> Iterator[np.ndarray]:
    arrays = []

    def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
        is_slot = name.startswith("optimizer/")
        if isinstance(item, h5py.Dataset) and item.ndim >= 2 and not is_slot:
            arrays.append(item[()])

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(collect)
    yield from arrays


def _litert(path: Path) -> Iterator[np.ndarray]:
    model = convert_bytearray_to_object(bytearray(path.read_bytes()))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or tensor.type not in _LITERT_TYPES or len(tensor.shape) < 2:
                continue
            array = np.frombuffer(bytes(bytearray(data)), _LITERT_TYPES[tensor.type])
            zero = 0
            if tensor.type == schema.TensorType.INT8 and tensor.quantization is not None:
                points = tensor.quantization.zeroPoint
                zero = points[0] if points is not None and len(points) else 0
            yield (array != zero).reshape(tensor.shape)
