"""Classify and regress requests: `tf.train.Example`s in, classes with scores or values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.serving.features import Features
from dlrecipes.serving.limits import Limits, check_rows, check_size
from dlrecipes.serving.servable import Signature
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import shortest

if TYPE_CHECKING:
    import tensorflow as tf

# Values that are copied at a time.
SLICE = 16 * 1024
# Outputs of which a signature must have at least one, and the noun, by method.
OUTPUTS = {"classify": ("classes", "scores"), "regress": ("outputs",)}
KINDS = {"classify": "classification", "regress": "regression"}


def serialize(context: Features, examples: Sequence[Features], limits: Limits) -> np.ndarray:
    """Returns a request's examples as serialized protos, each with the context's features added.

    Args:
        context: Features of the context.
        examples: Features of each example.
        limits: Limits on the number of examples and on their total size.

    Raises:
        RequestError: If there are too many examples, or they would be too large.
    """
    import tensorflow as tf

    shared = _protos(context)
    check_shared(len(examples), tf.train.Features(feature=shared).ByteSize(), limits)
    protos = np.empty(len(examples), object)
    for row, example in enumerate(examples):
        features = tf.train.Features(feature={**shared, **_protos(example)})
        protos[row] = tf.train.Example(features=features).SerializeToString()
    return protos


def _protos(features: Features) -> dict[str, tf.train.Feature]:
    return {name: _proto(*feature) for name, feature in features.items()}


def _proto(kind: str, values: Any) -> tf.train.Feature:
    import tensorflow as tf

    feature = tf.train.Feature()
    if kind:
        target = getattr(feature, f"{kind}_list").value
        # In slices, so that a long list does not keep the GIL from the other threads.
        for start in range(0, len(values), SLICE):
            part = values[start : start + SLICE]
            target.extend(part.tolist() if isinstance(part, np.ndarray) else part)
    return feature


def check_shared(count: int, size: int, limits: Limits) -> None:
    """Refuses examples that would take too much memory once each has its copy of the context.

    Args:
        count: Number of examples.
        size: Size of the context's features in bytes.
        limits: Limits on the request.

    Raises:
        RequestError: If there are too many examples, or the copies would be too large.
    """
    check_rows(count, limits)
    check_size(count * size, "The context, once for each example,", limits)


def check_method(signature: Signature, method: str) -> None:
    """Refuses a signature that cannot answer a method.

    As in TensorFlow Serving by default, the signature's own method name does not matter, because
    TensorFlow 2 writes the same name for all signatures.

    Args:
        signature: Signature to check.
        method: `"classify"` or `"regress"`.

    Raises:
        RequestError: If its input is not one tensor of strings, or its outputs have other names.
    """
    kind = KINDS[method]
    if len(signature.inputs) != 1:
        raise RequestError(
            f"Expected one input Tensor for {kind}; signature {signature.name} has "
            f"{len(signature.inputs)}."
        )
    ((name, spec),) = signature.inputs.items()
    if spec.dtype.name != "string":
        raise RequestError(
            f"Expected one Tensor of strings as the input for {kind}; {name} of signature "
            f"{signature.name} is of type {spec.dtype.name}."
        )
    expected = OUTPUTS[method]
    if not set(expected) & set(signature.outputs):
        names = " or ".join(f'"{name}"' for name in expected)
        raise RequestError(
            f"Expected {kind} signature outputs to contain {names}. Signature {signature.name} "
            f"has: {', '.join(sorted(signature.outputs))}"
        )


def parts(outputs: Mapping[str, np.ndarray], method: str, count: int) -> Iterator[list[Any]]:
    """Yields the results that `results` returns, some examples at a time.

    Args:
        outputs: Outputs of the signature.
        method: `"classify"` or `"regress"`.
        count: Number of examples.

    Raises:
        RequestError: If the outputs have other types or shapes.
    """
    arrays = used(outputs, method)
    in_row = sum(array.size for array in arrays.values()) // count
    step = max(1, SLICE // max(1, in_row))
    if count <= step or any(not array.ndim or len(array) != count for array in arrays.values()):
        yield results(arrays, method, count)
        return
    for start in range(0, count, step):
        rows = {name: array[start : start + step] for name, array in arrays.items()}
        yield results(rows, method, min(step, count - start))


def used(outputs: Mapping[str, np.ndarray], method: str) -> dict[str, np.ndarray]:
    """Returns the outputs that the results of a method are made of."""
    return {name: outputs[name] for name in OUTPUTS[method] if name in outputs}


def results(outputs: Mapping[str, np.ndarray], method: str, count: int) -> list[Any]:
    """Returns the result for each example: its classes with scores, or its value.

    Args:
        outputs: Outputs of the signature: `classes`, `scores` or both, or `outputs`.
        method: `"classify"` or `"regress"`.
        count: Number of examples.

    Raises:
        RequestError: If the outputs have other types or shapes.
    """
    if method == "regress":
        return _values(outputs["outputs"], count)
    return _classes(outputs.get("classes"), outputs.get("scores"), count)


def _values(values: np.ndarray, count: int) -> list[float]:
    if values.ndim != 1 and (values.ndim != 2 or values.shape[1] != 1):
        raise RequestError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(values.shape)}"
        )
    if len(values) != count:
        raise RequestError(
            f"Input batch size did not match output batch size: {count} vs. {len(values)}"
        )
    _check_numbers("outputs", values)
    return shortest(values.reshape(count)).tolist()


def _classes(
    classes: np.ndarray | None, scores: np.ndarray | None, count: int
) -> list[list[list[Any]]]:
    for name, array in (("classes", classes), ("scores", scores)):
        if array is None:
            continue
        if array.ndim != 2:
            raise RequestError(
                f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
            )
        if len(array) != count:
            raise RequestError(f"Expected {name} output batch size of {count}. Got: {len(array)}")
    if classes is not None and classes.dtype != object:
        raise RequestError(f"Expected classes Tensor of strings. Got: {classes.dtype.name}")
    if scores is not None:
        _check_numbers("scores", scores)
    # A missing one is empty, as in TensorFlow Serving's messages.
    if classes is None:
        assert scores is not None
        classes = np.full(scores.shape, b"", object)
    if scores is None:
        scores = np.zeros(classes.shape, "float32")
    if classes.shape[1] != scores.shape[1]:
        raise RequestError(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    return [
        [[label.decode("utf-8", "replace"), score] for label, score in zip(*row, strict=True)]
        for row in zip(classes.tolist(), shortest(scores).tolist(), strict=True)
    ]


def _check_numbers(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        kind = "string" if array.dtype == object else array.dtype.name
        raise RequestError(f"Expected {name} Tensor of numbers. Got: {kind}")
