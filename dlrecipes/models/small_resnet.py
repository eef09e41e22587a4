"""A small residual network for images of any size, for short trainings."""

from collections.abc import Sequence

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models._arguments import check_integer_lists, check_integers
from dlrecipes.models.images import channels_last, check_classifier, image_input, scaled


@channels_last
def small_resnet(
    num_classes: int = 10,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    stem_filters: int = 16,
    stem_stride: int = 1,
    filters: Sequence[int] = (16, 64, 128),
    blocks: int = 1,
    width: float = 1.0,
    dropout: float = 0.0,
    classifier_activation="softmax",
    kernel_initializer="he_normal",
    seed: int | None = None,
    name: str = "small_resnet",
) -> keras.Model:
    """Builds a small residual network, which learns much in few epochs on a CPU.

    The stem is a convolution with a window of twice its stride. Each stage has a 3x3 convolution
    that changes the number of channels, 2x2 max pooling, and residual blocks of one 3x3
    convolution each. The mean over the image and the classifier follow. All convolutions have batch
    normalisation and a ReLU, and no bias. An image of 32x32 has 32, 16, 8 and 4 pixels per side
    after the stem and the stages; the network then has 0.28 million parameters and takes 14.9
    million multiplications. The output of the stem is the layer `stem`, those of stage 1 are
    `stage1` before and `stage1_1` after the first block, and so on.

    The moving statistics of batch normalisation average over about ten steps, for short
    trainings. Dropout is active, and batch statistics are used, in training only.

    Args:
        num_classes: Number of classes, at least 1. Defaults to 10.
        input_shape: Height and width in pixels, of any size (`None` allows all sizes), and
            channels. Defaults to `(32, 32, 3)`.
        stem_filters: Channels of the stem. Defaults to 16.
        stem_stride: Stride of the stem, at least 1. With 2, an image of 64x64 takes as many
            multiplications as one of 32x32 with 1, except for the stem's. Defaults to 1.
        filters: Channels of each stage, one stage or more. Defaults to `(16, 64, 128)`.
        blocks: Residual blocks per stage, at least 1. Defaults to 1.
        width: Multiplier of the channels, above 0. Defaults to 1.
        dropout: Dropout rate of the pooled features, in [0, 1). Defaults to 0.
        classifier_activation: Activation of the classifier; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `"he_normal"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"small_resnet"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last), with a mean of about 0 and a standard
        deviation of about 1. Output: probabilities of shape `(batch, num_classes)`.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import small_resnet
    >>> model = small_resnet()
    >>> tuple(model(keras.ops.ones((2, 32, 32, 3))).shape)
    (2, 10)

    Reference:
        He, Zhang, Ren and Sun, 2015, "Deep residual learning for image recognition", section 3.1.
        https://arxiv.org/abs/1512.03385
        Page, 2018, "How to train your ResNet", parts 4 to 6, for the order of convolution, pooling
        and residual blocks. Here the stages are narrower, and the mean replaces the maximum.
    """
    check_classifier(num_classes, width, dropout=dropout)
    check_integers(stem_filters=stem_filters, stem_stride=stem_stride, blocks=blocks)
    check_integer_lists(filters=filters)
    if not filters:
        raise ValueError("filters must be one integer or more, not none.")
    images = image_input(input_shape, any_size=True)

    def conv(x, channels, kernel, stride, name, pool=False):
        x = layers.Conv2D(
            scaled(channels, width),
            kernel,
            stride,
            "same",
            use_bias=False,
            kernel_initializer=fresh(kernel_initializer),
            name=f"{name}_conv",
        )(x)
        if pool:
            # Before the normalisation, which then has a quarter of the positions.
            x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
        x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
        return layers.ReLU(name=name if pool or name == "stem" else f"{name}_relu")(x)

    x = conv(images, stem_filters, 2 * stem_stride, stem_stride, "stem")
    for stage, channels in enumerate(filters, 1):
        x = conv(x, channels, 3, 1, f"stage{stage}", pool=True)
        for block in range(1, blocks + 1):
            block_name = f"stage{stage}_{block}"
            y = conv(x, channels, 3, 1, block_name)
            x = layers.Add(name=block_name)([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    y = layers.Dense(num_classes, classifier_activation, name="predictions")(x)
    return keras.Model(images, y, name=name)
