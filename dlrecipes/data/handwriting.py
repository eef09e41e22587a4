"""Pictures of handwriting to what MNIST's pictures are, inside the graph."""

import tensorflow as tf

# MNIST's digits fill 20 of their 28 pixels.
FILLED = 20 / 28
# The longest side, in pixels, of the reduced picture in which ink is looked for.
_REDUCED = 160
# Ink that differs from the paper by less, of black to white, is no ink.
_FAINTEST = 0.04
# How many times the paper's own noise the mean of nine pixels exceeds where there is ink.
_ABOVE_NOISE = 3.0


def normalise(picture: tf.Tensor, size: int = 28) -> tf.Tensor:
    """Returns a picture of one character as MNIST has its digits.

    Light ink on black, whichever of the two the picture has lighter; the ink's bounding box
    scaled to fit 20/28 of the square, keeping its proportions; its centre of mass in the
    middle of the square, as near as whole pixels and the box's edges allow. The light may be
    uneven: the paper is a quadratic surface that fits the picture's border. A picture without
    ink gives zeros. Works inside a `tf.function`, for any height and width.

    Args:
        picture: Grey picture of shape `(height, width)`: integers over their type's range,
            or floating-point numbers from 0 to 1. Its border is mostly paper.
        size: Height and width of what is returned, at least 7.

    Returns:
        float32 tensor of shape `(size, size)`, from 0 (paper) to 1 (ink).

    Raises:
        ValueError: If the picture has no two dimensions, or `size` is below 7.

    Example:

    >>> dark_stroke = tf.pad(tf.zeros([40, 4]), [[30, 10], [20, 90]], constant_values=1.0)
    >>> ink = normalise(dark_stroke).numpy()
    >>> ink.sum(axis=0).round().astype(int).tolist()[11:17]
    [0, 0, 0, 20, 20, 0]

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document
        recognition", section III.A, for the box and the centre of mass. Otsu, 1979, "A
        threshold selection method from gray-level histograms", equation 18, for what is ink.
    """
    if size < 7:
        raise ValueError(f"size must be at least 7, not {size!r}.")
    picture = tf.convert_to_tensor(picture)
    if picture.shape.rank not in (None, 2):
        raise ValueError(f"picture must have shape (height, width), not {picture.shape}.")
    picture = tf.ensure_shape(picture, [None, None])
    picture = tf.image.convert_image_dtype(picture, tf.float32)
    picture = tf.where(tf.math.is_finite(picture), picture, 0.0)

    def blank() -> tf.Tensor:
        return tf.zeros([size, size])

    def sought() -> tf.Tensor:
        reduced = _reduce(picture)
        paper, dark = _paper(reduced)
        mask, level = _ink_mask(_ink(reduced, paper, dark))
        found = tf.reduce_any(mask)
        return tf.cond(found, lambda: _framed(picture, paper, dark, mask, level, size), blank)

    return tf.ensure_shape(tf.cond(tf.size(picture) > 0, sought, blank), [size, size])


def _reduce(picture: tf.Tensor) -> tf.Tensor:
    sides = tf.shape(picture)
    ratio = tf.minimum(tf.constant(1.0, tf.float64), _REDUCED / tf.reduce_max(sides))
    sides = tf.maximum(1, tf.cast(tf.round(tf.cast(sides, tf.float64) * ratio), tf.int32))
    return tf.image.resize(picture[..., None], sides, antialias=True)[..., 0]


def _surface(sides: tf.Tensor) -> tf.Tensor:
    """Returns the six quadratic terms at each pixel; both coordinates are from -1 to 1."""
    rows, columns = (
        (2.0 * tf.range(tf.cast(side, tf.float32)) + 1.0) / tf.cast(side, tf.float32) - 1.0
        for side in tf.unstack(sides, 2)
    )
    y, x = tf.meshgrid(rows, columns, indexing="ij")
    return tf.stack([tf.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _paper(picture: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the paper's six coefficients, and whether ink is darker than it."""
    sides = tf.shape(picture)
    terms = _surface(sides)
    width = tf.maximum(1, tf.reduce_min(sides) // 12)
    inner = tf.zeros(tf.maximum(0, sides - 2 * width), tf.bool)
    before = tf.minimum(width, sides)
    after = sides - before - tf.shape(inner)
    border = tf.pad(inner, tf.stack([before, after], axis=1), constant_values=True)
    terms_there, values = tf.boolean_mask(terms, border), tf.boolean_mask(picture, border)
    # Least absolute deviations, by reweighting: strokes that reach the border count little.
    # A slight pull to a level surface decides what a narrow border leaves open.
    pull = tf.linalg.diag([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    middle = _quantile(values, 0.5)
    weights = 1.0 / tf.maximum(tf.abs(values - middle), 0.02)
    for _ in range(8):
        weighted = terms_there * weights[:, None]
        square = tf.matmul(weighted, terms_there, transpose_a=True)
        square += 1e-3 * tf.reduce_sum(weights) * pull
        right = tf.linalg.matvec(weighted, values - middle, transpose_a=True)
        paper = tf.linalg.solve(square, right[:, None])[:, 0]
        gaps = tf.abs(values - middle - tf.linalg.matvec(terms_there, paper))
        weights = 1.0 / tf.maximum(gaps, 0.02)
    paper += tf.pad(middle[None], [[0, 5]])
    skew = tf.reduce_sum((picture - tf.linalg.matvec(terms, paper)) ** 3)
    return paper, skew < 0.0


def _ink(part: tf.Tensor, paper: tf.Tensor, dark: tf.Tensor, terms=None) -> tf.Tensor:
    """Returns how far each pixel is from the paper, towards the ink; negative beyond it."""
    light = tf.linalg.matvec(_surface(tf.shape(part)) if terms is None else terms, paper)
    # Ink takes a share of the light that falls on white paper; on black it adds to it.
    return tf.where(dark, (light - part) / tf.maximum(light, 0.1), part - light)


def _ink_mask(ink: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which pixels are ink, faint edges included, and how strong full ink is."""
    noise = 1.4826 * _quantile(tf.abs(ink - _quantile(ink, 0.5)), 0.5)
    # A single pixel may be noise; nine neighbours hardly are.
    together = tf.nn.avg_pool2d(ink[None, ..., None], 3, 1, "SAME")[0, ..., 0]
    inked = tf.reduce_max(together) > tf.maximum(_FAINTEST, _ABOVE_NOISE * noise)
    strong = (ink > tf.maximum(_otsu(tf.nn.relu(ink)), 3.0 * noise)) & inked
    level = _quantile(tf.boolean_mask(ink, strong), 0.95)
    faint = ink > tf.maximum(0.05 * level, 3.0 * noise)
    # Faint pixels are the edge of a stroke where they join strong ones, and dirt elsewhere.
    reach = 1 + tf.reduce_max(tf.shape(ink)) // 28
    joined = tf.cast(strong, tf.float32)[None, ..., None]
    allowed = tf.cast(faint, tf.float32)[None, ..., None]
    _, joined = tf.while_loop(
        lambda step, _: step < reach,
        lambda step, grown: (step + 1, tf.nn.max_pool2d(grown, 3, 1, "SAME") * allowed),
        [0, joined],
    )
    return joined[0, ..., 0] > 0.0, level


def _framed(picture, paper, dark, mask, level, size: int) -> tf.Tensor:
    """Returns the ink, of which the mask tells roughly where it is, in its place."""
    whole, sides = tf.shape(picture), tf.shape(mask)
    rows, columns = (tf.where(tf.reduce_any(mask, axis=axis))[:, 0] for axis in (1, 0))
    first = tf.cast(tf.stack([rows[0], columns[0]]), tf.int32)
    last = tf.cast(tf.stack([rows[-1], columns[-1]]), tf.int32)
    scale = tf.cast(whole, tf.float64) / tf.cast(sides, tf.float64)
    start = tf.cast(tf.floor(tf.cast(first, tf.float64) * scale + 1e-6), tf.int32)
    end = tf.cast(tf.math.ceil(tf.cast(last + 1, tf.float64) * scale - 1e-6), tf.int32)
    box = end - start
    terms = _surface(whole)[start[0] : end[0], start[1] : end[1]]
    part = picture[start[0] : end[0], start[1] : end[1]]
    where = tf.cast(mask[first[0] : last[0] + 1, first[1] : last[1] + 1], tf.float32)
    where = tf.image.resize(where[..., None], box)[..., 0]
    ink = tf.clip_by_value(_ink(part, paper, dark, terms) / level, 0.0, 1.0) * where
    ratio = round(size * FILLED) / tf.reduce_max(box)
    inside = tf.maximum(1, tf.cast(tf.round(tf.cast(box, tf.float64) * ratio), tf.int32))
    ink = tf.image.resize(ink[..., None], inside, antialias=True)[..., 0]
    # Thin strokes are grey after they were reduced; MNIST's are white at their middle.
    ink = tf.math.divide_no_nan(ink, tf.reduce_max(ink))
    room = tf.minimum(size - inside, tf.maximum(0, _offset(ink, size)))
    return tf.pad(ink, tf.stack([room, size - inside - room], axis=1))


def _offset(ink: tf.Tensor, size: int) -> tf.Tensor:
    """Returns where the ink's first row and column belong for its mass to be in the middle."""
    mass = tf.maximum(tf.reduce_sum(ink), 1e-6)
    centre = tf.stack(
        [
            tf.reduce_sum(tf.reduce_sum(ink, axis=1 - axis) * tf.range(tf.cast(n, tf.float32)))
            for axis, n in enumerate(tf.unstack(tf.shape(ink), 2))
        ]
    )
    return tf.cast(tf.round(size / 2 - centre / mass), tf.int32)


def _otsu(ink: tf.Tensor, bins: int = 128) -> tf.Tensor:
    """Returns the threshold that parts two classes best."""
    top = tf.maximum(tf.reduce_max(ink), 1e-6)
    counts = tf.histogram_fixed_width(tf.reshape(ink, [-1]), [0.0, top], bins)
    shares = tf.cast(counts, tf.float32) / tf.cast(tf.size(ink), tf.float32)
    values = (tf.range(float(bins)) + 0.5) / bins
    below, sums = tf.cumsum(shares), tf.cumsum(shares * values)
    between = (sums[-1] * below - sums) ** 2
    between = tf.math.divide_no_nan(between, below * (1.0 - below))
    return top * (tf.cast(tf.argmax(between[:-1]), tf.float32) + 1.0) / bins


def _quantile(values: tf.Tensor, share: float) -> tf.Tensor:
    """Returns the value that a share of them do not exceed; 1 where there are none."""
    ordered = tf.sort(tf.reshape(values, [-1]))
    count = tf.size(ordered)
    place = tf.cast(share * tf.cast(count - 1, tf.float32), tf.int32)
    return tf.cond(count > 0, lambda: ordered[tf.maximum(place, 0)], lambda: tf.constant(1.0))
