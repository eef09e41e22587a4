"""AlexNet, the network that won the ImageNet competition of 2012."""

from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import LocalResponseNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models._arguments import check_integers
from dlrecipes.models.images import (
    channels_last,
    check_classifier,
    image_input,
    nth_seed,
    scaled,
    smallest_size,
)


class Stage(NamedTuple):
    """A convolution and the operations that follow it."""

    filters: int
    kernel: int
    stride: int = 1
    padding: str = "same"
    grouped: bool = False
    bias: float = 0.0
    normalized: bool = False
    pooled: bool = False


STAGES = (
    Stage(96, 11, stride=4, padding="valid", normalized=True, pooled=True),
    Stage(256, 5, grouped=True, bias=1.0, normalized=True, pooled=True),
    Stage(384, 3),
    Stage(384, 3, grouped=True, bias=1.0),
    Stage(256, 3, grouped=True, bias=1.0, pooled=True),
)
POOL = (3, 2)
HIDDEN_UNITS = 4096


@channels_last
def alexnet(
    num_classes: int = 1000,
    input_shape: tuple[int, int, int] = (227, 227, 3),
    groups: int = 2,
    width: float = 1.0,
    dropout: float = 0.5,
    classifier_activation="softmax",
    kernel_initializer=None,
    seed: int | None = None,
    name: str = "alexnet",
) -> keras.Model:
    """Builds AlexNet: five convolutions, overlapping max pooling and three dense layers.

    For an image of 227x227 the convolutions give 55, 27, 13, 13 and 13 pixels; the paper's text
    says 224, but its numbers require 227. The first two convolutions are followed by
    normalisation over neighbouring channels; the first two and the last are followed by max
    pooling with 3x3 windows and stride 2. The second, fourth and fifth convolutions split the
    channels into two independent groups, which the paper placed on two GPUs. Layers are named
    `conv1`, `norm1`, `pool1`, ..., `fc6`, `fc7` and `predictions`. With 1000 classes there are
    60,965,224 parameters, or 62,378,344 without groups. Dropout is active in training only.

    As in the paper, the biases of the second, fourth and fifth convolutions and of `fc6` and
    `fc7` start at 1, so that the ReLUs receive positive inputs from the first step.

    Args:
        num_classes: Number of classes, at least 1. Defaults to 1000.
        input_shape: Height and width in pixels, at least 67 each, and channels. Defaults to
            `(227, 227, 3)`.
        groups: Number of channel groups, at least 1; with 1 each filter sees all channels.
            Defaults to 2.
        width: Multiplier of the channels and hidden units, above 0, for smaller versions.
            Defaults to 1.
        dropout: Dropout rate after `fc6` and `fc7`, in [0, 1). Defaults to 0.5.
        classifier_activation: Activation of the classifier; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.01. That is too small for networks much
            narrower than the paper's, which learn from `"he_normal"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"alexnet"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last); in the paper, RGB values from 0 to
        255 minus the training set's mean. Output: probabilities of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small or an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import alexnet
    >>> model = alexnet(10, (67, 67, 3), width=1 / 16, kernel_initializer="he_normal")
    >>> tuple(model(keras.ops.ones((2, 67, 67, 3))).shape)
    (2, 10)

    Reference:
        Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep
        convolutional neural networks", sections 3 to 5 and figure 2.
    """
    check_classifier(num_classes, width, dropout=dropout)
    check_integers(groups=groups)
    if kernel_initializer is None:
        kernel_initializer = keras.initializers.RandomNormal(stddev=0.01)
    # Windows with "same" padding and stride 1 keep the size.
    pools = [POOL] * sum(stage.pooled for stage in STAGES)
    smallest = smallest_size((STAGES[0].kernel, STAGES[0].stride), *pools)

    images = x = image_input(input_shape, smallest)
    for index, stage in enumerate(STAGES, start=1):
        x = layers.Conv2D(
            scaled(stage.filters, width, multiple=groups),
            stage.kernel,
            stage.stride,
            stage.padding,
            groups=groups if stage.grouped else 1,
            activation="relu",
            kernel_initializer=fresh(kernel_initializer),
            bias_initializer=keras.initializers.Constant(stage.bias),
            name=f"conv{index}",
        )(x)
        if stage.normalized:
            x = LocalResponseNormalization(name=f"norm{index}")(x)
        if stage.pooled:
            x = layers.MaxPooling2D(*POOL, name=f"pool{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    for index, layer in enumerate(("fc6", "fc7")):
        x = layers.Dense(
            scaled(HIDDEN_UNITS, width),
            "relu",
            kernel_initializer=fresh(kernel_initializer),
            bias_initializer="ones",
            name=layer,
        )(x)
        x = layers.Dropout(dropout, seed=nth_seed(seed, index), name=f"{layer}_dropout")(x)
    y = layers.Dense(
        num_classes,
        classifier_activation,
        kernel_initializer=fresh(kernel_initializer),
        name="predictions",
    )(x)
    return keras.Model(images, y, name=name)
