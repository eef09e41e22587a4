"""What a GAN's step asks of its two networks: inputs in their structure, calls without a trace."""

from typing import Any

import keras
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
