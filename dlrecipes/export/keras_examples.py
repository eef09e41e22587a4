"""Examples of a Keras model's inputs: matched with the inputs by name or order, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import UsageError, reason
from dlrecipes.export.keras_inputs import ModelInput
from dlrecipes.export.names import input_names


def matched_examples(model: str, inputs: Sequence[ModelInput], examples: Any) -> list[Any]:
    """Returns the value of each input, in order; `None` for an optional one that is left out.

    Args:
        model: Name of the model, for error messages.
        inputs: Inputs of the model.
        examples: Values by name, in the structure of the inputs, or in their order.

    Raises:
        UsageError: If a value is missing, or there is one too many.
    """
    if len(inputs) > 1 and hasattr(examples, "columns"):
        # The columns of a table.
        examples = {str(name): np.asarray(examples[name]) for name in examples.columns}
    if isinstance(examples, Mapping):
        return _by_name(model, inputs, examples)
    if len(inputs) > 1 and (nested := _by_path(inputs, examples)) is not None:
        return nested
    values = list(examples) if isinstance(examples, list | tuple) else [examples]
    if inputs[0].kind == "ragged" and len(inputs) == 1:
        only = values[0] if len(values) == 1 and hasattr(values[0], "shape") else examples
        values = [only]
    elif len(inputs) == 1 and _is_one_array(examples, len(inputs[0].shape)):
        values = [examples]
    if len(values) != len(inputs):
        arrays = "1 array" if len(inputs) == 1 else f"{len(inputs)} arrays"
        raise UsageError(
            f"{model}: expected {arrays} of examples, for {_listed(inputs)}, got {len(values)}.",
            "A list holds one array per input, and no labels.",
        )
    for entry, value in zip(inputs, values, strict=True):
        _check_given(model, entry, value)
    return values


def check_kind(model: str, examples: Any) -> None:
    """Raises `UsageError` if the examples are not arrays, such as a dataset or a path.

    Args:
        model: Name of the model, for error messages.
        examples: Examples as the user passes them to `publish`.
    """
    if isinstance(examples, Mapping | list | tuple | int | float) or any(
        hasattr(examples, name) for name in ("shape", "__array__", "toarray")
    ):
        return
    hint = "Pass an array of the model's inputs, such as x_test[:8]."
    if hasattr(examples, "__iter__") and not isinstance(examples, str | bytes):
        hint = "Pass the inputs of one batch: x, y = next(iter(dataset)), then examples=x."
    raise UsageError(
        f"{model}: expected examples as arrays, got an object of type {type(examples).__name__}.",
        hint,
    )


def _is_one_array(examples: Any, rank: int) -> bool:
    """Returns whether a list holds the numbers of one array, in place of arrays."""
    if not isinstance(examples, list | tuple) or not examples or hasattr(examples[0], "shape"):
        return False
    depth = 0
    part: Any = examples
    while isinstance(part, list | tuple) and part:
        depth, part = depth + 1, part[0]
    # A list with one list of all examples has one level more.
    return len(examples) > 1 or depth <= rank


def _by_name(model: str, inputs: Sequence[ModelInput], examples: Mapping[Any, Any]) -> list[Any]:
    if (nested := _by_path(inputs, examples)) is not None:
        return nested
    valid = input_names(entry.name for entry in inputs)
    values: list[Any] = []
    known: set[str] = set()
    complete = True
    for k, entry in enumerate(inputs):
        # A name of Keras' own counts only if no other input has it as well.
        also = [
            name
            for name in entry.also
            if all(other is entry or name not in {*other.also, other.name} for other in inputs)
        ]
        keys = [name for name in (entry.name, valid[k], *also) if name in examples]
        known.update(keys)
        complete = complete and bool(keys or entry.optional)
        values.append(examples[keys[0]] if keys else None)
    if not complete or set(examples) - known:
        got = ", ".join(map(str, examples)) or "none"
        raise UsageError(
            f"Expected examples of the inputs {_listed(inputs)}, got {got}.",
            "Pass a dictionary with these keys: "
            + ", ".join(repr(entry.name) for entry in inputs)
            + ".",
        )
    for entry, value in zip(inputs, values, strict=True):
        _check_given(model, entry, value)
    return values


def _by_path(inputs: Sequence[ModelInput], examples: Any) -> list[Any] | None:
    """Returns the values in nested examples, or `None` if their structure is not the inputs'."""
    if max(len(entry.path) for entry in inputs) < 2:
        return None
    values = []
    for entry in inputs:
        value = examples
        try:
            for part in entry.path:
                value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
        values.append(value)
    return values


def _check_given(model: str, entry: ModelInput, value: Any) -> None:
    if value is None and not entry.optional:
        raise UsageError(f"{model}: the examples of {entry.name} are None.", "Pass an array.")


def _listed(inputs: Sequence[ModelInput]) -> str:
    return ", ".join(entry.name for entry in inputs)


def example_arrays(
    model: str, inputs: Sequence[ModelInput], values: Sequence[Any], rows: int
) -> list[np.ndarray]:
    """Returns the first examples as the arrays that are published.

    Args:
        model: Name of the model, for error messages.
        inputs: Inputs of the model.
        values: Examples of each.
        rows: Largest number of examples.

    Raises:
        UsageError: If the examples of an input do not fit it, or their numbers differ.
    """
    counts, arrays = {}, []
    for entry, value in zip(inputs, values, strict=True):
        parts = _arrays(entry, value, rows)
        spec = entry.specs()[0]
        if entry.kind == "dense":
            parts = [_with_rank(parts[0], spec.shape)]
        if not spec.shape.is_compatible_with(parts[0].shape):
            raise UsageError(
                f"{model}: expected examples of {entry.name} with shape {tuple(spec.shape)}, "
                f"got {parts[0].shape}.",
                "A list holds one array per input: pass an array of all examples.",
            )
        counts[entry.name] = len(parts[0])
        arrays += parts
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UsageError(f"The inputs have different numbers of examples: {listed}.")
    return arrays


def _with_rank(array: np.ndarray, shape: tf.TensorShape) -> np.ndarray:
    """Returns an array with a last axis of size 1 added or removed, as Keras does."""
    if array.ndim == shape.rank - 1 and shape.rank > 1 and shape[-1] == 1:
        return array[..., None]
    if array.ndim == shape.rank + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array


def _arrays(entry: ModelInput, value: Any, rows: int) -> list[np.ndarray]:
    dtype = tf.as_dtype(entry.dtype)
    try:
        if entry.kind == "ragged":
            ragged = value if isinstance(value, tf.RaggedTensor) else tf.ragged.constant(value)
            first = tf.cast(ragged[:rows], dtype) if dtype != tf.string else ragged[:rows]
            if first.ragged_rank != 1:
                raise ValueError(f"it is ragged in {first.ragged_rank} dimensions, expected one")
            return _not_empty(entry, [first.to_tensor().numpy(), first.row_lengths().numpy()])
        if isinstance(value, tf.SparseTensor):
            value = tf.sparse.to_dense(value)
        elif hasattr(value, "toarray"):
            value = value.toarray()
        elif isinstance(value, tf.RaggedTensor):
            raise ValueError("it is ragged; pad it with to_tensor(), or use Input(ragged=True)")
        array = np.asarray(value)
        array = _converted(array[:rows], dtype) if array.ndim else array
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise UsageError(
            f"The examples of {entry.name} cannot be converted to an array of {entry.dtype} "
            f"with the examples along the first axis: {reason(error).rstrip('.')}.",
            f"Pass an array of {entry.dtype}.",
        ) from None
    return _not_empty(entry, [array])


def _converted(array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    """Returns an array of another type, with the same values."""
    texts = array.dtype.kind in "USO"
    if dtype == tf.string:
        if not texts or not all(isinstance(value, str | bytes) for value in array.flat):
            raise ValueError("not all of them are texts")
        return array.astype(object)
    if texts and any(isinstance(value, str | bytes) for value in array.flat):
        raise ValueError("some are texts")
    if array.dtype.kind in "cmM" and not dtype.is_complex:
        raise ValueError(f"they are of type {array.dtype}")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(dtype.as_numpy_dtype)
    if (dtype.is_integer or dtype.is_bool) and not np.array_equal(converted, array):
        raise ValueError(f"some values are not of {dtype.name}")
    if dtype.is_floating and array.dtype.kind == "f":
        largest = float(dtype.max)
        if np.any(np.isfinite(array) & (np.abs(array) > largest)):
            raise ValueError(f"some values are larger than {largest:.3g}")
    return converted


def _not_empty(entry: ModelInput, parts: list[np.ndarray]) -> list[np.ndarray]:
    if not parts[0].ndim or not len(parts[0]):
        raise UsageError(
            f"{entry.name}: expected at least one example, with the examples along the first axis."
        )
    return parts
