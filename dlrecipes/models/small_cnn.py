"""A small modern convolutional network for images of single characters."""

from collections.abc import Sequence

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models._arguments import check_integer_lists
from dlrecipes.models.images import (
    channels_last,
    check_classifier,
    image_input,
    scaled,
    smallest_size,
)

# Numbers of the convolutions that max pooling follows.
HALVED = (1, 3)


@channels_last
def small_cnn(
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    filters: Sequence[int] = (32, 64, 64, 128),
    width: float = 1.0,
    dropout: float = 0.3,
    classifier_activation="softmax",
    kernel_initializer="he_normal",
    seed: int | None = None,
    name: str = "small_cnn",
) -> keras.Model:
    """Builds a small CNN: four convolutions with batch normalisation and ReLU, without padding.

    A 5x5 convolution, 2x2 max pooling, two 3x3 convolutions, 2x2 max pooling, a 3x3 convolution,
    dropout and the output: 28x28 becomes 24, 12, 10, 8, 4 and 2. The network has 0.14 million
    parameters and takes 4.9 million multiplications per image. It needs no padding, because a
    character is in the middle of its image. The moving statistics of batch normalisation average
    over about ten steps, for short trainings. Dropout is active, and batch statistics are used,
    in training only.

    Args:
        num_classes: Number of classes, at least 1. Defaults to 10.
        input_shape: Height and width in pixels, at least 24 each, and channels. Defaults to
            `(28, 28, 1)`.
        filters: Channels of the four convolutions. Defaults to `(32, 64, 64, 128)`.
        width: Multiplier of the channels, above 0. Defaults to 1.
        dropout: Dropout rate of the last features, in [0, 1). Defaults to 0.3.
        classifier_activation: Activation of the output; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the convolutions' kernels. Defaults to `"he_normal"`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"small_cnn"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last). Output: probabilities of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small or an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import small_cnn
    >>> model = small_cnn()
    >>> tuple(model(keras.ops.ones((2, 28, 28, 1))).shape)
    (2, 10)

    Reference:
        Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by
        reducing internal covariate shift", section 3.2. https://arxiv.org/abs/1502.03167
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: a simple way
        to prevent neural networks from overfitting", section 4.
    """
    check_classifier(num_classes, width, dropout=dropout)
    check_integer_lists(filters=filters)
    if len(filters) != 4:
        raise ValueError(f"filters must be four integers, not {tuple(filters)!r}.")
    windows = ((5, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1))
    x = images = image_input(input_shape, smallest_size(*windows))
    for number, channels in enumerate(filters, 1):
        x = layers.Conv2D(
            scaled(channels, width),
            5 if number == 1 else 3,
            use_bias=False,
            kernel_initializer=fresh(kernel_initializer),
            name=f"conv_{number}",
        )(x)
        x = BatchNormalization(momentum=0.9, name=f"norm_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if number in HALVED:
            x = layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(layers.Flatten(name="flatten")(x))
    y = layers.Dense(num_classes, classifier_activation, name="predictions")(x)
    return keras.Model(images, y, name=name)
