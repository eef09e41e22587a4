"""The network that won ImageNet's competition of 2012."""

from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import LocalResponseNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models._arguments import integers
from dlrecipes.models.images import (
    channels_last,
    check,
    image_input,
    nth_seed,
    scaled,
    smallest_size,
)


class Stage(NamedTuple):
    """A convolution and what follows it."""

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

    The convolutions give 55, 27, 13, 13 and 13 pixels for an image of 227x227, which is what
    the paper's numbers need (its text says 224). The first two are normalised over
    neighbouring channels; these and the last are pooled by windows of 3x3 with stride 2. In
    the second, fourth and fifth the channels are in two groups that do not see each other,
    which in the paper lay on two GPUs. Layers are named `conv1`, `norm1`, `pool1`, ..., `fc6`,
    `fc7` and `predictions`. With 1000 classes there are 60,965,224 parameters, and 62,378,344
    without groups. In training dropout acts.

    As in the paper the biases of the second, fourth and fifth convolution and of `fc6` and
    `fc7` start at 1, so that the ReLUs pass something on from the first step.

    Args:
        num_classes: Number of classes, at least 1.
        input_shape: Height and width in pixels, at least 67 each, and channels.
        groups: Number of groups, at least 1; with 1 each filter sees all channels.
        width: Multiplies the channels and hidden units, above 0; for small versions.
        dropout: Share of the units left out after `fc6` and `fc7` in training, in [0, 1).
        classifier_activation: Activation of the classifier; `None` gives logits.
        kernel_initializer: Initializer of the kernels; `None` is the paper's, a normal
            distribution of standard deviation 0.01, too small for networks much narrower
            than the paper's, which learn from `"he_normal"`.
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), in the paper RGB from 0 to 255
        less the training set's mean. Output: probabilities of shape `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small or an argument is out of its bounds.

    Example:

    >>> model = alexnet(10, (67, 67, 3), width=1 / 16, kernel_initializer="he_normal")
    >>> tuple(model(keras.ops.ones((2, 67, 67, 3))).shape)
    (2, 10)

    Reference:
        Krizhevsky, Sutskever and Hinton, 2012, "ImageNet classification with deep
        convolutional neural networks", sections 3 to 5 and figure 2.
    """
    check(num_classes, width, dropout=dropout)
    integers(groups=groups)
    if kernel_initializer is None:
        kernel_initializer = keras.initializers.RandomNormal(stddev=0.01)
    # Windows with "same" padding and stride 1 leave the size as it is.
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
