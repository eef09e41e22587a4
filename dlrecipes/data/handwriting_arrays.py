"""Normalisation of an image of handwriting with NumPy, equal to the graph's.

`dlrecipes.data.handwriting` does the same inside a graph, for batches, and says why each step is
taken. Publishing compares the two on test images.
"""

from __future__ import annotations

import numpy as np

from dlrecipes.data._handwriting_format import ABOVE_NOISE, FAINTEST, FILLED, HALF, REDUCED
from dlrecipes.data.image_resizing import resize_array, triangle_weights

Float = np.float32


def normalise(image: np.ndarray, size: int = 28) -> np.ndarray:
    """Returns an image of one character in the format of MNIST's digits.

    Args:
        image: Grey image, floats from 0 to 1 of shape `(height, width)`.
        size: Height and width of the result, at least 7. Defaults to 28.

    Returns:
        float32 array of shape `(size, size)`, from 0 (paper) to 1 (ink).

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.handwriting_arrays import normalise
    >>> dark_stroke = np.pad(np.zeros([40, 4]), [[30, 10], [20, 90]], constant_values=1.0)
    >>> normalise(dark_stroke).sum(axis=0).round().astype(int).tolist()[11:17]
    [0, 0, 20, 20, 0, 0]
    """
    image = np.asarray(image, Float)
    if not image.size:
        return np.zeros((size, size), Float)
    reduced = _reduce(image)
    paper, is_dark = _paper(reduced)
    mask, level = _ink_mask(_ink(reduced, paper, is_dark))
    return _framed(image, paper, is_dark, mask, level, size)


def _reduce(image: np.ndarray) -> np.ndarray:
    ratio = min(1.0, REDUCED / max(image.shape))
    rows, columns = (max(1, round(side * ratio)) for side in image.shape)
    return resize_array(image, rows, columns)


def _places(side: int) -> np.ndarray:
    """Returns the coordinates of rows or columns, from -1 to 1."""
    return (2 * np.arange(side, dtype=Float) + 1) / Float(side) - 1


def _paper(image: np.ndarray) -> tuple[np.ndarray, bool]:
    """Returns the paper's six coefficients, and whether ink is darker than paper."""
    width = max(1, min(image.shape) // 12)
    border = np.ones(image.shape, bool)
    border[width:-width, width:-width] = False
    x, y = np.meshgrid(_places(image.shape[1]), _places(image.shape[0]))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)[border]
    values = image[border]
    pull = np.diag([0, 1, 1, 1, 1, 1]).astype(Float)
    middle = _quantile(values, 0.5)
    values = values - middle
    products = (terms[:, :, None] * terms[:, None, :]).reshape(-1, 36)
    weights = 1 / np.maximum(np.abs(values), Float(0.02))
    for _ in range(8):
        square = (weights @ products).reshape(6, 6) + Float(1e-3) * weights.sum() * pull
        paper = np.linalg.solve(square, (weights * values) @ terms)
        weights = 1 / np.maximum(np.abs(values - terms @ paper), Float(0.02))
    paper[0] += middle
    return paper, bool(((image - _light(paper, image.shape)) ** 3).sum() < 0)


def _light(paper: np.ndarray, shape: tuple[int, ...], rows=slice(None), columns=slice(None)):
    """Returns some rows and columns of the paper's quadratic surface."""
    down, along = _places(shape[0])[rows, None], _places(shape[1])[None, columns]
    level, x, y, xx, xy, yy = paper
    return level + (x + xx * along) * along + (y + yy * down + xy * along) * down


def _ink(
    image: np.ndarray, paper: np.ndarray, is_dark: bool, rows=slice(None), columns=slice(None)
) -> np.ndarray:
    """Returns the distance of some pixels from the paper towards ink; negative away from it."""
    light = _light(paper, image.shape, rows, columns)
    image = image[rows, columns]
    return (light - image) / np.maximum(light, Float(0.1)) if is_dark else image - light


def _ink_mask(ink: np.ndarray) -> tuple[np.ndarray, np.floating]:
    """Returns a mask of the ink, including faint edges, and the strength of full ink."""
    noise = Float(1.4826) * _quantile(np.abs(ink - _quantile(ink, 0.5)), 0.5)
    is_inked = _mean_of_nine(ink).max() > max(Float(FAINTEST), Float(ABOVE_NOISE) * noise)
    threshold = max(_otsu(np.maximum(ink, 0)), Float(3) * noise)
    strong = (ink > threshold) & is_inked
    level = _quantile(ink[strong], 0.95)
    faint = ink > max(Float(0.05) * level, Float(3) * noise)
    joined = strong
    for _ in range(1 + max(ink.shape) // 28):
        grown = _grown(joined) & faint
        if np.array_equal(grown, joined):
            break
        joined = grown
    return joined, level


def _shifts(padded: np.ndarray) -> list[np.ndarray]:
    rows, columns = (side - 2 for side in padded.shape)
    return [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]


def _mean_of_nine(values: np.ndarray) -> np.ndarray:
    counts = np.sum(_shifts(np.pad(np.ones(values.shape, Float), 1)), axis=0)
    return np.sum(_shifts(np.pad(values, 1)), axis=0) / counts


def _grown(mask: np.ndarray) -> np.ndarray:
    return np.any(_shifts(np.pad(mask, 1)), axis=0)


def _framed(
    image: np.ndarray,
    paper: np.ndarray,
    is_dark: bool,
    mask: np.ndarray,
    level: np.floating,
    size: int,
) -> np.ndarray:
    """Returns the ink, scaled and centred in the square; the mask gives its rough position."""
    filled = round(size * FILLED)
    boxes = [_box(np.any(mask, axis=1 - axis), image.shape[axis]) for axis in (0, 1)]
    (first, last, start, end), (left, right, begin, stop) = boxes
    rows, columns = slice(start, end), slice(begin, stop)
    by = _enlarging(first, last, end - start), _enlarging(left, right, stop - begin)
    where = by[0] @ mask[first : last + 1, left : right + 1].astype(Float) @ by[1].T
    ink = _ink(image, paper, is_dark, rows, columns) / level
    ink = np.clip(ink, 0, 1) * where
    box = np.array(ink.shape)
    inside = np.maximum(1, np.round(box * (filled / box.max())).astype(int))
    ink = triangle_weights(box[0], inside[0]) @ ink @ triangle_weights(box[1], inside[1]).T
    ink = ink / (ink.max() or 1)
    room = np.minimum(size - inside, np.maximum(0, _offset(ink, size)))
    framed = np.zeros((size, size), Float)
    framed[room[0] : room[0] + inside[0], room[1] : room[1] + inside[1]] = ink
    return framed


def _box(inked: np.ndarray, whole: int) -> tuple[int, int, int, int]:
    """Returns the first and last inked row of the mask, and the rows of the image they stand for.

    The second pair is a half-open interval.
    """
    first = int(inked.argmax())
    last = len(inked) - 1 - int(inked[::-1].argmax())
    scale = whole / len(inked)
    return first, last, int(first * scale + 1e-6), int(np.ceil((last + 1) * scale - 1e-6))


def _enlarging(first: int, last: int, side: int) -> np.ndarray:
    """Returns the weights of the mask's pixels, `first` to `last`, for `side` pixels."""
    place = np.arange(side, dtype=Float) + Float(0.5)
    source = place * Float(last + 1 - first) / Float(side) - Float(0.5) + Float(first)
    source = np.clip(source, first, last)
    pixels = np.arange(first, last + 1, dtype=Float)
    return np.maximum(0, 1 - np.abs(source[:, None] - pixels))


def _offset(ink: np.ndarray, size: int) -> np.ndarray:
    """Returns the first row and column of the ink that put its centre of mass in the middle."""
    mass = max(ink.sum(), 1e-6)
    centre = [ink.sum(axis=axis) @ np.arange(ink.shape[1 - axis]) / mass for axis in (1, 0)]
    return np.floor(size / 2 - np.array(centre) + HALF).astype(int)


def _otsu(ink: np.ndarray, bins: int = 128) -> np.floating:
    """Returns Otsu's threshold of non-negative numbers."""
    top = max(ink.max(), Float(1e-6))
    index = np.minimum(bins - 1, (ink / top * Float(bins)).astype(int)).ravel()
    histogram = (np.bincount(index, minlength=bins) / ink.size).astype(Float)
    values = (np.arange(bins, dtype=Float) + Float(0.5)) / Float(bins)
    below, sums = np.cumsum(histogram), np.cumsum(histogram * values)
    between, spread = (sums[-1] * below - sums) ** 2, below * (1 - below)
    between = np.divide(between, spread, out=np.zeros_like(between), where=spread != 0)
    return top * Float(between[:-1].argmax() + 1) / Float(bins)


def _quantile(values: np.ndarray, fraction: float) -> np.floating:
    """Returns a quantile; 1 if there are no values."""
    if not values.size:
        return Float(1)
    place = int(Float(fraction) * Float(values.size - 1))
    return np.partition(values.ravel(), place)[place]
