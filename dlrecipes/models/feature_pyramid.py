"""Feature pyramids: maps of several strides, each of which has seen the whole image."""

from collections.abc import Sequence

import keras
from keras import layers

from dlrecipes.models._arguments import check_integers
from dlrecipes.models.images import channels_last


@keras.saving.register_keras_serializable(package="dlrecipes")
class UpsampleLike(layers.Layer):
    """Repeats each position of a feature map twice per axis, cut to the size of another map."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._double = layers.UpSampling2D(2, data_format="channels_last", dtype=self.dtype_policy)

    def build(self, inputs_shape, like_shape):
        self._double.build(inputs_shape)

    def call(self, inputs, like):
        height, width = keras.ops.shape(like)[1:3]
        return self._double(inputs)[:, :height, :width]

    def compute_output_spec(self, inputs, like):
        shape = (*like.shape[:3], inputs.shape[-1])
        return keras.KerasTensor(shape, self.compute_dtype)


@channels_last
def feature_pyramid(
    backbone: keras.Model,
    outputs: Sequence[str] = (),
    filters: int = 256,
    extra_levels: int = 0,
    name: str = "feature_pyramid",
) -> keras.Model:
    """Builds a feature pyramid on a backbone, for detectors of small and large objects.

    A 1x1 convolution gives each of the backbone's maps the same channels. From the coarsest map on,
    each is doubled in size and added to the next finer one, so that fine maps know what coarse maps
    have recognised. A 3x3 convolution on each sum gives that level of the pyramid, without an
    activation. A map must have half as many positions per axis as the next finer one, rounded up.

    Args:
        backbone: Model from an image to several feature maps, finest first, channels last; or any
            functional model of images, with the names of such layers as `outputs`.
        outputs: Names of the backbone's layers whose outputs to use, finest first. Defaults to
            none, for the backbone's own outputs.
        filters: Channels of all levels, at least 1. Defaults to 256.
        extra_levels: Further levels at the top, each with every second position of the last, at
            least 0. The paper has one, for the largest anchors. Defaults to 0.
        name: Model name. Defaults to `"feature_pyramid"`.

    Returns:
        A functional `keras.Model`. Input: `images`, like the backbone's. Output: the list of
        levels, finest first, each of shape `(batch, height, width, filters)`.

    Raises:
        ValueError: If the backbone has no such layers, or fewer than two feature maps, or if an
            argument is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import feature_pyramid, small_resnet
    >>> backbone = small_resnet(input_shape=(64, 64, 3))
    >>> model = feature_pyramid(backbone, ["stage2_1", "stage3_1"], filters=8, extra_levels=1)
    >>> [tuple(y.shape) for y in model(keras.ops.ones((1, 64, 64, 3)))]
    [(1, 16, 16, 8), (1, 8, 8, 8), (1, 4, 4, 8)]

    Reference:
        Lin, Dollár, Girshick, He, Hariharan and Belongie, 2017, "Feature pyramid networks for
        object detection", section 3. https://arxiv.org/abs/1612.03144
    """
    check_integers(filters=filters)
    check_integers(0, extra_levels=extra_levels)
    images, maps = _maps(backbone, outputs)
    levels, above = [], None
    for number in range(len(maps), 0, -1):
        x = layers.Conv2D(filters, 1, name=f"lateral{number}")(maps[number - 1])
        if above is not None:
            doubled = UpsampleLike(name=f"upsample{number}")(above, x)
            x = layers.Add(name=f"merge{number}")([x, doubled])
        above = x
        levels.insert(0, layers.Conv2D(filters, 3, padding="same", name=f"pyramid{number}")(x))
    for number in range(len(maps) + 1, len(maps) + 1 + extra_levels):
        pool = layers.MaxPooling2D(1, 2, padding="same", name=f"pyramid{number}")
        levels.append(pool(levels[-1]))
    return keras.Model(images, levels, name=name)


def _maps(backbone: keras.Model, outputs: Sequence[str]):
    """Returns the symbolic input of a backbone and its feature maps, finest first."""
    if not isinstance(backbone, keras.Model) or len(getattr(backbone, "inputs", ())) != 1:
        raise ValueError(f"backbone must be a keras.Model with one input, not {backbone!r}.")
    known = [layer.name for layer in backbone.layers]
    if missing := [name for name in outputs if name not in known]:
        raise ValueError(f"{backbone.name} has no layer {missing[0]!r}.")
    # The backbone's own layers, so that the pyramid has them by name.
    own = [backbone.get_layer(name).output for name in outputs]
    maps = own or keras.tree.flatten(backbone.output)
    if len(maps) < 2 or any(len(x.shape) != 4 for x in maps):
        shapes = ", ".join(str(tuple(x.shape)) for x in maps)
        raise ValueError(
            "backbone must have two feature maps or more, (batch, height, width, channels), "
            f"not {shapes}: name its layers in outputs."
        )
    return backbone.inputs[0], maps
