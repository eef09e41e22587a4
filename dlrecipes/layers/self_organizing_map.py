"""The self-organizing map."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number, pair, shaped
from dlrecipes.layers._precision import exact, exact_dtype


@keras.saving.register_keras_serializable(package="dlrecipes")
class SelfOrganizingMap(keras.layers.Layer):
    """Units on a grid, each with a vector in the space of the data.

    Unit `i` lies on the grid at `r_i = (row, column)` and has a vector `w_i`, a row of `codebook`,
    of shape `(rows * columns, features)`. The winner `c` of an example is the unit whose vector is
    nearest. Learning moves the winner and its neighbours on the grid towards the example `x`,

        w_i <- w_i + rate * h_ci * (x - w_i),   h_ci = exp(-|r_i - r_c|^2 / (2 radius^2)),

    so that neighbours on the grid come to represent neighbours among the data. With a radius of 0
    only the winner learns. Rate and radius shrink during training. `update` and `batch_update`
    return the new codebook and assign nothing: the training loop does.

    Calling the layer gives the squared distances, and `winner` the position of the smallest. Both
    are computed in float32 at least, and the output has that dtype under any policy, since rounding
    could confuse units at similar distances. Training and inference behave the same.

    Args:
        grid: Rows and columns of the grid, each at least 1; one integer for a square. Defaults to
            `(10, 10)`.
        initializer: Initializer of the codebook; best near the data, such as uniform numbers in
            their range. Defaults to `"random_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Vectors of shape `(batch, features)`.

    Returns:
        Squared distances `|x - w_i|^2`, of shape `(batch, rows, columns)`.

    Raises:
        ValueError: If `grid` is not one or two integers of at least 1, or the inputs have another
            shape. `update` and `batch_update` also raise it for a rate that is not in (0, 1] or a
            radius below 0, if these are Python numbers and not tensors.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import SelfOrganizingMap
    >>> layer = SelfOrganizingMap((2, 3), initializer="zeros")
    >>> distances = layer(keras.ops.array([[3.0, 4.0]]))
    >>> tuple(distances.shape), float(distances[0, 1, 2])
    ((1, 2, 3), 25.0)
    >>> keras.ops.convert_to_numpy(layer.winner(distances)).tolist()
    [[0, 0]]

    Training with a radius that shrinks to 0 arranges disordered units along a line:

    >>> data = keras.ops.array([[0.0], [1.0], [2.0], [3.0]])
    >>> layer = SelfOrganizingMap((1, 4))
    >>> layer.build(data.shape)
    >>> _ = layer.codebook.assign([[1.0], [0.0], [3.0], [2.0]])
    >>> for step in range(21):
    ...     radius = 2 * (1 - step / 20)
    ...     _ = layer.codebook.assign(layer.batch_update(data, radius))
    >>> [round(float(value), 2) for value in layer.codebook[:, 0]]
    [0.0, 1.0, 2.0, 3.0]

    Reference:
        Kohonen, 1982, "Self-organized formation of topologically correct feature maps".
        https://doi.org/10.1007/BF00337288
        Kohonen, 1990, "The self-organizing map", for the Gaussian neighbourhood.
        https://doi.org/10.1109/5.58325
        Kohonen, 2013, "Essentials of the self-organizing map", for the batch computation.
        https://doi.org/10.1016/j.neunet.2012.09.018
    """

    def __init__(
        self, grid: int | tuple[int, int] = (10, 10), initializer="random_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.grid = grid
        self.rows, self.columns = pair("grid", grid)
        self.initializer = keras.initializers.get(initializer)
        self.autocast = False

    def build(self, input_shape):
        shaped("inputs", input_shape, "batch", "features")
        self.codebook = self.add_weight(
            (self.rows * self.columns, input_shape[-1]),
            self.initializer,
            autocast=False,
            name="codebook",
        )

    def call(self, inputs):
        return ops.reshape(self._distances(inputs), (-1, self.rows, self.columns))

    def winner(self, distances):
        """Finds the nearest unit of each example; the first one if several are equally near.

        Args:
            distances: Squared distances, of shape `(batch, rows, columns)`.

        Returns:
            Row and column, int32 of shape `(batch, 2)`.
        """
        first = _first_least(ops.reshape(distances, (-1, self.rows * self.columns)))
        return ops.stack([first // self.columns, first % self.columns], axis=-1)

    def neighbourhood(self, places, radius):
        """Returns each unit's learning weight for examples with the given winners.

        Args:
            places: Rows and columns of the winners, of shape `(batch, 2)`.
            radius: Standard deviation of the Gaussian, in steps of the grid, at least 0.

        Returns:
            Numbers in [0, 1], 1 at the winner, of shape `(batch, rows, columns)`.
        """
        _check_number("radius", radius, "at least 0", lambda x: 0 <= x < float("inf"))
        dtype = exact_dtype(self)
        row, column = (
            ops.cast(ops.reshape(axis, (-1, 1, 1)), dtype) for axis in (places[:, 0], places[:, 1])
        )
        rows = ops.reshape(ops.arange(self.rows, dtype=dtype), (1, -1, 1))
        columns = ops.reshape(ops.arange(self.columns, dtype=dtype), (1, 1, -1))
        squared = ops.square(rows - row) + ops.square(columns - column)
        # The lower bound handles a radius of 0: e^0 at the winner, and 0 elsewhere.
        width = ops.maximum(2 * ops.square(ops.cast(radius, dtype)), 1e-12)
        return ops.exp(-squared / width)

    def update(self, inputs, rate, radius):
        """Returns the codebook after one learning step, averaged over the examples.

        With a single example it is Kohonen's step.

        Args:
            inputs: Vectors of shape `(batch, features)`.
            rate: Learning rate, in (0, 1].
            radius: Standard deviation of the neighbourhood, in steps of the grid, at least 0.

        Returns:
            The new codebook, of shape `(rows * columns, features)`.
        """
        _check_number("rate", rate, "in (0, 1]", lambda x: 0 < x <= 1)
        pull, weight = self._pull(inputs, radius)
        codebook, batch = exact(self, self.codebook), exact(self, ops.shape(inputs)[0])
        return codebook + rate / batch * (pull - weight * codebook)

    def batch_update(self, inputs, radius):
        """Returns the codebook in which each vector is the mean of its neighbourhood's examples.

        It needs no learning rate, but all data, or a large part of them, at once. A unit without
        examples nearby keeps its vector.

        Args:
            inputs: Vectors of shape `(batch, features)`.
            radius: Standard deviation of the neighbourhood, in steps of the grid, at least 0.

        Returns:
            The new codebook, of shape `(rows * columns, features)`.
        """
        pull, weight = self._pull(inputs, radius)
        near = weight > 1e-6
        mean = pull / ops.where(near, weight, 1)
        return ops.where(near, mean, exact(self, self.codebook))

    def get_config(self):
        return {
            **super().get_config(),
            "grid": self.grid,
            "initializer": keras.initializers.serialize(self.initializer),
        }

    def _distances(self, inputs):
        inputs = exact(self, inputs)
        if not self.built:
            self.build(inputs.shape)
        shaped("inputs", inputs.shape, "batch", self.codebook.shape[1])
        # Relative to the map's mean: far from the origin, large squares would lose precision.
        codebook = exact(self, self.codebook)
        mean = ops.stop_gradient(ops.mean(codebook, axis=0))
        x, w = inputs - mean, codebook - mean
        squares = ops.sum(ops.square(x), axis=-1, keepdims=True) + ops.sum(ops.square(w), axis=-1)
        return ops.maximum(squares - 2 * ops.matmul(x, ops.transpose(w)), 0)

    def _pull(self, inputs, radius):
        """Returns sum_b h_bi x_b, and sum_b h_bi as a column vector."""
        units = self.rows * self.columns
        first = _first_least(self._distances(inputs))
        places = ops.stack([first // self.columns, first % self.columns], axis=-1)
        near = ops.reshape(self.neighbourhood(places, radius), (-1, units))
        pull = ops.matmul(ops.transpose(near), exact(self, inputs))
        return pull, ops.expand_dims(ops.sum(near, axis=0), -1)


def _check_number(name, value, expected, fits):
    # The value of a tensor or a variable may be unknown here.
    if not hasattr(value, "dtype") or isinstance(value, float):
        number(name, value, expected, fits)


def _first_least(distances):
    # On floats, ops.argmin uses an operation on bits that LiteRT lacks.
    least = ops.equal(distances, ops.min(distances, axis=-1, keepdims=True))
    return ops.cast(ops.argmax(ops.cast(least, "int32"), axis=-1), "int32")
