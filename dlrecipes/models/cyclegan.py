"""The generator of CycleGAN: image-to-image translation without pairs."""

import keras

from dlrecipes.layers import ReflectionPadding2D
from dlrecipes.models.adversarial import anew, check_integers
from dlrecipes.models.images import channels_last


@channels_last
def cyclegan_generator(
    blocks: int = 9,
    channels: int = 3,
    output_channels: int = 3,
    filters: int = 64,
    kernel_initializer=None,
    name: str = "cyclegan_generator",
) -> keras.Model:
    """Builds a network from an image to one of the same size, if that is a multiple of 4.

    In the paper's words c7s1-64, d128, d256, R256 times `blocks`, u128, u64, c7s1-3: a 7x7
    convolution, two strided 3x3 ones, residual blocks of two 3x3 convolutions each, two
    transposed 3x3 ones and a 7x7 one to the output's tanh. All but the last are followed by
    instance normalisation with a bias for each channel, all but the last and the second of
    each block by ReLU. Where the side stays the border is padded by reflection. Training
    and inference do the same.

    The matching discriminator is `patchgan(condition_channels=0, norm="instance")`.

    Args:
        blocks: Number of residual blocks, at least 1: 9 for 256 pixels or more, 6 for 128.
        channels: Channels of the input, at least 1.
        output_channels: Channels of the output, at least 1.
        filters: Filters of the first layer, at least 1; the blocks have 4 times as many.
        kernel_initializer: Initializer of all kernels; `None` is the paper's normal
            distribution with a standard deviation of 0.02.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `image` of shape `(batch, height, width, channels)`
        in [-1, 1]; height and width are unknown, multiples of 4 and at least 8. Output:
        images of shape `(batch, height, width, output_channels)` in [-1, 1], float32. Other
        sizes come out as the next multiple of 4: 32x32 for 30x30.

    Raises:
        ValueError: If a number is not an integer of at least 1.

    Example:

    >>> model = cyclegan_generator(blocks=1, filters=2)
    >>> tuple(model(keras.ops.zeros((1, 16, 8, 3))).shape)
    (1, 16, 8, 3)

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4 and appendix 7.2.
    """
    check_integers(1, blocks=blocks, channels=channels, filters=filters)
    check_integers(1, output_channels=output_channels)
    image = keras.Input((None, None, channels), name="image")
    reflected, down, up = _layers(kernel_initializer)
    x = _normalized(reflected(image, filters, 7, "first"), "first")
    for level in (1, 2):
        x = _normalized(down(x, filters * 2**level, f"down_{level}"), f"down_{level}")
    for block in range(1, blocks + 1):
        first, second = f"block_{block}_1", f"block_{block}_2"
        inner = _normalized(reflected(x, 4 * filters, 3, first), first)
        inner = _normalized(reflected(inner, 4 * filters, 3, second), second, activated=False)
        x = keras.layers.Add(name=f"block_{block}_add")([x, inner])
    for level in (1, 0):
        x = _normalized(up(x, filters * 2**level, f"up_{level}"), f"up_{level}")
    x = reflected(x, output_channels, 7, "last", use_bias=True)
    x = keras.layers.Activation("tanh", dtype="float32", name="output")(x)
    return keras.Model(image, x, name=name)


def _layers(initializer):
    """Returns functions that apply the three kinds of convolutions."""

    def options(name, use_bias=False):
        # Without a bias of their own: the normalisation would take it away, and has one.
        return {
            "use_bias": use_bias,
            "kernel_initializer": anew(initializer),
            "data_format": "channels_last",
            "name": name,
        }

    def reflected(x, filters, kernel, name, use_bias=False):
        x = ReflectionPadding2D(kernel // 2, name=f"{name}_padding")(x)
        return keras.layers.Conv2D(filters, kernel, **options(name, use_bias))(x)

    def down(x, filters, name):
        return keras.layers.Conv2D(filters, 3, 2, padding="same", **options(name))(x)

    def up(x, filters, name):
        return keras.layers.Conv2DTranspose(filters, 3, 2, padding="same", **options(name))(x)

    return reflected, down, up


def _normalized(x, name, activated=True):
    x = keras.layers.GroupNormalization(
        groups=-1, scale=False, epsilon=1e-5, name=f"{name}_normalization"
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if activated else x
