"""The network that read cheques: LeNet-5."""

import keras
import numpy as np
from keras import layers, ops

from dlrecipes.layers import PartialConv2D, RBFOutput, ScaledTanh, TrainableSubsampling2D
from dlrecipes.layers._arguments import fresh
from dlrecipes.models.digit_bitmaps import digit_bitmaps
from dlrecipes.models.images import (
    channels_last,
    check,
    choose,
    image_input,
    scaled,
    smallest_size,
)

C1, C3, C5, F6 = 6, 16, 120, 84
# The maps of S2 that each map of C3 sees: the paper's table I.
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
    """Builds LeNet-5, by default as it is usually simplified today.

    Convolutions C1, C3 and C5 of 5x5 and pooling layers S2 and S4 of 2x2 reduce an image of
    32x32 to 28, 14, 10, 5 and 1; the dense layer F6 and the output follow. Layers are named
    `C1`, `S2`, `C3`, `S4`, `C5`, `F6` and `predictions`. By default there are ReLUs, max
    pooling, all connections in C3 and a dense softmax layer: 61,706 parameters. In training
    dropout acts.

    The paper's own network has 60,000 trainable parameters:

        lenet5(activation="scaled_tanh", pooling="trainable", connections="paper", output="rbf")

    Its output units measure the squared distance of F6 to a drawing of each class, and the
    negative distances are the logits here: the cross-entropy is then the paper's loss
    (equation 9) without its constant. Unlike the paper's, the layer C5 is followed by F6 at
    all positions together where the image is larger, and weights start as Glorot's.

    Args:
        num_classes: Number of classes, at least 1.
        input_shape: Height and width in pixels, at least 32 each, and channels; with the
            padding `"same"` at least 28 each.
        padding: Padding of C1: `"valid"`, or `"same"`, which makes an image of 28x28 the
            paper's 32x32 with a border of zeros.
        activation: Activation after C1, C3, C5 and F6, and after trainable pooling: one of
            Keras', or `"scaled_tanh"`, the paper's.
        pooling: `"max"`, `"average"`, or `"trainable"`, sums with a coefficient and a bias.
        connections: Connections of C3: `"full"`, or the paper's table, `"paper"`, where each
            map sees three, four or six of S2's; that needs a width of 1.
        output: `"dense"`, or `"rbf"`, distances to prototypes.
        prototypes: Numbers of shape `(num_classes, units of F6)` for `"rbf"`, of 1 and -1 in
            the paper; `None` is the digits as bitmaps of 7x12, for up to 10 classes and a
            width of 1.
        width: Multiplies the channels and hidden units, above 0; for small versions.
        dropout: Share of F6's units left out in training, in [0, 1).
        classifier_activation: Activation of the output; `None` gives logits.
        kernel_initializer: Initializer of the kernels.
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), in the paper scaled so that the
        background is -0.1 and the ink 1.175. Output: probabilities of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small, an argument is out of its bounds, or
            two of them do not go together.

    Example:

    >>> model = lenet5(input_shape=(28, 28, 1), padding="same")
    >>> tuple(model(keras.ops.ones((2, 28, 28, 1))).shape), model.count_params()
    ((2, 10), 61706)

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section II.B, figure 2 and table I.
    """
    check(num_classes, width, dropout=dropout)
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
        return _squash(layer(x), activation, name)

    x = conv(images, C1, "C1", padding)
    x = _pool(x, pooling, activation, "S2")
    x = conv(x, C3, "C3")
    x = _pool(x, pooling, activation, "S4")
    x = layers.Flatten(name="flatten")(conv(x, C5, "C5"))
    x = layers.Dense(scaled(F6, width), kernel_initializer=fresh(kernel_initializer), name="F6")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(_squash(x, activation, "F6"))
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
    choose("padding", padding, ("valid", "same"))
    choose("pooling", pooling, ("max", "average", "trainable"))
    choose("connections", connections, ("full", "paper"))
    choose("output", output, ("dense", "rbf"))
    if connections == "paper" and width != 1:
        raise ValueError(f"connections='paper' needs a width of 1, not {width!r}.")
    if output == "dense":
        if prototypes is not None:
            raise ValueError("prototypes are those of output='rbf'; leave them out.")
        return
    features = scaled(F6, width)
    drawn = digit_bitmaps()
    if prototypes is None and (num_classes > len(drawn) or features != F6):
        raise ValueError(
            f"output='rbf' needs prototypes of shape ({num_classes}, {features}); those built in "
            f"are for at most {len(drawn)} classes and a width of 1."
        )
    if prototypes is not None and np.shape(prototypes) != (num_classes, features):
        raise ValueError(
            f"prototypes must be of shape ({num_classes}, {features}), not {np.shape(prototypes)}."
        )


def _table() -> np.ndarray:
    """Returns which map of C3 (column) sees which map of S2 (row)."""
    return np.array([[row in column for column in CONNECTIONS] for row in range(C1)])


def _squash(x, activation, name: str):
    name = f"{name}_activation"
    if activation == "scaled_tanh":
        return ScaledTanh(name=name)(x)
    return layers.Activation(activation, name=name)(x)


def _pool(x, pooling: str, activation, name: str):
    if pooling == "max":
        return layers.MaxPooling2D(2, name=name)(x)
    if pooling == "average":
        return layers.AveragePooling2D(2, name=name)(x)
    return _squash(TrainableSubsampling2D(2, name=name)(x), activation, name)


def _distances(x, num_classes: int, prototypes, classifier_activation):
    if prototypes is None:
        prototypes = digit_bitmaps()[:num_classes]
    # Distances are about as large as there are features, too large for a 16-bit policy.
    dtype = keras.backend.result_type(x.dtype, "float32")
    y = RBFOutput(num_classes, prototypes, dtype=dtype, name="distances")(x)
    return layers.Activation(classifier_activation, dtype=dtype, name="predictions")(
        ops.negative(y)
    )
