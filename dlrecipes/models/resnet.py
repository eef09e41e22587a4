"""Residual networks (ResNet)."""

from collections.abc import Callable
from functools import partial

import keras
from keras import layers, ops

from dlrecipes.layers import BatchNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models.images import (
    channels_last,
    check_choice,
    check_classifier,
    image_input,
    scaled,
)

# Number of blocks in each of the four stages, by depth.
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BOTTLENECK_DEPTHS = (50, 101, 152)
FILTERS = (64, 128, 256, 512)
# A bottleneck's last convolution has four times the channels of the others.
EXPANSION = 4
# With fewer input channels, the gradient of a 1x1 convolution with strides is unsafe on CPUs.
# The kernels of oneDNN, which TensorFlow uses there, write outside their memory.
# https://github.com/uxlfoundation/oneDNN/issues/6035
SAFE_CHANNELS = 16


@channels_last
def resnet(
    depth: int = 50,
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    width: float = 1.0,
    stem: str = "imagenet",
    shortcut: str = "B",
    stride_in: str = "1x1",
    zero_init_residual: bool = False,
    dropout: float = 0.0,
    classifier_activation="softmax",
    kernel_initializer="he_normal",
    seed: int | None = None,
    name: str = "resnet",
) -> keras.Model:
    """Builds a residual network, whose blocks add their output to their input.

    Four stages of blocks, of 56, 28, 14 and 7 pixels for an image of 224x224, are followed by
    the mean over the image and the classifier. Depths 18 and 34 have blocks of two 3x3
    convolutions, the others bottlenecks of 1x1, 3x3 and 1x1. Convolutions have no bias and are
    followed by batch normalisation. The output of stage 2's first block is the layer `conv2_1`,
    and so on; the stem is `conv1`. With 1000 classes there are 11,689,512 (depth 18), 21,797,672
    (34), 25,557,032 (50), 44,549,160 (101) or 60,192,808 (152) trainable parameters. Dropout is
    active, and batch statistics are used, in training only.

    Strided windows are padded equally on both sides, as in the networks with published weights.
    The moving statistics of batch normalisation average over about ten steps.

    Args:
        depth: Number of layers with weights: 18, 34, 50, 101 or 152. Defaults to 50.
        num_classes: Number of classes, at least 1. Defaults to 1000.
        input_shape: Height and width in pixels, of any size (`None` allows all sizes), and
            channels. Stages halve the size, rounding up. Defaults to `(224, 224, 3)`.
        width: Multiplier of the channels, above 0, for smaller versions. Defaults to 1.
        stem: `"imagenet"`, a 7x7 convolution and a max pooling, both with stride 2, or `"small"`,
            a 3x3 convolution with stride 1, for images of about 32x32. Defaults to `"imagenet"`.
        shortcut: Shortcut between stages of different shapes, the paper's options: `"A"`, every
            second position, with zeros as the additional channels; `"B"`, a projection; `"C"`,
            projections around all blocks. Defaults to `"B"`.
        stride_in: The convolution of a bottleneck that halves the size: `"1x1"`, the first, as in
            the paper, or `"3x3"`, the second, later called ResNet v1.5. Defaults to `"1x1"`.
        zero_init_residual: Whether blocks start as the identity: the scale of each block's last
            normalisation is initialised with 0 instead of 1. Defaults to `False`.
        dropout: Dropout rate of the pooled features, in [0, 1). Defaults to 0.
        classifier_activation: Activation of the classifier; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `"he_normal"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"resnet"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last); in the paper, RGB values from 0 to 255
        minus the training set's mean. Output: probabilities of shape `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import resnet
    >>> model = resnet(18, 10, (None, None, 3), width=1 / 16, stem="small")
    >>> tuple(model(keras.ops.ones((2, 28, 28, 3))).shape)
    (2, 10)

    Reference:
        He, Zhang, Ren and Sun, 2015, "Deep residual learning for image recognition", sections
        3.3, 3.4 and 4.1, table 1, and section 4.2 for the small stem.
        https://arxiv.org/abs/1512.03385
        Goyal et al., 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour",
        section 5.1 (`zero_init_residual`). https://arxiv.org/abs/1706.02677
    """
    check_choice("depth", depth, BLOCKS)
    check_choice("stem", stem, ("imagenet", "small"))
    check_choice("shortcut", shortcut, ("A", "B", "C"))
    check_choice("stride_in", stride_in, ("1x1", "3x3"))
    check_classifier(num_classes, width, dropout=dropout)
    images = image_input(input_shape, any_size=True)

    conv = partial(_conv, initializer=kernel_initializer)
    x = _stem(images, conv, scaled(FILTERS[0], width), stem == "small")
    bottleneck = depth in BOTTLENECK_DEPTHS
    last_gamma = "zeros" if zero_init_residual else "ones"
    for stage, (blocks, filters) in enumerate(zip(BLOCKS[depth], FILTERS, strict=True), start=2):
        filters = scaled(filters, width)
        for index in range(1, blocks + 1):
            stride = 2 if index == 1 and stage > 2 else 1
            block = f"conv{stage}_{index}"
            if bottleneck:
                y = _bottleneck(x, conv, filters, stride, stride_in, last_gamma, block)
            else:
                y = conv(x, filters, 3, stride, f"{block}_1")
                y = conv(y, filters, 3, 1, f"{block}_2", relu=False, gamma=last_gamma)
            x = _shortcut(x, conv, y.shape[-1], stride, shortcut, f"{block}_shortcut")
            x = layers.ReLU(name=block)(layers.Add(name=f"{block}_sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    y = layers.Dense(
        num_classes,
        classifier_activation,
        kernel_initializer=fresh(kernel_initializer),
        name="predictions",
    )(x)
    return keras.Model(images, y, name=name)


def _stem(x, conv: Callable, filters: int, small: bool):
    if small:
        return conv(x, filters, 3, 1, "conv1")
    x = conv(x, filters, 7, 2, "conv1")
    # Padding with zeros does not change the maximum, because nothing is below 0 after a ReLU.
    return layers.MaxPooling2D(3, 2, name="pool1")(_pad(x, 3, 2, "pool1"))


def _bottleneck(x, conv: Callable, filters, stride, stride_in, last_gamma, name):
    first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
    x = conv(x, filters, 1, first, f"{name}_1")
    x = conv(x, filters, 3, second, f"{name}_2")
    return conv(x, EXPANSION * filters, 1, 1, f"{name}_3", relu=False, gamma=last_gamma)


def _shortcut(x, conv: Callable, filters: int, stride: int, option: str, name: str):
    """Returns a block's input in the shape of its output."""
    changes = stride > 1 or x.shape[-1] != filters
    if option == "C" or (option == "B" and changes):
        return conv(x, filters, 1, stride, name, relu=False)
    if stride > 1:
        x = layers.MaxPooling2D(1, stride, name=name)(x)
    missing = filters - x.shape[-1]
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing))) if missing else x


def _conv(x, filters, kernel, stride, name, initializer, relu=True, gamma="ones"):
    """Applies a convolution with batch normalisation, and a ReLU unless `relu` is false."""
    if kernel == 1 and stride > 1 and x.shape[-1] < SAFE_CHANNELS:
        x, stride = layers.MaxPooling2D(1, stride, name=f"{name}_subsample")(x), 1
    x = layers.Conv2D(
        filters,
        kernel,
        stride,
        "same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer=fresh(initializer),
        name=f"{name}_conv",
    )(_pad(x, kernel, stride, name))
    x = BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=f"{name}_norm"
    )(x)
    return layers.ReLU(name=name)(x) if relu else x


def _pad(x, kernel: int, stride: int, name: str):
    # Keras' "same" would add the odd row and column of padding only below and to the right.
    if stride == 1 or kernel == 1:
        return x
    return layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
