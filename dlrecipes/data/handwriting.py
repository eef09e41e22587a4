"""Normalisation of images of handwriting to the format of MNIST, inside the graph."""

from collections.abc import Sequence

import tensorflow as tf

from dlrecipes.data._handwriting_format import ABOVE_NOISE, FAINTEST, FILLED, HALF, REDUCED


# AutoGraph has nothing to convert here, and its search takes several times as long as tracing.
@tf.autograph.experimental.do_not_convert
def normalise(image: tf.Tensor, size: int = 28) -> tf.Tensor:
    """Returns an image of one character in the format of MNIST's digits.

    The ink is light on black, in images of dark ink as well as of light ink. Its bounding box is
    scaled to fit 20/28 of the square, keeping the aspect ratio, and its centre of mass is in the
    middle of the square, as far as whole pixels and the edges allow. The lighting may be uneven:
    the paper's brightness is a quadratic surface fitted to the image's border. An image without
    ink gives zeros. Works inside a `tf.function`, for any height and width.

    Args:
        image: Grey image of shape `(height, width)`, or a batch of images of shape `(batch,
            height, width)`: integers over their type's range, or floating-point numbers from 0
            to 1. The border of an image is mostly paper.
        size: Height and width of the result, at least 7. Defaults to 28.

    Returns:
        float32 tensor of shape `(size, size)` or `(batch, size, size)`, from 0 (paper) to 1
        (ink).

    Raises:
        ValueError: If `image` does not have two or three dimensions, or `size` is below 7.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.handwriting import normalise
    >>> dark_stroke = tf.pad(tf.zeros([40, 4]), [[30, 10], [20, 90]], constant_values=1.0)
    >>> ink = normalise(dark_stroke).numpy()
    >>> ink.sum(axis=0).round().astype(int).tolist()[11:17]
    [0, 0, 20, 20, 0, 0]

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section III.A (the box and the centre of mass),
        https://doi.org/10.1109/5.726791; Otsu, 1979, "A threshold selection method from
        gray-level histograms", equation 18 (the threshold of ink),
        https://doi.org/10.1109/TSMC.1979.4310076.
    """
    if size < 7:
        raise ValueError(f"size must be at least 7, not {size!r}.")
    image = tf.convert_to_tensor(image)
    if image.shape.rank not in (2, 3):
        raise ValueError(
            f"image must have shape (height, width) or (batch, height, width), not {image.shape}."
        )
    if image.shape.rank == 2:
        return normalise(image[None], size)[0]
    images = tf.image.convert_image_dtype(image, tf.float32)
    images = tf.where(tf.math.is_finite(images), images, 0.0)

    def blank() -> tf.Tensor:
        return tf.zeros([tf.shape(images)[0], size, size])

    def normalised() -> tf.Tensor:
        reduced = _reduce(images)
        paper, dark = _paper(reduced)
        mask, level = _ink_mask(_ink(reduced, paper, dark))
        return _framed(_ink(images, paper, dark), mask, level, size)

    result = tf.cond(tf.size(images) > 0, normalised, blank)
    return tf.ensure_shape(result, [image.shape[0], size, size])


def _reduce(images: tf.Tensor) -> tf.Tensor:
    sides = tf.shape(images)[1:]
    ratio = tf.minimum(tf.constant(1.0, tf.float64), REDUCED / tf.reduce_max(sides))
    sides = tf.maximum(1, tf.cast(tf.round(tf.cast(sides, tf.float64) * ratio), tf.int32))
    return tf.image.resize(images[..., None], sides, antialias=True)[..., 0]


def _places(sides: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the coordinates of the rows and of the columns, each from -1 to 1."""
    rows, columns = (
        (2.0 * tf.range(tf.cast(side, tf.float32)) + 1.0) / tf.cast(side, tf.float32) - 1.0
        for side in tf.unstack(sides, 2)
    )
    return rows, columns


def _paper(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns, per image, the paper's six coefficients and whether ink is darker than paper."""
    sides = tf.shape(images)[1:]
    width = tf.maximum(1, tf.reduce_min(sides) // 12)
    inner = tf.zeros(tf.maximum(0, sides - 2 * width), tf.bool)
    before = tf.minimum(width, sides)
    after = sides - before - tf.shape(inner)
    border = tf.pad(inner, tf.stack([before, after], axis=1), constant_values=True)
    y, x = tf.meshgrid(*_places(sides), indexing="ij")
    terms = tf.stack([tf.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    terms = tf.boolean_mask(terms, border)
    # Shapes (batch, border pixels) and (border pixels, 6).
    values = tf.boolean_mask(images, border, axis=1)
    # Least absolute deviations by reweighting: strokes that reach the border have little weight.
    # A slight pull to a flat surface decides where a narrow border leaves the fit open.
    pull = tf.linalg.diag([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    middle = _quantile(values, 0.5)[:, None]
    values -= middle
    # Each pixel's 36 products of two terms: their weighted sum is one matrix product.
    products = tf.reshape(terms[:, :, None] * terms[:, None, :], [-1, 36])
    weights = 1.0 / tf.maximum(tf.abs(values), 0.02)
    for _ in range(8):
        square = tf.reshape(tf.matmul(weights, products), [-1, 6, 6])
        square += 1e-3 * tf.reduce_sum(weights, axis=1)[:, None, None] * pull
        right = tf.matmul(weights * values, terms)
        paper = tf.linalg.solve(square, right[..., None])[..., 0]
        gaps = tf.abs(values - tf.matmul(paper, terms, transpose_b=True))
        weights = 1.0 / tf.maximum(gaps, 0.02)
    paper += tf.pad(middle, [[0, 0], [0, 5]])
    skew = tf.reduce_sum((images - _light(paper, sides)) ** 3, axis=[1, 2])
    return paper, skew < 0.0


def _light(paper: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Returns the quadratic surfaces of the paper, of shape `(batch, height, width)`."""
    rows, columns = _places(sides)
    level, x, y, xx, xy, yy = (part[:, None, None] for part in tf.unstack(paper, 6, axis=1))
    rows, columns = rows[:, None], columns[None]
    return level + (x + xx * columns) * columns + (y + yy * rows + xy * columns) * rows


def _ink(images: tf.Tensor, paper: tf.Tensor, dark: tf.Tensor) -> tf.Tensor:
    """Returns the distance of each pixel from the paper towards ink; negative away from it."""
    light = _light(paper, tf.shape(images)[1:])
    # Dark ink absorbs a fraction of the light that falls on paper; light ink adds to it.
    darker = (light - images) / tf.maximum(light, 0.1)
    return tf.where(dark[:, None, None], darker, images - light)


def _ink_mask(ink: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a mask of the ink, including faint edges, and the strength of full ink."""
    flat = tf.reshape(ink, [tf.shape(ink)[0], -1])
    noise = 1.4826 * _quantile(tf.abs(flat - _quantile(flat, 0.5)[:, None]), 0.5)
    # A single pixel may be noise; nine neighbours hardly are.
    together = tf.reduce_max(tf.nn.avg_pool2d(ink[..., None], 3, 1, "SAME"), axis=[1, 2, 3])
    inked = together > tf.maximum(FAINTEST, ABOVE_NOISE * noise)
    threshold = tf.maximum(_otsu(tf.nn.relu(flat)), 3.0 * noise)
    strong = (ink > threshold[:, None, None]) & inked[:, None, None]
    level = _quantile(flat, 0.95, tf.reshape(strong, tf.shape(flat)))
    faint = ink > tf.maximum(0.05 * level, 3.0 * noise)[:, None, None]
    # Faint pixels are the edge of a stroke where they join strong ones, and dirt elsewhere.
    reach = 1 + tf.reduce_max(tf.shape(ink)[1:]) // 28
    joined = tf.cast(strong, tf.float32)[..., None]
    allowed = tf.cast(faint, tf.float32)[..., None]
    _, joined = tf.while_loop(
        lambda step, _: step < reach,
        lambda step, grown: (step + 1, tf.nn.max_pool2d(grown, 3, 1, "SAME") * allowed),
        [0, joined],
    )
    return joined[..., 0] > 0.0, level


def _framed(ink: tf.Tensor, mask: tf.Tensor, level: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the ink, scaled and centred in the square; the mask gives its rough position.

    Each image's box has its own size, so cutting and scaling are matrix products whose
    matrices have rows of zeros outside the box.
    """
    filled = round(size * FILLED)
    whole, sides = tf.shape(ink)[1:], tf.shape(mask)[1:]
    first, last = _box(mask)
    scale = tf.cast(whole, tf.float64) / tf.cast(sides, tf.float64)
    start = tf.cast(tf.floor(tf.cast(first, tf.float64) * scale + 1e-6), tf.int32)
    end = tf.cast(tf.math.ceil(tf.cast(last + 1, tf.float64) * scale - 1e-6), tf.int32)
    box = end - start
    coarse = tf.cast(mask, tf.float32)
    where = _rows_and_columns(
        coarse,
        [
            _enlarging(whole[k], start[:, k], end[:, k], first[:, k], last[:, k], sides[k])
            for k in range(2)
        ],
    )
    ink = tf.clip_by_value(ink / level[:, None, None], 0.0, 1.0) * where
    ratio = filled / tf.reduce_max(box, axis=1, keepdims=True)
    inside = tf.maximum(1, tf.cast(tf.round(tf.cast(box, tf.float64) * ratio), tf.int32))
    ink = _rows_and_columns(
        ink,
        [_reducing(filled, inside[:, k], start[:, k], end[:, k], whole[k]) for k in range(2)],
    )
    # Thin strokes are grey after downscaling; MNIST's are white at their middle.
    ink = tf.math.divide_no_nan(ink, tf.reduce_max(ink, axis=[1, 2], keepdims=True))
    room = tf.minimum(size - inside, tf.maximum(0, _offset(ink, size)))
    rows = tf.range(size)[:, None] == tf.range(filled) + room[:, :, None, None]
    return _rows_and_columns(ink, tf.unstack(tf.cast(rows, tf.float32), 2, axis=1))


def _rows_and_columns(images: tf.Tensor, by: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns images with rows and columns recombined: `by[0] @ image @ by[1].T`."""
    rows, columns = by
    return tf.matmul(tf.matmul(rows, images), columns, transpose_b=True)


def _box(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first and last row and column with ink, each of shape `(batch, 2)`."""
    first, last = [], []
    for axis in (2, 1):
        inked = tf.cast(tf.reduce_any(mask, axis=axis), tf.int32)
        first.append(tf.argmax(inked, axis=1, output_type=tf.int32))
        from_the_end = tf.argmax(tf.reverse(inked, [1]), axis=1, output_type=tf.int32)
        last.append(tf.shape(inked)[1] - 1 - from_the_end)
    return tf.stack(first, axis=1), tf.stack(last, axis=1)


def _enlarging(side, start, end, first, last, coarse) -> tf.Tensor:
    """Returns the weights of `coarse` pixels, `first` to `last`, for `start` to `end` of `side`.

    Linear interpolation between pixel centres; the shape is `(batch, side, coarse)`.
    """
    place = tf.range(tf.cast(side, tf.float32)) + 0.5 - _column(start)
    source = place * _column(last + 1 - first) / _column(end - start) - 0.5 + _column(first)
    source = tf.clip_by_value(source, _column(first), _column(last))
    gaps = tf.abs(source[..., None] - tf.range(tf.cast(coarse, tf.float32)))
    inside = (place > 0.0) & (place < _column(end - start))
    return tf.maximum(0.0, 1.0 - gaps) * tf.cast(inside, tf.float32)[..., None]


def _reducing(rows: int, count, start, end, side) -> tf.Tensor:
    """Returns the weights of pixels `start` to `end` for the first `count` rows, antialiased.

    The weights are triangles, at least a pixel and a row wide; the shape is `(batch, rows,
    side)`.
    """
    step = _column(end - start) / _column(count)
    row = tf.range(float(rows))
    centre = (row + 0.5) * step + _column(start)
    pixel = tf.range(tf.cast(side, tf.float32)) + 0.5
    gaps = tf.abs(centre[..., None] - pixel) / tf.maximum(step, 1.0)[..., None]
    taken = (pixel > _column(start)) & (pixel < _column(end))
    weights = tf.maximum(0.0, 1.0 - gaps) * tf.cast(taken, tf.float32)[:, None]
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    return weights * tf.cast(row < _column(count), tf.float32)[..., None]


def _column(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)[:, None]


def _offset(ink: tf.Tensor, size: int) -> tf.Tensor:
    """Returns the first row and column of the ink that put its centre of mass in the middle."""
    mass = tf.maximum(tf.reduce_sum(ink, axis=[1, 2]), 1e-6)
    places = tf.range(tf.cast(tf.shape(ink)[1], tf.float32))
    centre = [tf.linalg.matvec(tf.reduce_sum(ink, axis=axis), places) / mass for axis in (2, 1)]
    return tf.cast(tf.floor(size / 2 - tf.stack(centre, axis=1) + HALF), tf.int32)


def _otsu(ink: tf.Tensor, bins: int = 128) -> tf.Tensor:
    """Returns Otsu's threshold for each row of non-negative numbers."""
    top = tf.maximum(tf.reduce_max(ink, axis=1), 1e-6)
    images, pixels = tf.unstack(tf.shape(ink), 2)
    index = tf.minimum(bins - 1, tf.cast(ink / top[:, None] * bins, tf.int32))
    index += bins * tf.range(images)[:, None]
    counts = tf.math.bincount(tf.reshape(index, [-1]), minlength=bins * images)
    histogram = tf.reshape(counts, [-1, bins]) / pixels
    histogram = tf.cast(histogram, tf.float32)
    values = (tf.range(float(bins)) + 0.5) / bins
    below, sums = tf.cumsum(histogram, axis=1), tf.cumsum(histogram * values, axis=1)
    between = (sums[:, -1:] * below - sums) ** 2
    between = tf.math.divide_no_nan(between, below * (1.0 - below))
    best = tf.argmax(between[:, :-1], axis=1)
    return top * (tf.cast(best, tf.float32) + 1.0) / bins


def _quantile(values: tf.Tensor, fraction: float, counted: tf.Tensor | None = None) -> tf.Tensor:
    """Returns a quantile of the counted values in each row; 1 if none are counted."""
    if counted is None:
        counted = tf.ones_like(values, tf.bool)
    ordered = tf.sort(tf.where(counted, values, values.dtype.max), axis=1)
    count = tf.reduce_sum(tf.cast(counted, tf.int32), axis=1)
    place = tf.cast(fraction * tf.cast(count - 1, tf.float32), tf.int32)
    quantile = tf.gather(ordered, tf.maximum(place, 0), axis=1, batch_dims=1)
    return tf.where(count > 0, quantile, 1.0)
