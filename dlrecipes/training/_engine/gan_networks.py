"""Calls and checks of a GAN's two networks."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def arrange_inputs(network: keras.Model, main: Any, labels: Any) -> Any:
    """Arranges noise or examples, and labels, in the structure of a network's inputs."""
    if isinstance(network, keras.Sequential):
        return main
    return keras.tree.map_structure(
        lambda tensor: labels if tensor.name == "label" else main, network.input
    )


def main_input(name: str, network: keras.Model) -> Any:
    """Returns a network's only input other than `label`.

    Raises:
        ValueError: If the network has no known inputs, or not exactly one such input.
    """
    inputs = getattr(network, "inputs", None)
    if not inputs:
        raise ValueError(f"{name} must be a functional or sequential model with a known input.")
    main = [tensor for tensor in inputs if tensor.name != "label"]
    if len(main) != 1:
        names = [tensor.name for tensor in inputs]
        raise ValueError(
            f"{name} must have one input, and perhaps another named 'label', not {names}."
        )
    return main[0]


def num_classes(network: keras.Model) -> int | None:
    """Returns the number of classes of a network's input `label`, or `None` if unknown."""
    labels = [id(tensor) for tensor in network.inputs if tensor.name == "label"]
    for operation in getattr(network, "operations", ()):
        read = operation._inbound_nodes[0].input_tensors if operation._inbound_nodes else ()
        if any(id(tensor) in labels for tensor in read):
            if isinstance(operation, keras.layers.Embedding):
                return operation.input_dim
            if hasattr(operation, "num_classes"):
                return operation.num_classes
    return None


def check_labels(network: keras.Model, labels: Any) -> None:
    """Raises an error if labels are not integers, or not below the network's number of classes.

    Args:
        network: The generator.
        labels: Array, tensor or `tf.TensorSpec`. The values are checked only if they are known.
    """
    label = next(tensor for tensor in network.inputs if tensor.name == "label")
    if keras.backend.is_int_dtype(label.dtype) and not tf.as_dtype(labels.dtype).is_integer:
        raise ValueError(f"labels must be integers, not {tf.as_dtype(labels.dtype).name}.")
    count = num_classes(network)
    concrete = isinstance(labels, np.ndarray) or (tf.is_tensor(labels) and hasattr(labels, "numpy"))
    if count is None or not concrete or not np.size(labels):
        return
    least, most = int(np.min(labels)), int(np.max(labels))
    if least < 0 or most >= count:
        wrong = least if least < 0 else most
        raise ValueError(f"labels must be from 0 to {count - 1}, got {wrong}.")


def check_pair(generator, discriminator, latent, examples) -> None:
    """Raises an error if the generator and the discriminator do not match."""
    if None in latent.shape[1:]:
        raise ValueError(f"The generator's noise must have a known shape, not {latent.shape}.")
    if len(generator.inputs) != len(discriminator.inputs):
        raise ValueError("Either both networks must have an input 'label', or neither.")
    generated, expected = tuple(generator.outputs[0].shape), tuple(examples.shape)
    if not tf.TensorShape(generated).is_compatible_with(expected):
        raise ValueError(
            f"The discriminator expects shape {expected}, the generator outputs {generated}."
        )


def call_without_updates(network: keras.Model, inputs: Any, training: bool = True) -> tf.Tensor:
    """Returns a network's outputs without updating its weights, such as moving statistics.

    Random states that are not weights, such as dropout's, still advance.
    """
    with keras.StatelessScope() as scope:
        outputs = network(inputs, training=training)
    weights = {id(weight) for weight in network.weights}
    for variable in network.variables:
        value = scope.get_current_value(variable)
        if value is not None and id(variable) not in weights:
            variable.assign(value)
    return outputs
