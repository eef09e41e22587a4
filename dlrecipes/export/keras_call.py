"""A Keras model as a function from a flat list of named tensors to named tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.errors import RecipeError, UsageError
from dlrecipes.export.keras_errors import plain
from dlrecipes.export.keras_examples import check_kind, example_arrays, matched_examples
from dlrecipes.export.keras_inputs import (
    ModelInput,
    ModelInputs,
    functional_inputs,
    subclass_inputs,
)
from dlrecipes.export.keras_outputs import named_outputs, output_layers
from dlrecipes.export.names import input_names

# Examples on which a model is compared.
ROWS = 8
# Difference of outputs that are computed in batches of another size, in float16 as well.
CLOSE = 1e-2


@dataclass(frozen=True)
class KerasCall:
    """A model with the tensors that are published, and their examples.

    Args:
        model: The model.
        inputs: How the model is called.
        names: Valid names of the inputs that are published; `None` for those left out.
        layers: Names of the layers that return the outputs, or `None`.
        arrays: Examples of the published tensors.
        batch: Batch size of the published tensors; `None` for any.
    """

    model: keras.Model
    inputs: ModelInputs
    names: Sequence[str | None]
    layers: Sequence[str | None] | None
    arrays: Sequence[np.ndarray]
    batch: int | None = None

    def function(self, *tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the model's outputs by name."""
        flat = iter(tensors)
        values = [
            None if name is None else entry.tensor([next(flat) for _ in entry.specs(name)])
            for entry, name in zip(self.inputs.inputs, self.names, strict=True)
        ]
        return named_outputs(self.model.name, self.inputs.call(values), self.layers)

    @property
    def specs(self) -> list[tf.TensorSpec]:
        """The published tensors."""
        pairs = zip(self.inputs.inputs, self.names, strict=True)
        return [
            tf.TensorSpec([self.batch, *spec.shape[1:]], spec.dtype, name=spec.name)
            for entry, name in pairs
            if name is not None
            for spec in entry.specs(name)
        ]

    @property
    def given_names(self) -> dict[str, str]:
        """The names that the user gave, by those of the published tensors that differ."""
        pairs = zip(self.inputs.inputs, self.names, strict=True)
        return {name: entry.name for entry, name in pairs if name and name != entry.name}

    def run(self, rows: slice = slice(None)) -> dict[str, np.ndarray]:
        """Returns the model's own outputs on the examples.

        Args:
            rows: Examples. Defaults to all.

        Raises:
            UsageError: If the model cannot be called on them.
        """
        pairs = zip(self.specs, self.arrays, strict=True)
        tensors = [tf.constant(array[rows], spec.dtype) for spec, array in pairs]
        try:
            # `numpy()` returns a scalar string as bytes.
            return {name: np.asarray(value) for name, value in self.function(*tensors).items()}
        except RecipeError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.model.name}: the model cannot be called on the examples: "
                f"{plain(error).rstrip('.')}.",
                "Pass examples that model(examples) accepts.",
            ) from error


def keras_call(model: keras.Model, examples: Any) -> KerasCall:
    """Returns a built model as a function, with the examples of its inputs.

    Args:
        model: The model.
        examples: Examples as the user passes them to `publish`.

    Raises:
        UsageError: If the model cannot be served, its inputs cannot be inferred, or the examples
            do not fit them.
    """
    check_kind(model.name, examples)
    _check_servable(model)
    # A sequential model holds a functional model.
    functional = getattr(model, "_functional", None) or model
    layers: Sequence[str | None] | None = None
    if getattr(functional, "_inputs_struct", None) is not None and functional.inputs:
        inputs, layers = functional_inputs(model, functional), output_layers(functional)
        values = matched_examples(model.name, inputs.inputs, examples)
    else:
        inputs, values = subclass_inputs(model, examples)
    used = [k for k, value in enumerate(values) if value is not None]
    valid = input_names(inputs.inputs[k].name for k in used)
    names = [valid[used.index(k)] if k in used else None for k in range(len(values))]
    entries = [inputs.inputs[k] for k in used]
    sizes = {entry.shape[0] for entry in entries if entry.shape[0] is not None}
    arrays = example_arrays(model.name, entries, [values[k] for k in used], max({ROWS, *sizes}))
    call = KerasCall(model, inputs, names, layers, arrays)
    return _with_batch(call, sizes, entries) if sizes else call


def _with_batch(call: KerasCall, sizes: set[int], entries: Sequence[ModelInput]) -> KerasCall:
    """Returns a call with the batch size of `keras.Input`, if the model needs it."""
    size, name = max(sizes), call.model.name
    try:
        one, all_ = call.run(slice(1)), call.run()
    except UsageError:
        fixed = True
    else:
        fixed = any(
            one[key].shape != all_[key][:1].shape
            or not np.allclose(one[key], all_[key][:1], CLOSE, CLOSE)
            for key in one
            if one[key].dtype.kind == "f"
        )
    if not fixed:
        return call
    if len(call.arrays[0]) < size:
        raise UsageError(
            f"{name}: expected at least {size} examples, because the model works only with "
            f"batches of {size}; got {len(call.arrays[0])}.",
            "Pass more examples, or build the model without batch_size.",
        )
    arrays = [array[:size] for array in call.arrays]
    return KerasCall(call.model, call.inputs, call.names, call.layers, arrays, size)


def _check_servable(model: keras.Model) -> None:
    if not model.built:
        raise UsageError(
            f"{model.name}: cannot infer the model's inputs: it was never built, and has no "
            "weights yet.",
            "Call it once on examples, model(x), or give it a keras.Input; then train it or load "
            "its weights.",
        )
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise UsageError(
                f"{model.name}: layer {layer.name} is stateful, so a served model would mix the "
                "states of different requests.",
                "Build the model with stateful=False, copy the weights with "
                "set_weights(model.get_weights()), and publish that one.",
            )
