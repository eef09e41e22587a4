"""VGG, the deep networks of 3x3 convolutions from the Visual Geometry Group."""

import keras
from keras import layers

from dlrecipes.layers import BatchNormalization
from dlrecipes.layers._arguments import fresh
from dlrecipes.models.images import (
    channels_last,
    check_choice,
    check_classifier,
    image_input,
    nth_seed,
    scaled,
    smallest_size,
)

# Number of convolutions in each of the five blocks, by depth: configurations A, B, D and E.
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FILTERS = (64, 128, 256, 512, 512)
HIDDEN_UNITS = 4096


@channels_last
def vgg(
    depth: int = 16,
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    width: float = 1.0,
    batch_normalization: bool = False,
    dropout: float = 0.5,
    classifier_activation="softmax",
    kernel_initializer="glorot_uniform",
    include_top: bool = True,
    seed: int | None = None,
    name: str = "vgg",
) -> keras.Model:
    """Builds a VGG network: blocks of 3x3 convolutions, each followed by 2x2 max pooling.

    Five blocks halve an image of 224x224 to 112, 56, 28, 14 and 7, rounding down; two hidden
    dense layers and the classifier follow. Layers are named `conv1_1`, `relu1_1`, ..., `pool5`,
    `fc6`, `fc7` and `predictions`. With 1000 classes there are 132,863,336 (depth 11), 133,047,848
    (13), 138,357,544 (16) or 143,667,240 (19) parameters. Dropout is active, and batch
    normalisation uses batch statistics, in training only.

    The paper initialises weights from a normal distribution with a standard deviation of 0.01,
    from which only depth 11 learns, and initialises the deeper networks with the weights of depth
    11. The default here is Glorot's initialisation, with which, as the paper says, the deeper
    networks learn without them.

    Args:
        depth: Number of layers with weights: 11, 13, 16 or 19 (configurations A, B, D and E).
            Defaults to 16.
        num_classes: Number of classes, at least 1. Defaults to 1000.
        input_shape: Height and width in pixels, at least 32 each, and channels. Without the dense
            layers, `None` allows any size. Defaults to `(224, 224, 3)`.
        width: Multiplier of the channels and hidden units, above 0, for smaller versions.
            Defaults to 1.
        batch_normalization: Whether each convolution is followed by batch normalisation,
            which the paper does not have. Defaults to `False`.
        dropout: Dropout rate after `fc6` and `fc7`, in [0, 1). Defaults to 0.5.
        classifier_activation: Activation of the classifier; `None` gives logits. Defaults to
            `"softmax"`.
        kernel_initializer: Initializer of the kernels. Defaults to `"glorot_uniform"`.
        include_top: Whether to add the dense layers; without them the model ends with `pool5`.
            Defaults to `True`.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"vgg"`.

    Returns:
        A functional `keras.Model`. Input: `images`, of shape
        `(batch, height, width, channels)` (channels last); in the paper, RGB values from 0 to 255
        minus the training set's mean. Output: probabilities of shape `(batch, num_classes)`,
        or features of shape `(batch, height // 32, width // 32, channels)`.

    Raises:
        ValueError: If the images are too small or an argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import vgg
    >>> model = vgg(11, num_classes=10, input_shape=(32, 32, 3), width=1 / 16)
    >>> tuple(model(keras.ops.ones((2, 32, 32, 3))).shape)
    (2, 10)

    Reference:
        Simonyan and Zisserman, 2014, "Very deep convolutional networks for large-scale image
        recognition", section 2 and tables 1 and 2. https://arxiv.org/abs/1409.1556
    """
    check_choice("depth", depth, BLOCKS)
    check_classifier(num_classes, width, dropout=dropout)
    images = x = image_input(
        input_shape, smallest_size(*[(2, 2)] * len(FILTERS)), any_size=not include_top
    )
    for block, (repeats, filters) in enumerate(zip(BLOCKS[depth], FILTERS, strict=True), start=1):
        for index in range(1, repeats + 1):
            x = layers.Conv2D(
                scaled(filters, width),
                3,
                padding="same",
                kernel_initializer=fresh(kernel_initializer),
                name=f"conv{block}_{index}",
            )(x)
            if batch_normalization:
                x = BatchNormalization(name=f"norm{block}_{index}")(x)
            x = layers.ReLU(name=f"relu{block}_{index}")(x)
        x = layers.MaxPooling2D(name=f"pool{block}")(x)
    if not include_top:
        return keras.Model(images, x, name=name)
    x = layers.Flatten(name="flatten")(x)
    for index, layer in enumerate(("fc6", "fc7")):
        units = scaled(HIDDEN_UNITS, width)
        initial = fresh(kernel_initializer)
        x = layers.Dense(units, "relu", kernel_initializer=initial, name=layer)(x)
        x = layers.Dropout(dropout, seed=nth_seed(seed, index), name=f"{layer}_dropout")(x)
    y = layers.Dense(
        num_classes,
        classifier_activation,
        kernel_initializer=fresh(kernel_initializer),
        name="predictions",
    )(x)
    return keras.Model(images, y, name=name)
