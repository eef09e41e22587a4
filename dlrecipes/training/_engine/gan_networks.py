"""What a GAN's step asks of its two networks: inputs in their structure, calls without a trace."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def inputs_of(network: keras.Model, main: Any, labels: Any) -> Any:
    """Returns noise or examples, and labels, in the structure that a network takes."""
    if isinstance(network, keras.Sequential):
        return main
    return keras.tree.map_structure(
        lambda tensor: labels if tensor.name == "label" else main, network.input
    )


def main_input(name: str, network: keras.Model) -> Any:
    """Returns a network's input that is no label; refuses other inputs."""
    inputs = getattr(network, "inputs", None)
    if not inputs:
        raise ValueError(f"{name} must be a functional or sequential model with a given input.")
    main = [tensor for tensor in inputs if tensor.name != "label"]
    if len(main) != 1:
        names = [tensor.name for tensor in inputs]
        raise ValueError(f"{name} must have one input, or two, one named 'label', not {names}.")
    return main[0]


def classes(network: keras.Model) -> int | None:
    """Returns how many classes a network's input `label` may have; `None` if that is not told."""
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
    """Refuses labels that are no integers, and those beyond a network's classes.

    Args:
        network: The generator.
        labels: An array, a tensor or a `tf.TensorSpec`; what is no array is not looked into.
    """
    wanted = next(tensor for tensor in network.inputs if tensor.name == "label")
    if keras.backend.is_int_dtype(wanted.dtype) and not tf.as_dtype(labels.dtype).is_integer:
        raise ValueError(f"labels must be integers, not {tf.as_dtype(labels.dtype).name}.")
    count = classes(network)
    concrete = isinstance(labels, np.ndarray) or (tf.is_tensor(labels) and hasattr(labels, "numpy"))
    if count is None or not concrete or not np.size(labels):
        return
    least, most = int(np.min(labels)), int(np.max(labels))
    if least < 0 or most >= count:
        wrong = least if least < 0 else most
        raise ValueError(f"labels must be from 0 to {count - 1}: there is one of {wrong}.")


def check(generator, discriminator, latent, examples) -> None:
    """Refuses networks that do not fit one another."""
    if None in latent.shape[1:]:
        raise ValueError(f"The generator's noise must have a given shape, not {latent.shape}.")
    if len(generator.inputs) != len(discriminator.inputs):
        raise ValueError("Either both networks have an input 'label' or none.")
    made, read = tuple(generator.outputs[0].shape), tuple(examples.shape)
    if not tf.TensorShape(made).is_compatible_with(read):
        raise ValueError(f"The discriminator reads shape {read}, the generator makes {made}.")


def unchanged(network: keras.Model, inputs: Any, training: bool = True) -> tf.Tensor:
    """Returns a network's outputs in training; of what it keeps, only random states move on."""
    with keras.StatelessScope() as scope:
        outputs = network(inputs, training=training)
    weights = {id(weight) for weight in network.weights}
    for variable in network.variables:
        value = scope.get_current_value(variable)
        if value is not None and id(variable) not in weights:
            variable.assign(value)
    return outputs
