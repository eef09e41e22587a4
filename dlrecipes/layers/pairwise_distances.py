"""Distances between all vectors of one set and all of another."""

import keras
from keras import ops

METRICS = ("squared_euclidean", "euclidean", "cosine")


@keras.saving.register_keras_serializable(package="dlrecipes")
class PairwiseDistances(keras.layers.Layer):
    """Returns the distance between each vector of one set and each of another.

    With a single set, its vectors are compared with one another, and the distance of a vector to
    itself is exactly zero. With `d_ij` the entry in row i and column j:

        squared_euclidean   d_ij = |a_i - b_j|^2
        euclidean           d_ij = |a_i - b_j|
        cosine              d_ij = 1 - a_i . b_j / (|a_i| |b_j|), and 1 where one of them is zero

    Distances are never negative. They are computed and returned in float32 at least, under any
    dtype policy. They come from one matrix product: squares are exact to about 1e-7 times
    `|a_i|^2 + |b_j|^2`. Gradients are finite everywhere. At a distance of zero they are zero,
    including the Euclidean distance, which has no gradient there. Training and inference behave the
    same.

    Args:
        metric: `"squared_euclidean"`, `"euclidean"` or `"cosine"`. Defaults to
            `"squared_euclidean"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Vectors of shape `(..., n, units)`, or a list of two such sets, the second of shape
            `(..., m, units)`. A set may be the batch itself, of shape `(batch, units)`.

    Returns:
        Distances of shape `(..., n, m)`; of shape `(..., n, n)` for a single set.

    Raises:
        ValueError: If `metric` is not one of the names above, there are more than two sets, or the
            sets have vectors of different sizes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import PairwiseDistances
    >>> points = keras.ops.array([[0.0, 0.0], [3.0, 4.0]])
    >>> keras.ops.convert_to_numpy(PairwiseDistances("euclidean")(points)).tolist()
    [[0.0, 5.0], [5.0, 0.0]]

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face recognition
        and clustering", section 3, where faces are compared by squared distances.
        https://arxiv.org/abs/1503.03832
    """

    def __init__(self, metric: str = "squared_euclidean", **kwargs):
        super().__init__(**kwargs)
        _check(metric)
        self.metric = metric
        # Differences of nearly equal numbers need more precision than a 16-bit policy has.
        self.autocast = False

    def call(self, inputs):
        first, second = _pair(inputs)
        distances = pairwise_distances(first, second, self.metric)
        return ops.cast(distances, self._output_dtype)

    def compute_output_spec(self, inputs):
        shape = keras.tree.map_structure(lambda x: x.shape, inputs)
        return keras.KerasTensor(self.compute_output_shape(shape), self._output_dtype)

    def compute_output_shape(self, input_shape):
        single = not isinstance(input_shape[0], list | tuple)
        first, second = (tuple(input_shape), None) if single else _pair(input_shape)
        second = first if second is None else second
        _check_sizes(first, second)
        return (*first[:-1], second[-2])

    def get_config(self):
        return {**super().get_config(), "metric": self.metric}

    @property
    def _output_dtype(self):
        return keras.backend.result_type(self.compute_dtype, "float32")


def pairwise_distances(first, second=None, metric: str = "squared_euclidean"):
    """Computes the distances of `PairwiseDistances`, for losses and metrics.

    Args:
        first: Vectors of shape `(..., n, units)`.
        second: Vectors of shape `(..., m, units)`; `None` compares `first` with itself. Defaults to
            `None`.
        metric: `"squared_euclidean"`, `"euclidean"` or `"cosine"`. Defaults to
            `"squared_euclidean"`.

    Returns:
        Distances of shape `(..., n, m)`, in float32 at least.

    Raises:
        ValueError: If `metric` is not one of the names above, or the vectors differ in size.

    Example:

    >>> import keras
    >>> from dlrecipes.layers.pairwise_distances import pairwise_distances
    >>> distances = pairwise_distances(keras.ops.array([[0.0], [3.0]]))
    >>> keras.ops.convert_to_numpy(distances).tolist()
    [[0.0, 9.0], [9.0, 0.0]]
    """
    _check(metric)
    a = at_least_float32(first)
    b = a if second is None else at_least_float32(second)
    _check_sizes(a.shape, b.shape)
    if metric == "cosine":
        a, b = _directions(a), _directions(b)
        distances = 1 - _products(a, b)
    else:
        rows, columns = (ops.sum(ops.square(x), axis=-1) for x in (a, b))
        distances = ops.expand_dims(rows, -1) - 2 * _products(a, b) + ops.expand_dims(columns, -2)
    distances = ops.maximum(distances, 0)
    if second is None:
        distances = ops.where(_diagonal(distances), ops.zeros_like(distances), distances)
    return safe_sqrt(distances) if metric == "euclidean" else distances


def safe_sqrt(x):
    """Computes the square root, with a gradient of 0 instead of infinity at 0.

    Args:
        x: Values of at least 0, of any shape.

    Returns:
        Square roots, of the same shape.

    Example:

    >>> import keras
    >>> from dlrecipes.layers.pairwise_distances import safe_sqrt
    >>> keras.ops.convert_to_numpy(safe_sqrt(keras.ops.array([0.0, 9.0]))).tolist()
    [0.0, 3.0]
    """
    positive = x > 0
    # The inner `where` keeps the root's infinite derivative out of the gradient's product.
    return ops.where(positive, ops.sqrt(ops.where(positive, x, ops.ones_like(x))), 0)


def at_least_float32(x):
    """Converts to a tensor, and 16-bit numbers or integers to float32.

    Args:
        x: Numbers of any shape.

    Returns:
        A tensor of the same shape, in float32 or float64.

    Example:

    >>> from dlrecipes.layers.pairwise_distances import at_least_float32
    >>> at_least_float32([1, 2]).dtype == at_least_float32([0.5]).dtype
    True
    """
    x = ops.convert_to_tensor(x)
    return ops.cast(x, keras.backend.result_type(x.dtype, "float32"))


def _check(metric) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} is not one of {', '.join(METRICS)}.")


def _check_sizes(first, second) -> None:
    for shape in (first, second):
        if len(shape) < 2:
            raise ValueError(f"vectors must be of shape (..., n, units), not {tuple(shape)}.")
    if None not in (first[-1], second[-1]) and first[-1] != second[-1]:
        raise ValueError(
            f"both sets must hold vectors of one size, not of {first[-1]} and {second[-1]}."
        )


def _pair(inputs):
    if not isinstance(inputs, list | tuple):
        return inputs, None
    if len(inputs) not in (1, 2):
        raise ValueError(f"inputs must be one set of vectors or two, not {len(inputs)}.")
    return (*inputs, None)[:2]


def _directions(x):
    squared = ops.sum(ops.square(x), axis=-1, keepdims=True)
    positive = squared > 0
    return ops.where(positive, x / ops.sqrt(ops.where(positive, squared, 1)), 0)


def _products(a, b):
    return ops.matmul(a, ops.swapaxes(b, -1, -2))


def _diagonal(x):
    index = ops.arange(ops.shape(x)[-1])
    return ops.equal(ops.expand_dims(index, -1), index)
