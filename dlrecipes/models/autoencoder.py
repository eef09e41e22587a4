"""The deep autoencoder."""

from collections.abc import Sequence

import keras

from dlrecipes.models._arguments import check_integer_lists, check_integers


def autoencoder(
    num_features: int = 784,
    hidden_units: Sequence[int] = (1000, 500, 250),
    code_units: int = 30,
    activation="sigmoid",
    code_activation=None,
    output_activation="sigmoid",
    name: str = "autoencoder",
) -> keras.Model:
    """Builds a deep autoencoder, which compresses its input to a short code and reconstructs it.

    The encoder narrows from layer to layer to a linear code; the decoder mirrors it. Both are
    models that can be used separately: `model.get_layer("encoder")` computes codes, and
    `model.get_layer("decoder")` turns codes, including sampled ones, into data. With the
    defaults there are 2,837,314 parameters. Encoder and decoder have separate weights, as in
    the paper after its stack of Boltzmann machines has been unrolled for fine-tuning.

    Args:
        num_features: Size of the input, at least 1. Defaults to 784.
        hidden_units: Units of the encoder's hidden layers, each at least 1, from the input to
            the code; the decoder has them in reverse order. Defaults to `(1000, 500, 250)`.
        code_units: Size of the code, at least 1. Defaults to 30.
        activation: Activation of the hidden layers. Defaults to `"sigmoid"`.
        code_activation: Activation of the code. Defaults to `None`, which is linear.
        output_activation: Activation of the output: `"sigmoid"` for inputs from 0 to 1, `None`
            for unbounded inputs. Defaults to `"sigmoid"`.
        name: Model name. Defaults to `"autoencoder"`.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, num_features)`. Output:
        their reconstruction, of the same shape.

    Raises:
        ValueError: If a size is not an integer of at least 1.

    Example:

    >>> import keras
    >>> from dlrecipes.models import autoencoder
    >>> model = autoencoder(6, hidden_units=(4,), code_units=2)
    >>> tuple(model(keras.ops.ones((3, 6))).shape)
    (3, 6)
    >>> tuple(model.get_layer("encoder")(keras.ops.ones((3, 6))).shape)
    (3, 2)

    Reference:
        Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural
        networks", figure 1 and the network 784-1000-500-250-30 for MNIST.
        https://doi.org/10.1126/science.1127647
    """
    check_integers(num_features=num_features, code_units=code_units)
    check_integer_lists(hidden_units=hidden_units)
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
