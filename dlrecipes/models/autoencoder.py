"""Autoencoders: deep and convolutional."""

import math
from collections.abc import Sequence

import keras

from dlrecipes.models._arguments import check_integer_lists, check_integers
from dlrecipes.models.images import channels_last


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


@channels_last
def convolutional_autoencoder(
    input_shape: Sequence[int] = (28, 28, 1),
    filters: Sequence[int] = (32, 64),
    code_units: int = 30,
    activation="relu",
    code_activation=None,
    output_activation="sigmoid",
    name: str = "convolutional_autoencoder",
) -> keras.Model:
    """Builds an autoencoder of images whose hidden layers are convolutions.

    Each convolution of the encoder halves height and width; a dense layer makes a short code of
    the last one. The decoder mirrors it with transposed convolutions, and crops what rounding up
    added. Both are models that can be used separately: `model.get_layer("encoder")` and
    `model.get_layer("decoder")`. With the defaults there are 228,895 parameters.

    Args:
        input_shape: Height, width and channels of the images, each at least 1. Defaults to
            `(28, 28, 1)`.
        filters: Filters of the encoder's convolutions, at least one; the decoder has them in
            reverse order. Defaults to `(32, 64)`.
        code_units: Size of the code, at least 1. Defaults to 30.
        activation: Activation of the hidden layers. Defaults to `"relu"`.
        code_activation: Activation of the code. Defaults to `None`, which is linear.
        output_activation: Activation of the output: `"sigmoid"` for images from 0 to 1, `None` for
            unbounded ones. Defaults to `"sigmoid"`.
        name: Model name. Defaults to `"convolutional_autoencoder"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape `(batch, *input_shape)`. Output: their
        reconstruction, of the same shape.

    Raises:
        ValueError: If a size is not an integer of at least 1, or no convolution is given.

    Example:

    >>> import keras
    >>> from dlrecipes.models import convolutional_autoencoder
    >>> model = convolutional_autoencoder((9, 7, 3), filters=(4, 8), code_units=2)
    >>> tuple(model(keras.ops.ones((2, 9, 7, 3))).shape)
    (2, 9, 7, 3)
    >>> tuple(model.get_layer("encoder")(keras.ops.ones((2, 9, 7, 3))).shape)
    (2, 2)

    Reference:
        Masci, Meier, Ciresan and Schmidhuber, 2011, "Stacked convolutional auto-encoders for
        hierarchical feature extraction", with strides in place of pooling.
        https://doi.org/10.1007/978-3-642-21735-7_7
    """
    check_integer_lists(input_shape=input_shape, filters=filters)
    check_integers(code_units=code_units)
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), not {input_shape!r}.")
    if not filters:
        raise ValueError("filters must have the number of at least one convolution, not ().")
    layers = keras.layers
    options = {"kernel_size": 3, "strides": 2, "padding": "same"}
    images = x = keras.Input(tuple(input_shape), name="images")
    for index, channels in enumerate(filters, 1):
        x = layers.Conv2D(channels, activation=activation, name=f"conv_{index}", **options)(x)
    smallest = tuple(x.shape[1:])
    x = layers.Dense(code_units, code_activation, name="code")(layers.Flatten(name="flatten")(x))
    encoder = keras.Model(images, x, name="encoder")

    code = keras.Input((code_units,), name="code")
    x = layers.Dense(math.prod(smallest), activation, name="unflatten")(code)
    x = layers.Reshape(smallest, name="maps")(x)
    for index, channels in enumerate([*filters[-2::-1], input_shape[2]], 1):
        is_last = index == len(filters)
        x = layers.Conv2DTranspose(
            channels,
            activation=output_activation if is_last else activation,
            name="outputs" if is_last else f"deconv_{index}",
            **options,
        )(x)
    extra = [(0, have - need) for have, need in zip(x.shape[1:3], input_shape, strict=False)]
    if any(after for _, after in extra):
        x = layers.Cropping2D(extra, name="crop")(x)
    decoder = keras.Model(code, x, name="decoder")
    return keras.Model(images, decoder(encoder(images)), name=name)
