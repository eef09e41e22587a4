"""LeNet-5, the convolutional network that read digits on bank cheques."""

import keras
import numpy as np
from keras import layers, ops

from dlrecipes.layers import PartialConv2D, RBFOutput, ScaledTanh, TrainableSubsampling2D
from dlrecipes.layers._arguments import fresh
from dlrecipes.models.digit_bitmaps import digit_bitmaps
from dlrecipes.models.images import (
    channels_last,
    check_choice,
    check_classifier,
    image_input,
    scaled,
    smallest_size,
)

C1, C3, C5, F6 = 6, 16, 120, 84
# The maps of S2 that each map of C3 is connected to: the paper's table I.
CONNECTIONS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


@channels_last
def lenet5(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 1),
    padding: str = "valid",
    activation="relu",
    pooling: str = "max",
    connections: str = "full",
    output: str = "dense",
    prototypes=None,
    width: float = 1.0,
    dropout: float = 0.0,
    classifier_activation="softmax",
    kernel_initializer="glorot_uniform",
    seed: int | None = None,
    name: str = "lenet5",
) -> keras.Model:
    """Builds LeNet-5; the defaults give the simplified version that is common today.

    The 5x5 convolutions C1, C3 and C5 and the 2x2 pooling layers S2 and S4 reduce an image of
    32x32 to 28, 14, 10, 5 and 1; the dense layer F6 and the output follow. Layers are named
    `C1`, `S2`, `C3`, `S4`, `C5`, `F6` and `predictions`. By default the network has ReLUs, max
    pooling, all connections in C3 and a dense softmax layer: 61,706 parameters. Dropout is active
    in training only.

    The paper's own network has 60,000 trainable parameters:

        lenet5(activation="scaled_tanh", pooling="trainable", connections="paper", output="rbf")

    Its output units measure the squared distance between F6 and a bitmap of each class. The
    negative distances are the logits here, so that the cross-entropy is the paper's loss
    (equation 9) without its constant. Two things differ from the paper: for images larger than
    32x32, F6 reads all positions of C5 at once, and weights have Glorot's initialisation.

    Args:
        num_classes: Number of classes, at least 1. Defaults to 10.
        input_shape: Height and width in pixels, at least 32 each (28 with `padding="same"`), and
            channels. Defaults to `(32, 32, 1)`.
        padding: Padding of C1: `"valid"`, or `"same"`, which adds a border of zeros, so that
            28x28 pixels become the paper's 32x32. Defaults to `"valid"`.
        activation: Activation after C1, C3, C5 and F6, and after trainable pooling: an activation
            of Keras, or `"scaled_tanh"`, the paper's. Defaults to `"relu"`.
        pooling: `"max"`, `"average"`, or `"trainable"`, a sum with a coefficient and a bias.
            Defaults to `"max"`.
        connections: Connections of C3: `"full"`, or `"paper"`, in which each map reads three, four
            or six maps of S2; the latter needs a width of 1. Defaults to `"full"`.
        output: `"dense"`, or `"rbf"`, distances to prototypes. Defaults to `"dense"`.
        prototypes: Prototypes for `"rbf"`, of shape `(num_classes, units of F6)`; in the paper, 1
            and -1. Defaults to `None`, the digits as bitmaps of 7x12, for up to 10 classes and a
            width of 1.
        width: Multiplier of the channels and hidden units, above 0, for smaller versions.
            Defaults to 1.
        dropout: Dropout rate of F6, in [0, 1). Defaults to 0.
        classifier_activation: Activation of the output; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `"glorot_uniform"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"lenet5"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last); in the paper, scaled so that the
        background is -0.1 and the ink 1.175. Output: probabilities of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small, an argument is out of bounds, or two arguments
            contradict each other.

    Example:

    >>> import keras
    >>> from dlrecipes.models import lenet5
    >>> model = lenet5(input_shape=(28, 28, 1), padding="same")
    >>> tuple(model(keras.ops.ones((2, 28, 28, 1))).shape), model.count_params()
    ((2, 10), 61706)

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, figure 2 and table I. https://doi.org/10.1109/5.726791
    """
    check_classifier(num_classes, width, dropout=dropout)
    _check(num_classes, padding, pooling, connections, output, prototypes, width)
    # A window of size 1 stands for the padded one.
    first = 5 if padding == "valid" else 1
    images = image_input(input_shape, smallest_size((first, 1), (2, 2), (5, 1), (2, 2), (5, 1)))

    def conv(x, filters, name, padding="valid"):
        options = {"padding": padding, "kernel_initializer": fresh(kernel_initializer)}
        if name == "C3" and connections == "paper":
            layer = PartialConv2D(filters, 5, _table(), name=name, **options)
        else:
            layer = layers.Conv2D(scaled(filters, width), 5, name=name, **options)
        return _activate(layer(x), activation, name)

    x = conv(images, C1, "C1", padding)
    x = _pool(x, pooling, activation, "S2")
    x = conv(x, C3, "C3")
    x = _pool(x, pooling, activation, "S4")
    x = layers.Flatten(name="flatten")(conv(x, C5, "C5"))
    x = layers.Dense(scaled(F6, width), kernel_initializer=fresh(kernel_initializer), name="F6")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(_activate(x, activation, "F6"))
    if output == "rbf":
        y = _distances(x, num_classes, prototypes, classifier_activation)
    else:
        y = layers.Dense(
            num_classes,
            classifier_activation,
            kernel_initializer=fresh(kernel_initializer),
            name="predictions",
        )(x)
    return keras.Model(images, y, name=name)


def _check(num_classes, padding, pooling, connections, output, prototypes, width) -> None:
    check_choice("padding", padding, ("valid", "same"))
    check_choice("pooling", pooling, ("max", "average", "trainable"))
    check_choice("connections", connections, ("full", "paper"))
    check_choice("output", output, ("dense", "rbf"))
    if connections == "paper" and width != 1:
        raise ValueError(f"connections='paper' needs a width of 1, not {width!r}.")
    if output == "dense":
        if prototypes is not None:
            raise ValueError("prototypes are for output='rbf'; leave them out for 'dense'.")
        return
    features = scaled(F6, width)
    bitmaps = digit_bitmaps()
    if prototypes is None and (num_classes > len(bitmaps) or features != F6):
        raise ValueError(
            f"output='rbf' needs prototypes of shape ({num_classes}, {features}); the built-in "
            f"ones are for at most {len(bitmaps)} classes and a width of 1."
        )
    if prototypes is not None and np.shape(prototypes) != (num_classes, features):
        raise ValueError(
            f"prototypes must be of shape ({num_classes}, {features}), not {np.shape(prototypes)}."
        )


def _table() -> np.ndarray:
    """Returns a matrix with `True` where a map of S2 (row) is connected to a map of C3 (column)."""
    return np.array([[row in column for column in CONNECTIONS] for row in range(C1)])


def _activate(x, activation, name: str):
    name = f"{name}_activation"
    if activation == "scaled_tanh":
        return ScaledTanh(name=name)(x)
    return layers.Activation(activation, name=name)(x)


def _pool(x, pooling: str, activation, name: str):
    if pooling == "max":
        return layers.MaxPooling2D(2, name=name)(x)
    if pooling == "average":
        return layers.AveragePooling2D(2, name=name)(x)
    return _activate(TrainableSubsampling2D(2, name=name)(x), activation, name)


def _distances(x, num_classes: int, prototypes, classifier_activation):
    if prototypes is None:
        prototypes = digit_bitmaps()[:num_classes]
    # Distances are about as large as the number of features: a 16-bit policy cannot hold them.
    dtype = keras.backend.result_type(x.dtype, "float32")
    y = RBFOutput(num_classes, prototypes, dtype=dtype, name="distances")(x)
    return layers.Activation(classifier_activation, dtype=dtype, name="predictions")(
        ops.negative(y)
    )
