"""A small convolutional network of today, for images of single characters."""

from collections.abc import Sequence

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models._arguments import several
from dlrecipes.models.images import channels_last, check, image_input, scaled, smallest_size

# After so many of the convolutions the maps are halved.
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
    """Builds four convolutions with batch normalisation and ReLU, without padding.

    A 5x5 convolution, 2x2 max pooling, two of 3x3, 2x2 max pooling, one more of 3x3, dropout
    and the output: 28x28 becomes 24, 12, 10, 8, 4 and 2. It has 0.14 million parameters and
    takes 4.9 million multiplications an image, of which none are spent on borders of zeros:
    a character stands in the middle. Batch normalisation averages over about ten
    steps, for short trainings. In training dropout acts and batch statistics are used.

    Args:
        num_classes: Number of classes, at least 1.
        input_shape: Height and width in pixels, at least 24 each, and channels.
        filters: Channels of the four convolutions.
        width: Multiplies the channels, above 0.
        dropout: Share of the last features left out in training, in [0, 1).
        classifier_activation: Activation of the output; `None` gives logits.
        kernel_initializer: Initializer of the convolutions' kernels.
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last). Output: probabilities of shape
        `(batch, num_classes)`.

    Raises:
        ValueError: If the images are too small or an argument is out of its bounds.

    Example:

    >>> model = small_cnn()
    >>> tuple(model(keras.ops.ones((2, 28, 28, 1))).shape)
    (2, 10)

    Reference:
        Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by
        reducing internal covariate shift", section 3.2. Srivastava, Hinton, Krizhevsky,
        Sutskever and Salakhutdinov, 2014, "Dropout: a simple way to prevent neural networks
        from overfitting", section 4.
    """
    check(num_classes, width, dropout=dropout)
    several(filters=filters)
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
