"""Padding of an image with its mirror image."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class ReflectionPadding2D(keras.layers.Layer):
    """Extends an image beyond its borders with its mirror image.

    The border itself is the mirror axis and is not repeated: a row `a b c d` padded by 2 becomes
    `c b a b c d c b`. Unlike zeros this creates no edge at the image's border, which would
    otherwise be visible in generated images. Channels are the last axis. Training and inference
    behave the same.

    Args:
        padding: Number of rows and columns to add: an integer for all sides, a pair
            `(vertical, horizontal)`, or two pairs `((top, bottom), (left, right))`, as in
            `keras.layers.ZeroPadding2D`. Each is at least 0 and less than the image's size.
            Defaults to 1.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`; height and width may be
            unknown.

    Returns:
        Images of shape `(batch, top + height + bottom, left + width + right, channels)`.

    Raises:
        ValueError: If `padding` has another form, a number in it is not an integer of at least 0,
            or it is not less than the height or width, where these are known.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ReflectionPadding2D
    >>> row = keras.ops.reshape(keras.ops.array([1, 2, 3]), (1, 1, 3, 1))
    >>> layer = ReflectionPadding2D((0, 2))
    >>> keras.ops.convert_to_numpy(layer(row))[0, 0, :, 0].tolist()
    [3, 2, 1, 2, 3, 2, 1]

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", appendix on network architectures.
        https://arxiv.org/abs/1703.10593
    """

    def __init__(self, padding=1, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding
        self._sides = _sides(padding)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        self._check(inputs.shape)
        return ops.pad(inputs, ((0, 0), *self._sides, (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        sizes = [
            None if size is None else size + sum(sides)
            for size, sides in zip(input_shape[1:3], self._sides, strict=True)
        ]
        return (input_shape[0], *sizes, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}

    def _check(self, shape):
        names = zip(("height", "width"), shape[1:3], self._sides, strict=True)
        for name, size, sides in names:
            if size is not None and max(sides) >= size:
                raise ValueError(
                    f"padding must be less than the {name}, {size}, not {max(sides)}, "
                    "since the mirror image ends there."
                )


def _sides(padding):
    """Returns `((top, bottom), (left, right))`."""
    both = (padding, padding) if isinstance(padding, int) else padding
    if isinstance(both, tuple | list) and len(both) == 2:
        sides = [(side, side) if isinstance(side, int) else side for side in both]
        pairs = all(isinstance(side, tuple | list) and len(side) == 2 for side in sides)
        if pairs and all(isinstance(size, int) and size >= 0 for side in sides for size in side):
            return tuple(tuple(side) for side in sides)
    raise ValueError(
        "padding must be an integer of at least 0, a pair of them, or two pairs "
        f"((top, bottom), (left, right)), not {padding!r}."
    )
