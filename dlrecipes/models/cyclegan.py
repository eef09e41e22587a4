"""The generator of CycleGAN: image-to-image translation without paired images."""

from collections.abc import Mapping

import keras
import numpy as np

from dlrecipes.layers import ReflectionPadding2D
from dlrecipes.models._arguments import check_integers
from dlrecipes.models.adversarial import gan_initializer
from dlrecipes.models.images import channels_last

PADDINGS = ("same", "symmetric")


@channels_last
def cyclegan_generator(
    blocks: int = 9,
    channels: int = 3,
    output_channels: int = 3,
    filters: int = 64,
    kernel_initializer=None,
    padding: str = "same",
    name: str = "cyclegan_generator",
) -> keras.Model:
    """Builds the CycleGAN generator, which translates an image into one of the same size.

    In the paper's notation c7s1-64, d128, d256, R256 times `blocks`, u128, u64, c7s1-3: a 7x7
    convolution, two strided 3x3 convolutions, residual blocks of two 3x3 convolutions each, two
    transposed 3x3 convolutions and a 7x7 convolution with tanh. All but the last are followed by
    instance normalisation with one bias per channel, and all but the last and the second of
    each block by ReLU. Convolutions that keep the size use reflection padding. Training and
    inference behave the same.

    The matching discriminator is `patchgan(condition_channels=0, norm="instance")`.

    Args:
        blocks: Number of residual blocks, at least 1; the paper has 9 for 256 pixels or more and
            6 for 128. Defaults to 9.
        channels: Channels of the input, at least 1. Defaults to 3.
        output_channels: Channels of the output, at least 1. Defaults to 3.
        filters: Filters of the first layer, at least 1; the blocks have 4 times as many.
            Defaults to 64.
        kernel_initializer: Initializer of all kernels. Defaults to `None`, the paper's normal
            distribution with a standard deviation of 0.02.
        padding: Padding of the strided and transposed convolutions: `"same"`, which adds a row and
            a column of zeros after the image only, or `"symmetric"`, on all sides, as in the
            authors' PyTorch code. Published weights need `"symmetric"`, and
            `models.cyclegan.load_cyclegan_weights` loads them. Defaults to `"same"`.
        name: Model name. Defaults to `"cyclegan_generator"`.

    Returns:
        A functional `keras.Model`. Input: `image` of shape `(batch, height, width, channels)`
        in [-1, 1]. Height and width are not fixed; they are multiples of 4 and at least 8.
        Output: images of shape `(batch, height, width, output_channels)` in [-1, 1], float32.
        Other sizes are rounded up to a multiple of 4: 30x30 becomes 32x32.

    Raises:
        ValueError: If a number is not an integer of at least 1, or the padding is unknown.

    Example:

    >>> import keras
    >>> from dlrecipes.models import cyclegan_generator
    >>> model = cyclegan_generator(blocks=1, filters=2)
    >>> tuple(model(keras.ops.zeros((1, 16, 8, 3))).shape)
    (1, 16, 8, 3)

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4 and appendix 7.2.
        https://arxiv.org/abs/1703.10593
    """
    check_integers(1, blocks=blocks, channels=channels, filters=filters)
    check_integers(1, output_channels=output_channels)
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}.")
    image = keras.Input((None, None, channels), name="image")
    reflected, down, up = _layers(kernel_initializer, padding)
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


def load_cyclegan_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    """Loads the weights of the authors' PyTorch generator.

    Biases of convolutions before an instance normalisation are left out: it cancels them.

    Args:
        model: `cyclegan_generator(padding="symmetric")` of the same numbers of blocks, filters and
            channels.
        weights: Arrays by name, in the order of the authors' state dictionary.

    Raises:
        ValueError: If the number of convolutions or a shape differs, before anything is assigned.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.models.cyclegan import cyclegan_generator, load_cyclegan_weights
    >>> model = cyclegan_generator(blocks=1, filters=2, padding="symmetric")
    >>> convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
    >>> # With PyTorch: weights = {k: v.numpy() for k, v in torch.load("latest_net_G.pth").items()}
    >>> weights = {
    ...     f"model.{k}.weight": np.zeros(layer.kernel.shape).transpose(3, 2, 0, 1)
    ...     for k, layer in enumerate(convolutions)
    ... }
    >>> load_cyclegan_weights(model, {**weights, "model.26.bias": np.zeros(3)})

    Reference:
        Zhu, Park, Isola and Efros, 2017, `ResnetGenerator` of
        https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix
    """
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    kernels = [np.asarray(value) for value in weights.values() if np.ndim(value) == 4]
    if len(kernels) != len(layers):
        raise ValueError(
            f"the weights have {len(kernels)} convolutions, but {model.name} has {len(layers)}: "
            "build it with as many blocks."
        )
    # From (output, input, height, width), and from (input, output, ...) where it is transposed.
    kernels = [kernel.transpose(2, 3, 1, 0) for kernel in kernels]
    last = next((np.asarray(v) for v in reversed(weights.values()) if np.ndim(v) == 1), None)
    pairs = [
        *((layer.kernel, kernel) for layer, kernel in zip(layers, kernels, strict=True)),
        (layers[-1].bias, np.zeros(layers[-1].bias.shape) if last is None else last),
    ]
    for variable, value in pairs:
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"{variable.path} has the shape {tuple(variable.shape)}, not {value.shape}."
            )
    for variable, value in pairs:
        variable.assign(value)
    for layer in model.layers:
        if isinstance(layer, keras.layers.GroupNormalization):
            # The authors' normalisation has no bias.
            layer.beta.assign(np.zeros(layer.beta.shape))


def _layers(initializer, padding):
    """Returns functions that apply the three kinds of convolutions."""

    def options(name, use_bias=False):
        # The normalisation that follows would cancel a bias, and adds one itself.
        return {
            "use_bias": use_bias,
            "kernel_initializer": gan_initializer(initializer),
            "data_format": "channels_last",
            "name": name,
        }

    def reflected(x, filters, kernel, name, use_bias=False):
        x = ReflectionPadding2D(kernel // 2, name=f"{name}_padding")(x)
        return keras.layers.Conv2D(filters, kernel, **options(name, use_bias))(x)

    def down(x, filters, name):
        if padding == "same":
            return keras.layers.Conv2D(filters, 3, 2, padding="same", **options(name))(x)
        x = keras.layers.ZeroPadding2D(1, data_format="channels_last", name=f"{name}_padding")(x)
        return keras.layers.Conv2D(filters, 3, 2, **options(name))(x)

    def up(x, filters, name):
        if padding == "same":
            return keras.layers.Conv2DTranspose(filters, 3, 2, padding="same", **options(name))(x)
        x = keras.layers.Conv2DTranspose(filters, 3, 2, **options(name))(x)
        # The whole result has 2n + 1 rows: PyTorch's padding of 1 removes the first and the last,
        # and its output padding of 1 restores the last.
        first = ((1, 0), (1, 0))
        return keras.layers.Cropping2D(first, data_format="channels_last", name=f"{name}_crop")(x)

    return reflected, down, up


def _normalized(x, name, activated=True):
    x = keras.layers.GroupNormalization(
        groups=-1, scale=False, epsilon=1e-5, name=f"{name}_normalization"
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if activated else x
