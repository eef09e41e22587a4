"""Generated handwritten digits: pen strokes with the variety of many hands, as in MNIST."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.digit_styles import ASPECTS, STYLES, Style
from dlrecipes.data.generated.strokes import curve_weights, draw, parse

# Points on the curves of one digit: at most a pixel apart.
_POINTS = 112
# Random numbers of a writer, and of each of the ten digits.
_WRITER, _DIGIT = 4, 72
# Standard deviations of each control point and of a whole stroke, in units of the digit's height,
# and of the length that the ends of a stroke gain or lose, relative to the next point.
_POINT, _STROKE, _END = 0.035, 0.04, 0.15
# The plane's smooth bends, and the difference in width between top and bottom.
_BEND, _TAPER = 0.04, 0.12
# Slant, as x per y; the slant of a 1; rotation, in radians; the logarithm of the aspect ratio.
_SLANT, _SLANT_OF_1, _ROTATION, _ASPECT = 0.25, 0.3, 0.12, 0.25
_MEAN_SLANT = 0.15
# Width of the pen in pixels, the deviation of its logarithm (more for a 1, whose strokes do not
# touch), its relative changes along a path, and the least and largest width.
_PEN, _PEN_DEVIATION, _PRESSURE = 2.55, 0.27, 0.1
_LEAST, _LARGEST, _LARGEST_OF_1 = 0.9, 5.4, 8.0
# Width of a stroke's edges in pixels.
_BLUR = 1.2
# Fraction of the writer in the writer's traits; the rest is new in each digit.
_OF_WRITER = 0.7


def generated_digits(count: int, seed: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns generated handwritten digits in the format of MNIST, deterministic by seed.

    Ten images, one of each digit, are by one writer, who has a slant, a pen, and a width of
    digits. Each digit has one of several styles, such as a 7 with a bar or an open 4; its curves
    and strokes vary, and so do the pressure and the ends of the strokes. 10,000 images take about
    a second.

    Args:
        count: Number of images, at least 1.
        seed: Random seed, at least 0; an image depends on the seed and on its number.
        first: Number of the first image, at least 0. Defaults to 0.

    Returns:
        Images, uint8 of shape `(count, 28, 28)`, light on black; labels, int32 of shape
        `(count,)`: the last digit of an image's number.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.digits import generated_digits
    >>> images, labels = generated_digits(12, seed=0)
    >>> images.shape, labels.tolist()
    ((12, 28, 28), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    for name, value, least in (("count", count, 1), ("seed", seed, 0), ("first", first, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    styles, numbers = _random_numbers(seed, first, first + count)
    labels = (np.arange(first, first + count) % 10).astype("int32")
    images = np.zeros((count, 28, 28), "uint8")
    for digit, own in STYLES.items():
        ends = np.cumsum([style.weight for style in own])
        chosen = np.searchsorted(ends / ends[-1], styles, side="right")
        for number, style in enumerate(own):
            rows = np.flatnonzero((labels == digit) & (chosen == number))
            if len(rows):
                images[rows] = _written(digit, style, _Numbers(numbers[rows]))
    return images, labels


def _random_numbers(seed: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a uniform number (the style's), and normal ones, of the images from start to end."""
    writers = range(start // 10, (end - 1) // 10 + 1)
    styles = np.empty((len(writers), 10), "float32")
    numbers = np.empty((len(writers), 10, _DIGIT), "float32")
    of_writer = np.sqrt(_OF_WRITER)
    of_digit = np.sqrt(1 - _OF_WRITER)
    for row, writer in enumerate(writers):
        rng = np.random.default_rng([seed, writer])
        styles[row] = rng.random(10)
        traits = rng.standard_normal(_WRITER, "float32")
        rng.standard_normal(dtype="float32", out=numbers[row])
        numbers[row, :, :_WRITER] *= of_digit
        numbers[row, :, :_WRITER] += of_writer * traits
    images = slice(start - 10 * writers[0], end - 10 * writers[0])
    return styles.ravel()[images], numbers.reshape(-1, _DIGIT)[images]


class _Numbers:
    """Normal random numbers of several images, each of which is taken once."""

    def __init__(self, numbers: np.ndarray):
        self._numbers, self._next = numbers, 0

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, deviation: float, *shape: int) -> np.ndarray:
        """Returns numbers of the given standard deviation, of shape `(images, *shape)`."""
        start, self._next = self._next, self._next + int(np.prod(shape))
        if self._next > self._numbers.shape[1]:
            raise ValueError(f"{self._next} random numbers of {self._numbers.shape[1]}")
        return deviation * self._numbers[:, start : self._next].reshape(-1, *shape)


def _written(digit: int, style: Style, numbers: _Numbers) -> np.ndarray:
    """Returns images of a digit in one style, one for each row of random numbers."""
    slant = _MEAN_SLANT + numbers.take(_SLANT_OF_1 if digit == 1 else _SLANT, 1)
    pen = numbers.take(_PEN_DEVIATION * (1.4 if digit == 1 else 1), 1)
    aspect = ASPECTS[digit] * np.exp(numbers.take(_ASPECT, 1))
    angle = numbers.take(_ROTATION, 1)
    blur = _BLUR * np.exp(numbers.take(0.2, 1))
    along = np.linspace(-1, 1, _POINTS, dtype="float32")
    waves = np.stack([along, np.cos(np.pi * along), np.sin(2 * np.pi * along)])
    pressure = 1 + (numbers.take(_PRESSURE, 3, 1) * waves).sum(axis=1)
    largest = _LARGEST_OF_1 if digit == 1 else _LARGEST
    widths = np.clip(_PEN * np.exp(pen) * pressure, _LEAST, largest)
    curves = _bent(_curves(style, numbers) - 0.5, numbers)
    x, y = curves[..., 0] * aspect, curves[..., 1]
    x = x - slant * y
    cosine, sine = np.cos(angle), np.sin(angle)
    points = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=2)
    return draw(points, widths, blur)


def _curves(style: Style, numbers: _Numbers) -> np.ndarray:
    """Returns points on the pen's path in the unit square, of shape `(images, points, 2)`."""
    path = parse(style.form)
    other = parse(style.other or style.form)
    # Uniform from -0.25 to 1.25: a little beyond both forms.
    between = _uniform(numbers.take(1, 1, 1)) * 1.5 - 0.25
    points = path.points + between * (other.points - path.points)
    points = points + numbers.take(_POINT, path.numbers[-1] + 1, 2)[:, path.numbers]
    several = len(path.strokes) > 1
    for stroke in path.strokes:
        longer = numbers.take(_END, 2, 1)
        own = points[:, stroke]
        first, last = own[:, 0] - own[:, 1], own[:, -1] - own[:, -2]
        own[:, 0] += longer[:, 0] * first
        own[:, -1] += longer[:, 1] * last
        if several:
            own += numbers.take(_STROKE, 1, 2)
    return curve_weights(style.form, _POINTS) @ points


def _uniform(normal: np.ndarray) -> np.ndarray:
    """Returns numbers from 0 to 1, about uniform, from normal ones: the logistic distribution."""
    return 1 / (1 + np.exp(-1.702 * normal))


def _bent(curves: np.ndarray, numbers: _Numbers) -> np.ndarray:
    """Returns points after random smooth bends of the plane; the middle of a digit is 0."""
    x, y = curves[..., 0], curves[..., 1]
    across, down = np.pi * x, np.pi * y
    right = numbers.take(_BEND, 3)[..., None]
    below = numbers.take(_BEND, 4)[..., None]
    taper = numbers.take(_TAPER, 1)
    moved_x = x * (1 + 2 * taper * y)
    moved_x = moved_x + right[:, 0] * np.sin(down) + right[:, 1] * np.sin(2 * down)
    moved_x = moved_x + right[:, 2] * np.cos(down)
    moved_y = y + below[:, 0] * np.cos(down) + below[:, 1] * np.sin(across)
    moved_y = moved_y + below[:, 2] * np.cos(across) + below[:, 3] * 4 * x * y
    return np.stack([moved_x, moved_y], axis=2)
