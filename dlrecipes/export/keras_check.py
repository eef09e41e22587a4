"""The check of a version's `.keras` file against its SavedModel: the same weights and answers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes._utils.wording import counted
from dlrecipes.errors import PublishError
from dlrecipes.export import keras_errors, reference_outputs
from dlrecipes.export.keras_file import kept_weights
from dlrecipes.export.version import KERAS_FILE, ModelVersion

# How a model takes several tensors: in its own structure, as one tensor, by name, or in a list.
_CALLS: Mapping[str, Callable[[Any, Mapping[str, tf.Tensor]], Any]] = {
    "structure": lambda model, tensors: tf.nest.pack_sequence_as(
        (getattr(model, "_functional", None) or model)._inputs_struct, list(tensors.values())
    ),
    "tensor": lambda model, tensors: _only(tensors),
    "names": lambda model, tensors: dict(tensors),
    "list": lambda model, tensors: list(tensors.values()),
}


def record(model: Any, examples: Sequence[reference_outputs.Reference]) -> dict[str, Any] | None:
    """Returns a model's own outputs for examples, or `None` if it cannot be called with them.

    A detector's own outputs are not recorded: the order of its proposals depends on rounding.

    Args:
        model: Keras model.
        examples: References of the LiteRT function, whose inputs are used.
    """
    if any("match" in example for example in examples):
        return None
    for kind in _CALLS:
        function = _function(model, kind)
        try:
            with warnings.catch_warnings():
                # Keras takes a network's inputs in another structure as well, but warns.
                warnings.filterwarnings("error", message="The structure of `inputs`")
                references = reference_outputs.record_again(examples, function)
                # Outputs that differ from call to call cannot be compared.
                reference_outputs.compare(KERAS_FILE, references, function)
        except Exception:
            # A signature may prepare its inputs in any way.
            continue
        return {"call": kind, "references": references}
    return None


def check(folder: Path, recorded: Mapping[str, Any] | None) -> str:
    """Compares the `.keras` file of a version with its SavedModel and its recorded outputs.

    Args:
        folder: Folder of the version.
        recorded: Result of `record`.

    Returns:
        A line that says what was checked.

    Raises:
        PublishError: If the file cannot be loaded, has other weights, or answers differently.
    """
    try:
        model = ModelVersion(folder).keras_model(compile=False)
    except PublishError as error:
        why = keras_errors.needs_user(error.__cause__)
        if not why:
            raise
        return f"{KERAS_FILE}: not loaded, because it has {why}"
    saved = _saved_weights(folder)
    for weight in kept_weights(model):
        if _digest(np.asarray(weight)) not in saved:
            raise PublishError(f"{KERAS_FILE}: the weight {weight.path} is not the SavedModel's.")
    line = f"{KERAS_FILE}: has the SavedModel's weights ({model.count_params():,} parameters)"
    references = recorded["references"] if recorded else []
    if not recorded or not references:
        return f"{line}; {reference_outputs.NOT_COMPARED}"
    reference_outputs.compare_or_fail(KERAS_FILE, references, _function(model, recorded["call"]))
    return f"{line}, matches the model on {counted(len(references), 'example')}"


def _function(model: Any, kind: str) -> Callable[..., dict[str, Any]]:
    """Returns a function from tensors by name to the model's outputs, numbered."""

    def function(**tensors: tf.Tensor) -> dict[str, Any]:
        outputs = tf.nest.flatten(model(_CALLS[kind](model, tensors), training=False))
        return {str(k): tf.convert_to_tensor(value) for k, value in enumerate(outputs)}

    return function


def _only(tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
    (tensor,) = tensors.values()
    return tensor


def _saved_weights(folder: Path) -> set[str]:
    """Returns digests of the variables of a version's SavedModel."""
    prefix = folder / "variables" / "variables"
    # A model without variables has no checkpoint.
    if not prefix.with_suffix(".index").exists():
        return set()
    reader = tf.train.load_checkpoint(str(prefix))
    return {
        _digest(np.asarray(reader.get_tensor(key))) for key in reader.get_variable_to_dtype_map()
    }


def _digest(array: np.ndarray) -> str:
    header = f"{array.dtype.name} {array.shape} ".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()
