"""GoogLeNet, the first network of Inception modules."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import LocalResponseNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models.images import (
    channels_last,
    check_classifier,
    image_input,
    nth_seed,
    scaled,
    smallest_size,
)


class Module(NamedTuple):
    """The channels of an Inception module's convolutions, in the order of the paper's table 1."""

    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    projection: int


MODULES = {
    "3a": Module(64, 96, 128, 16, 32, 32),
    "3b": Module(128, 128, 192, 32, 96, 64),
    "4a": Module(192, 96, 208, 16, 48, 64),
    "4b": Module(160, 112, 224, 24, 64, 64),
    "4c": Module(128, 128, 256, 24, 64, 64),
    "4d": Module(112, 144, 288, 32, 64, 64),
    "4e": Module(256, 160, 320, 32, 128, 128),
    "5a": Module(256, 160, 320, 32, 128, 128),
    "5b": Module(384, 192, 384, 48, 128, 128),
}
# The modules followed by max pooling, and the modules with an auxiliary classifier.
POOLED = {"3b": "pool3", "4e": "pool4"}
AUXILIARY = {"4a": "auxiliary_1", "4d": "auxiliary_2"}
AUXILIARY_POOL = (5, 3)


@channels_last
def googlenet(
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    auxiliary: bool = False,
    width: float = 1.0,
    dropout: float = 0.4,
    auxiliary_dropout: float = 0.7,
    classifier_activation="softmax",
    kernel_initializer="glorot_uniform",
    seed: int | None = None,
    name: str = "googlenet",
) -> keras.Model:
    """Builds GoogLeNet: nine Inception modules, which process features at four scales in parallel.

    A stem is followed by the modules `inception_3a`, ..., `inception_5b`, of 28, 14 and 7 pixels
    for an image of 224x224, by the mean over the image and by the classifier. A module
    concatenates a 1x1, a 3x3 and a 5x5 convolution and a max pooling; 1x1 convolutions reduce the
    channels of the last three. With 1000 classes there are 6,998,552 parameters, or 13,378,280
    with the auxiliary classifiers. Dropout is active in training only.

    Two auxiliary classifiers, on modules 4a and 4d, pass more gradient to the lower layers. The
    paper adds their losses with a weight of 0.3 (in `compile`, `loss` and `loss_weights` are then
    dictionaries by output). They are not needed after training:
    `keras.Model(model.input, model.output["predictions"])` removes them.

    The paper gives neither the constants of the local response normalisation, which are AlexNet's
    here, nor the initialisation.

    Args:
        num_classes: Number of classes, at least 1. Defaults to 1000.
        input_shape: Height and width in pixels, of any size (`None` allows all sizes), and
            channels. With auxiliary classifiers the size must be fixed and at least 65. Sizes are
            halved five times, rounding up. Defaults to `(224, 224, 3)`.
        auxiliary: Whether to add the auxiliary classifiers, as in the paper's training. Defaults
            to `False`.
        width: Multiplier of the channels and hidden units, above 0, for smaller versions.
            Defaults to 1.
        dropout: Dropout rate of the pooled features, in [0, 1). Defaults to 0.4.
        auxiliary_dropout: Dropout rate of the auxiliary classifiers' hidden units, in [0, 1).
            Defaults to 0.7.
        classifier_activation: Activation of the classifiers; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `"glorot_uniform"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"googlenet"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last); in the paper, RGB values from 0 to 255
        minus the training set's mean. Output: probabilities of shape `(batch, num_classes)`, or,
        with auxiliary classifiers, a dictionary of three such tensors: `predictions`,
        `auxiliary_1` and `auxiliary_2`.

    Raises:
        ValueError: If the images are too small or an argument is out of bounds.

    Example:

    >>> from dlrecipes.models import googlenet
    >>> model = googlenet(10, (65, 65, 3), auxiliary=True, width=1 / 16)
    >>> sorted(model.output)
    ['auxiliary_1', 'auxiliary_2', 'predictions']

    Reference:
        Szegedy et al., 2014, "Going deeper with convolutions", section 5, table 1 and figure 3.
        https://arxiv.org/abs/1409.4842
    """
    check_classifier(num_classes, width, dropout=dropout, auxiliary_dropout=auxiliary_dropout)
    # The pooling of the auxiliary classifiers follows four halvings with "same" padding.
    windows = (*[(1, 2)] * 4, AUXILIARY_POOL) if auxiliary else ()
    images = image_input(input_shape, smallest_size(*windows), any_size=not auxiliary)
    conv = partial(_conv, width=width, initializer=kernel_initializer)
    dense = partial(_dense, initializer=kernel_initializer)

    x = _stem(images, conv)
    outputs = {}
    for module, channels in MODULES.items():
        x = _inception(x, conv, channels, f"inception_{module}")
        if auxiliary and module in AUXILIARY:
            head = AUXILIARY[module]
            y = _auxiliary(x, conv, head)
            y = dense(y, scaled(1024, width), "relu", f"{head}_hidden")
            drop_seed = nth_seed(seed, 1 + len(outputs))
            y = layers.Dropout(auxiliary_dropout, seed=drop_seed, name=f"{head}_dropout")(y)
            outputs[head] = dense(y, num_classes, classifier_activation, head)
        if module in POOLED:
            x = layers.MaxPooling2D(3, 2, "same", name=POOLED[module])(x)
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, seed=nth_seed(seed, 0), name="dropout")(x)
    y = dense(x, num_classes, classifier_activation, "predictions")
    return keras.Model(images, {"predictions": y, **outputs} if auxiliary else y, name=name)


def _stem(x, conv: Callable):
    x = conv(x, 64, 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = LocalResponseNormalization(name="norm1")(x)
    x = conv(x, 64, 1, "conv2_reduce")
    x = conv(x, 192, 3, "conv2")
    x = LocalResponseNormalization(name="norm2")(x)
    return layers.MaxPooling2D(3, 2, "same", name="pool2")(x)


def _inception(x, conv: Callable, channels: Module, name: str):
    pooled = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    reduced_3x3 = conv(x, channels.reduce_3x3, 1, f"{name}_3x3_reduce")
    reduced_5x5 = conv(x, channels.reduce_5x5, 1, f"{name}_5x5_reduce")
    branches = [
        conv(x, channels.conv_1x1, 1, f"{name}_1x1"),
        conv(reduced_3x3, channels.conv_3x3, 3, f"{name}_3x3"),
        conv(reduced_5x5, channels.conv_5x5, 5, f"{name}_5x5"),
        conv(pooled, channels.projection, 1, f"{name}_projection"),
    ]
    return layers.Concatenate(name=name)(branches)


def _auxiliary(x, conv: Callable, name: str):
    """Returns the features that an auxiliary classifier's dense layers read."""
    x = layers.AveragePooling2D(*AUXILIARY_POOL, name=f"{name}_pool")(x)
    return layers.Flatten(name=f"{name}_flatten")(conv(x, 128, 1, f"{name}_conv"))


def _dense(x, units: int, activation, name: str, initializer):
    initial = fresh(initializer)
    return layers.Dense(units, activation, kernel_initializer=initial, name=name)(x)


def _conv(x, filters: int, kernel: int, name: str, width: float, initializer, strides: int = 1):
    return layers.Conv2D(
        scaled(filters, width),
        kernel,
        strides,
        "same",
        activation="relu",
        kernel_initializer=fresh(initializer),
        name=name,
    )(x)
