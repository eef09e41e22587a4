"""Compares what answers without TensorFlow with the SavedModel's graph, before publishing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from dlrecipes.data.image_resizing import fit, fit_array
from dlrecipes.errors import PublishError
from dlrecipes.export.lite_processing import Prepared
from dlrecipes.export.lite_version import PROCESSING_FILE, LiteVersion
from dlrecipes.export.processing import Processing
from dlrecipes.export.reference_outputs import TOLERANCE, assert_match
from dlrecipes.export.signatures import Signature
from dlrecipes.export.version import EXTRAS

# Largest difference of prepared floats: a grey level, and a rounding error of float32.
GREY_LEVEL = 1 / 255 + 1e-6
# Test requests on which the two ways are compared, at most.
MOST_REQUESTS = 64


def check_processing(
    folder: Path, processing: Processing, signatures: Mapping[str, Signature]
) -> None:
    """Compares what `LiteVersion` prepares and answers with the graph, on test requests.

    Prepared integers, which stand for words, must be equal, and prepared floats, which are images,
    within one grey level. Answers to the same prepared tensors must be equal: text exactly, images
    within one grey level, and floats within the publisher's tolerance.

    Args:
        folder: Folder of the version, with its files.
        processing: The processing.
        signatures: The SavedModel's signatures, with their examples.

    Raises:
        PublishError: At the first difference.
    """
    version = LiteVersion(folder)
    for name, own in processing.by_signature().items():
        _check_signature(version, name, own, signatures[name])


def _check_signature(
    version: LiteVersion, key: str, processing: Processing, signature: Signature
) -> None:
    names = [spec.name for spec in signature.inputs]
    # Operation by operation, normalising one image takes as long as tracing the graph.
    graph = tf.function(processing.tensors, input_signature=list(signature.inputs))
    left = MOST_REQUESTS
    for example in signature.examples:
        by_row = all(spec.shape.rank and spec.shape[0] is None for spec in signature.inputs)
        arrays = [array[:left] for array in example] if by_row else example
        if left <= 0:
            return
        left -= len(arrays[0])
        pairs = zip(signature.inputs, arrays, strict=True)
        inputs = [tf.constant(array, spec.dtype) for spec, array in pairs]
        prepared = version.prepare(key, **dict(zip(names, arrays, strict=True)))
        tensors = {name: x.numpy() for name, x in graph(*inputs).items()}
        same = matched_tensors(prepared, tensors)
        outputs = {name: x.numpy() for name, x in signature.traced(*inputs).items()}
        compare_answers(
            outputs, version.answer(same, key), what=f"{processing.file}, signature {key}"
        )


def matched_tensors(
    prepared: Sequence[Prepared], tensors: Mapping[str, np.ndarray]
) -> list[Prepared]:
    """Returns prepared examples with the graph's tensors, after comparing them with their own.

    Args:
        prepared: Examples, prepared without TensorFlow.
        tensors: The graph's tensors by name, one row per example, padded with zeros.

    Raises:
        PublishError: If integers differ, or floats by more than a grey level.
    """
    matched = []
    for row, example in enumerate(prepared):
        graphs = {}
        for name, own in example.tensors.items():
            whole = tensors[name][row : row + 1]
            cut = whole[tuple(slice(size) for size in own.shape)]
            if cut.shape != own.shape or cut.dtype != own.dtype:
                raise _different(name, f"has shape {own.shape}, the graph's {whole.shape}")
            if own.dtype.kind == "f":
                gap = float(np.max(np.abs(cut - own), initial=0))
                if not gap <= GREY_LEVEL:
                    raise _different(name, f"differs by {gap:.2g}, more than a grey level")
            elif not np.array_equal(cut, own) or np.count_nonzero(whole) > np.count_nonzero(cut):
                raise _different(name, "is not equal")
            graphs[name] = cut
        matched.append(example._replace(tensors=graphs))
    return matched


def check_stretched(images: Sequence[np.ndarray], size: int) -> None:
    """Compares images that are stretched to a square without TensorFlow with the graph's.

    Args:
        images: uint8 of shape `(height, width, 3)` each.
        size: Height and width of the square.

    Raises:
        PublishError: If a pixel differs by more than a grey level.
    """
    for image in images:
        graph = fit(tf.cast(image, tf.float32) / 255, size).numpy()
        matched_tensors(
            [Prepared({"images": fit_array(image, size)[None]})], {"images": graph[None]}
        )


def _different(name: str, how: str) -> PublishError:
    return PublishError(
        f"{EXTRAS}/{PROCESSING_FILE}: {name}, prepared without TensorFlow, {how}.",
        "The graph and dlrecipes.export.lite_processing must prepare the same.",
    )


def compare_answers(
    expected: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
    what: str = PROCESSING_FILE,
) -> None:
    """Compares answers: text exactly, images within a grey level, and floats within a tolerance.

    Args:
        expected: The SavedModel's outputs by name.
        outputs: Outputs of `LiteVersion` by name.
        tolerance: Tolerance as in `assert_match`. Defaults to 1e-4.
        what: Name for error messages. Defaults to `"processing.json"`.

    Raises:
        PublishError: At the first difference.
    """
    assert_match(what, _numbers(expected), _numbers(outputs), tolerance)
    for name, image in _images(expected).items():
        gap = np.max(np.abs(image - _images(outputs)[name]), initial=0)
        if gap > 1:
            raise PublishError(f"{what}: {name} differs by {gap:.0f} grey levels.")


def _is_image(name: str, value: np.ndarray) -> bool:
    return name == "png_bytes" or value.dtype == np.uint8


def _numbers(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in outputs.items() if not _is_image(name, value)}


def _images(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the images among outputs as float arrays, PNG files as well."""
    images = {}
    for name, value in outputs.items():
        if _is_image(name, value):
            arrays = (
                value if value.dtype == np.uint8 else [Image.open(io.BytesIO(x)) for x in value]
            )
            images[name] = np.stack([np.squeeze(np.asarray(x, "float32")) for x in arrays])
    return images
