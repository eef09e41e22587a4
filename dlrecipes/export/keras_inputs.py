"""Inputs of a Keras model: any structure of tensors as a flat list with stable names."""

from __future__ import annotations

import inspect
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.errors import UsageError
from dlrecipes.export.keras_outputs import LENGTHS
from dlrecipes.export.names import UNNAMED, unique_names

Kind = Literal["dense", "sparse", "ragged"]

# Keras generates these names for inputs without one; the number depends on the process.
_GENERATED = re.compile(r"(keras_tensor|input_layer)(_\d+)?")
# Keras passes these arguments itself.
_KERAS_ARGUMENTS = {"self", "training", "mask"}


@dataclass(frozen=True)
class ModelInput:
    """One tensor of a model's inputs.

    Args:
        name: Name that the user gave, or a stable one.
        dtype: Name of the type.
        shape: Sizes, each `None` if any size is accepted.
        path: Keys and positions of the tensor in the structure of inputs.
        kind: Kind of tensor that the model takes. Defaults to `"dense"`.
        optional: Whether the model also takes `None`. Defaults to `False`.
        also: Further names that Keras has for the tensor. Defaults to none.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    path: tuple[Any, ...]
    kind: Kind = "dense"
    optional: bool = False
    also: frozenset[str] = frozenset()

    def specs(self, name: str | None = None) -> list[tf.TensorSpec]:
        """Returns the published tensors: a ragged one is padded, and has its rows' lengths.

        Args:
            name: Valid name. Defaults to `None`: the input's.
        """
        name = name or self.name
        spec = tf.TensorSpec([None, *self.shape[1:]], self.dtype, name=name)
        if self.kind != "ragged":
            return [spec]
        return [spec, tf.TensorSpec([None], tf.int64, name=name + LENGTHS)]

    def tensor(self, parts: Sequence[Any]) -> Any:
        """Returns the tensor that the model takes, from the published ones."""
        if self.kind == "ragged":
            return tf.RaggedTensor.from_tensor(parts[0], lengths=parts[1])
        return tf.sparse.from_dense(parts[0]) if self.kind == "sparse" else parts[0]


@dataclass(frozen=True)
class ModelInputs:
    """How a model is called with a flat list of tensors.

    Args:
        inputs: The tensors, in order.
        call: Function from values in the same order, `None` for those left out, to the results.
    """

    inputs: Sequence[ModelInput]
    call: Callable[[Sequence[Any]], Any]


def functional_inputs(model: keras.Model, functional: Any) -> ModelInputs:
    """Returns the inputs of a functional or sequential model.

    Args:
        model: The model.
        functional: The functional model that it is or holds.
    """
    structure = functional._inputs_struct
    paths = keras.tree.flatten_with_path(structure)
    layers = [tensor._keras_history.operation for _, tensor in paths]
    names = _stable_names(paths)
    inputs = [
        ModelInput(
            name,
            tensor.dtype,
            tuple(tensor.shape),
            tuple(path),
            "sparse" if tensor.sparse else "ragged" if getattr(tensor, "ragged", 0) else "dense",
            getattr(layer, "optional", False),
            frozenset({tensor.name, layer.name}),
        )
        for name, (path, tensor), layer in zip(names, paths, layers, strict=True)
    ]

    def call(values: Sequence[Any]) -> Any:
        return model(keras.tree.pack_sequence_as(structure, list(values)), training=False)

    _check_order(model, structure)
    return ModelInputs(inputs, call)


def _check_order(model: keras.Model, structure: Any) -> None:
    """Rejects a model that computes something else when it is called with a plain dictionary."""
    if isinstance(structure, OrderedDict) and list(structure) != sorted(structure):
        raise UsageError(
            f"{model.name}: its inputs are an OrderedDict in the order {', '.join(structure)}, and "
            "Keras mixes them up if it is called with an ordinary dictionary.",
            "Build the model with an ordinary dictionary, keras.Model({...}, outputs), and check "
            "what it was trained with.",
        )


def _stable_names(paths: Sequence[tuple[Sequence[Any], Any]]) -> list[str]:
    """Returns the keys of dictionaries, names that the user gave, or `input`, `input_1`."""
    given = []
    for path, tensor in paths:
        keyed = any(isinstance(part, str) for part in path)
        name = "_".join(str(part) for part in path) if keyed else tensor.name
        given.append(None if not keyed and _GENERATED.fullmatch(name) else name)
    # Given names keep their form.
    order = sorted(range(len(given)), key=lambda k: given[k] is None)
    unique = unique_names([given[k] or UNNAMED for k in order])
    by_position = dict(zip(order, unique, strict=True))
    return [by_position[k] for k in range(len(given))]


def subclass_inputs(model: keras.Model, examples: Any) -> tuple[ModelInputs, list[Any]]:
    """Returns the inputs of a model with a `call` of its own, as its examples have them.

    Args:
        model: The model.
        examples: One array; or several in the structure that `call` takes: a dictionary or list
            for one argument, a dictionary by argument or a tuple for several.

    Returns:
        The inputs, and their examples in the same order.
    """
    arguments = _as_arrays(_arguments(model, examples))
    paths = keras.tree.flatten_with_path(arguments)
    single = len(arguments) == 1
    known = _recorded_shapes(model, [value for _, value in paths])
    inputs, values = [], []
    for (path, value), shape in zip(paths, known, strict=True):
        # One argument with several tensors: their keys are enough.
        keys = path[1:] if single and any(isinstance(part, str) for part in path[1:]) else path
        name = "_".join(str(part) for part in keys)
        kind: Kind = (
            "sparse"
            if isinstance(value, tf.SparseTensor)
            else "ragged"
            if isinstance(value, tf.RaggedTensor)
            else "dense"
        )
        dtype = "float32" if value is None else tf.as_dtype(value.dtype).name
        inputs.append(ModelInput(name, dtype, shape, tuple(path), kind, value is None))
        values.append(value)
    inputs = [
        ModelInput(name, entry.dtype, entry.shape, entry.path, entry.kind, entry.optional)
        for name, entry in zip(unique_names(entry.name for entry in inputs), inputs, strict=True)
    ]

    def call(tensors: Sequence[Any]) -> Any:
        packed = keras.tree.pack_sequence_as(arguments, list(tensors))
        return model(**packed, training=False)

    return ModelInputs(inputs, call), values


def _arguments(model: keras.Model, examples: Any) -> dict[str, Any]:
    """Returns the examples by the arguments of the model's `call`."""
    parameters = [
        parameter
        for name, parameter in inspect.signature(model.call).parameters.items()
        if name not in _KERAS_ARGUMENTS
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    names = [parameter.name for parameter in parameters]
    required = [entry.name for entry in parameters if entry.default is inspect.Parameter.empty]
    if not names:
        raise UsageError(
            f"{model.name}: cannot infer the model's inputs, because its call() has no arguments.",
            "Name them: def call(self, inputs). Or pass signatures.",
        )
    if isinstance(examples, Mapping):
        if set(required) <= set(examples) <= set(names):
            return dict(examples)
    elif (
        # A list is one argument, if the others have defaults.
        isinstance(examples, tuple if len(required) < 2 else list | tuple)
        and max(2, len(required)) <= len(examples) <= len(names)
    ):
        return dict(zip(names, examples, strict=False))
    if len(required) > 1:
        got = (
            ", ".join(map(str, examples)) if isinstance(examples, Mapping) else _count_of(examples)
        )
        raise UsageError(
            f"{model.name}: expected examples of the arguments {', '.join(required)}, got {got}.",
            "Pass a dictionary of arrays by argument.",
        )
    return {names[0]: examples}


def _count_of(examples: Any) -> str:
    return f"{len(examples)} arrays" if isinstance(examples, list | tuple) else "one array"


def _as_arrays(structure: Any) -> Any:
    """Returns a structure of examples with arrays in place of lists of numbers."""
    if isinstance(structure, Mapping):
        return {str(key): _as_arrays(value) for key, value in structure.items()}
    if isinstance(structure, list | tuple) and all(
        hasattr(part, "shape") or isinstance(part, Mapping) or part is None for part in structure
    ):
        return [_as_arrays(part) for part in structure]
    if structure is None or isinstance(structure, tf.RaggedTensor | tf.SparseTensor):
        return structure
    array = np.asarray(structure)
    if array.dtype.kind in "US":
        return array.astype(object)
    # NumPy's default type is not Keras'.
    return array.astype("float32") if array.dtype == np.float64 else array


def _recorded_shapes(model: keras.Model, values: Sequence[Any]) -> list[tuple[int | None, ...]]:
    """Returns the examples' shapes; sizes that may differ are `None`."""
    shapes: list[tuple[int | None, ...]] = [
        (None,) if value is None else (None, *value.shape[1:]) for value in values
    ]
    recorded: list[Any] = []

    def collect(entry: Any) -> None:
        if isinstance(entry, list | tuple) and all(
            size is None or isinstance(size, int) for size in entry
        ):
            recorded.append(entry)
        elif isinstance(entry, Mapping):
            for _, value in sorted(entry.items()):
                collect(value)
        elif isinstance(entry, list | tuple):
            for value in entry:
                collect(value)

    collect(list((getattr(model, "_build_shapes_dict", None) or {}).values()))
    if len(recorded) != len(shapes):
        return shapes
    return [
        tuple(own if own == built else None for own, built in zip(shape, known, strict=True))
        if len(shape) == len(known)
        else shape
        for shape, known in zip(shapes, recorded, strict=True)
    ]
