"""Small random changes of position and shape, like the variation between handwritten strokes."""

import math

import keras
import numpy as np
from keras import ops

from dlrecipes.layers._arguments import integer, number


@keras.saving.register_keras_serializable(package="dlrecipes")
class ElasticDistortion(keras.layers.Layer):
    """Distorts images randomly in training: shift, rotation, scale, shear and elastic deformation.

    Each image gets its own affine map about its centre and its own smooth random field: a uniform
    number in [-1, 1) per pixel and axis, blurred by a Gaussian of standard deviation `sigma` whose
    weights sum to 1, times `alpha`. Both displacements are added and the image is interpolated
    once, bilinearly, at the displaced points; outside the image it is 0. All channels move
    together. At inference nothing changes.

    A single interpolation, instead of one for each of Keras' random layers, blurs less and takes
    less time: on one core 5 ms for 128 images of 28x28, compared with 22 ms for
    `keras.layers.RandomElasticTransform` alone.

    Args:
        alpha: Strength of the field, in pixels, at least 0; 0 disables it. Pixels move by about
            `0.16 * alpha / sigma`, root mean square, along each axis. Defaults to 34.
        sigma: Standard deviation of the blur, in pixels, above 0. Defaults to 4.
        shift: Largest shift along each axis, in pixels, at least 0. Defaults to 0.
        rotation: Largest angle in either direction, in degrees, at least 0. Defaults to 0.
        scale: Largest relative change of height and of width, independently of each other, in [0,
            1). Defaults to 0.
        shear: Largest horizontal shear, in pixels per row, at least 0. Defaults to 0.
        zoom: Largest relative change of size, in [0, 1); height and width change by the same
            factor. Defaults to 0.
        seed: Seed of the random numbers, at least 0, or `None` for a random one. Defaults to
            `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`, with known height and width.
        training: Whether to distort. Defaults to `False`.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: If an argument is out of its bounds, or the size of the images is unknown.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ElasticDistortion
    >>> layer = ElasticDistortion(alpha=34, sigma=4, seed=0)
    >>> images = keras.ops.ones((2, 28, 28, 1))
    >>> moved = layer(images, training=True)
    >>> tuple(moved.shape), bool(keras.ops.all(layer(images) == images))
    ((2, 28, 28, 1), True)

    Reference:
        Simard, Steinkraus and Platt, 2003, "Best practices for convolutional neural networks
        applied to visual document analysis", section 2 (`sigma` 4 and `alpha` 34 for 29x29).
        https://doi.org/10.1109/ICDAR.2003.1227801
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
        if len(input_shape) != 4 or None in input_shape[1:3]:
            raise ValueError(
                "inputs must be of shape (batch, height, width, channels) with a known height "
                f"and width, not {tuple(input_shape)}."
            )
        self._blurs = [_blur(size, self.sigma) for size in input_shape[1:3]]
        self.built = True

    def call(self, inputs, training=False):
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
        """Returns the source coordinates of each point under the affine map alone."""

        def uniform(largest):
            shape = (count, 1, 1)
            return keras.random.uniform(shape, -largest, largest, "float32", self.seed_generator)

        angle = uniform(self.rotation * math.pi / 180)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        up, right = uniform(self.shift), uniform(self.shift)
        # Uniform in the logarithm: doubling and halving are equally likely.
        largest = math.log1p(self.scale)
        tall, wide = ops.exp(uniform(largest)), ops.exp(uniform(largest))
        if self.zoom:
            both = ops.exp(uniform(math.log1p(self.zoom)))
            tall, wide = both * tall, both * wide
        slanted = x + uniform(self.shear) * y
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
        return tuple(input_shape)

    def get_config(self):
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
    """Returns the blur matrix for a line of pixels, with zeros outside it."""
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    apart = np.subtract.outer(np.arange(size), np.arange(size))
    inside = np.abs(apart) <= reach
    return np.where(
        inside, (weights / weights.sum())[np.where(inside, apart + reach, 0)], 0
    ).astype("float32")


def read_at(images, y, x):
    """Returns the bilinearly interpolated values at points given in pixels; 0 outside."""
    height, width, channels = images.shape[1:]
    count = ops.shape(images)[0]
    # Points outside the image are clipped to a border of zeros around it.
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
