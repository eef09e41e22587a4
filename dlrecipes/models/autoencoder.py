"""The deep autoencoder."""

from collections.abc import Sequence

import keras

from dlrecipes.models._arguments import integers, several


def autoencoder(
    num_features: int = 784,
    hidden_units: Sequence[int] = (1000, 500, 250),
    code_units: int = 30,
    activation="sigmoid",
    code_activation=None,
    output_activation="sigmoid",
    name: str = "autoencoder",
) -> keras.Model:
    """Builds a network that describes its input in a few numbers and restores it from those.

    The encoder narrows from layer to layer to a linear code, and the decoder mirrors it. Both
    are models of their own: `model.get_layer("encoder")` gives codes, and
    `model.get_layer("decoder")` turns codes, drawn ones too, into data. With the defaults there
    are 2,837,314 parameters. Encoder and decoder share no weights, as in the paper once its
    stack of Boltzmann machines has been unrolled and is fine-tuned.

    Args:
        num_features: Size of the input, at least 1.
        hidden_units: Units of the encoder's hidden layers, each at least 1, from the input to
            the code; the decoder has them the other way round.
        code_units: Size of the code, at least 1.
        activation: Activation of the hidden layers.
        code_activation: Activation of the code; `None` is linear.
        output_activation: Activation of the output: the logistic function for inputs from 0
            to 1, and `None` for others.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, num_features)`. Output:
        their reconstruction, of the same shape.

    Raises:
        ValueError: If a size is not an integer of at least 1.

    Example:

    >>> model = autoencoder(6, hidden_units=(4,), code_units=2)
    >>> tuple(model(keras.ops.ones((3, 6))).shape)
    (3, 6)
    >>> tuple(model.get_layer("encoder")(keras.ops.ones((3, 6))).shape)
    (3, 2)

    Reference:
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural
        networks", figure 1 and the network 784-1000-500-250-30 for MNIST.
    """
    integers(num_features=num_features, code_units=code_units)
    several(hidden_units=hidden_units)
    layers = [(units, activation, f"hidden_{index}") for index, units in enumerate(hidden_units, 1)]
    ends = ((code_units, code_activation, "code"), (num_features, output_activation, "outputs"))
    encoder = _stack("encoder", "features", num_features, [*layers, ends[0]])
    decoder = _stack("decoder", "code", code_units, [*layers[::-1], ends[1]])
    features = keras.Input((num_features,), name="features")
    return keras.Model(features, decoder(encoder(features)), name=name)


def _stack(name: str, input_name: str, size: int, layers) -> keras.Model:
    inputs = x = keras.Input((size,), name=input_name)
    for units, activation, layer_name in layers:
        x = keras.layers.Dense(units, activation=activation, name=layer_name)(x)
    return keras.Model(inputs, x, name=name)
