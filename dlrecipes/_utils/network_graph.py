"""Layers inside functional Keras models, also in nested models and in ensembles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Member:
    """A network without ensembles: the model itself, or one member of an ensemble.

    Args:
        layers: Layers from the input to the scores; those of nested models in place of the models.
        scores: Operation whose output are the scores, before a softmax that is a layer of its own.
        has_softmax: Whether such a layer follows the scores.
    """

    layers: tuple[keras.layers.Layer, ...]
    scores: Any
    has_softmax: bool


def nested_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a functional model in order, those of nested models in their place.

    Args:
        model: Functional or sequential model. Its input layers are left out: a nested model does
            not call them.
    """
    import keras

    for layer in model.layers:
        if _is_functional(layer):
            yield from nested_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def members(model: keras.Model) -> list[Member]:
    """Returns the members of an ensemble, or the model itself as the only one.

    Args:
        model: Functional or sequential model with one output.

    Raises:
        ValueError: If the model is not functional, or has several outputs.
    """
    if not _is_functional(model):
        raise ValueError(f"{model.name} must be a functional or a sequential model that is built.")
    if len(model.outputs) != 1:
        raise ValueError(f"{model.name} must have one output, not {len(model.outputs)}.")
    return _members(model.inputs, model.outputs[0], (), False)


def _members(inputs: Any, tensor: Any, before: tuple[Any, ...], has_softmax: bool) -> list[Member]:
    """Returns the members that a tensor is the mean of; `before` are layers before the inputs."""
    import keras

    operation, node, _ = tensor._keras_history
    sources = operation._inbound_nodes[node].input_tensors
    if is_softmax(operation):
        return _members(inputs, sources[0], before, True)
    # `EnsembleMean` is defined above this module.
    if isinstance(operation, keras.layers.Average) or type(operation).__name__ == "EnsembleMean":
        parts = [_members(inputs, source, before, has_softmax) for source in sources]
        return [member for part in parts for member in part]
    if _is_functional(operation):
        before += tuple(nested_layers(keras.Model(inputs, sources)))
        return _members(operation.inputs, operation.outputs[0], before, has_softmax)
    layers = (*before, *nested_layers(keras.Model(inputs, tensor)))
    return [Member(layers, operation, has_softmax)]


def is_softmax(operation: Any) -> bool:
    """Returns whether an operation is a softmax and nothing else."""
    import keras

    is_activation = isinstance(operation, keras.layers.Activation)
    return type(operation).__name__ == "Softmax" or (
        is_activation and operation.activation is keras.activations.softmax
    )


def _is_functional(layer: Any) -> bool:
    # The attribute raises an error in a sequential model that is not built.
    return bool(getattr(layer, "inputs", None)) and hasattr(layer, "layers")


def output_shape(layer: keras.layers.Layer) -> tuple[int | None, ...]:
    """Returns the shape of a layer's output in its functional model; `()` if there are several."""
    nodes = layer._inbound_nodes
    outputs: Sequence[Any] = nodes[-1].output_tensors if nodes else ()
    return tuple(outputs[0].shape) if len(outputs) == 1 else ()


@contextmanager
def intercepted(
    layers: Sequence[Any], on_output: Callable[[Any, Any], Any], method: str = "call"
) -> Iterator[None]:
    """Passes what the layers compute through a function, while the context lasts.

    Works for layers of nested models and inside a `tf.function` that is traced in the context.
    Other threads must not call the layers meanwhile.

    Args:
        layers: Layers.
        on_output: Function from a layer and its output to the output to use.
        method: `"call"`, or `"activation"` for the input of the layers' activation functions.
            Defaults to `"call"`.
    """
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_intercepted(layer, on_output, method))
        yield


@contextmanager
def _intercepted(layer: Any, on_output: Callable[[Any, Any], Any], method: str) -> Iterator[None]:
    original = getattr(layer, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        if method == "activation":
            return original(on_output(layer, args[0]))
        return on_output(layer, original(*args, **kwargs))

    is_own = method in vars(layer)
    setattr(layer, method, call)
    try:
        yield
    finally:
        if is_own:
            setattr(layer, method, original)
        else:
            delattr(layer, method)
