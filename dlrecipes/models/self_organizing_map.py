"""Self-organizing maps as Keras models."""

import keras

from dlrecipes.layers import SelfOrganizingMap
from dlrecipes.models._arguments import check_integers


def self_organizing_map(
    num_features: int,
    grid: int | tuple[int, int] = (10, 10),
    initializer="random_uniform",
    name: str = "self_organizing_map",
) -> keras.Model:
    """Builds a self-organizing map, which maps vectors to positions on a grid.

    The layer `map` holds the codebook and computes the learning steps. A step returns a new
    codebook, which a training loop assigns, as in the example. `fit` does not train a map.

    Args:
        num_features: Size of the vectors, at least 1.
        grid: Rows and columns of the grid, each at least 1, or one integer for a square grid.
            Defaults to `(10, 10)`.
        initializer: Initializer of the codebook, best near the data. Defaults to
            `"random_uniform"`.
        name: Model name. Defaults to `"self_organizing_map"`.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, num_features)`.
        Outputs: a dictionary of `distances`, squared, of shape `(batch, rows, columns)`, and
        `winner`, the row and column of the nearest unit, int32 of shape `(batch, 2)`.

    Raises:
        ValueError: If a size is not an integer of at least 1.

    Example:

    >>> import keras
    >>> from dlrecipes.models import self_organizing_map
    >>> model = self_organizing_map(3, grid=(2, 4))
    >>> tuple(model(keras.ops.ones((5, 3)))["winner"].shape)
    (5, 2)
    >>> model.count_params() == 2 * 4 * 3
    True

    Training, with a shrinking neighbourhood:

    >>> layer = model.get_layer("map")
    >>> data = keras.random.uniform((20, 3), seed=1)
    >>> for radius in (2.0, 1.0, 0.5):
    ...     _ = layer.codebook.assign(layer.batch_update(data, radius))

    Reference:
        Kohonen, 1990, "The self-organizing map". https://doi.org/10.1109/5.58325
    """
    check_integers(num_features=num_features)
    features = keras.Input((num_features,), name="features")
    layer = SelfOrganizingMap(grid, initializer, name="map")
    distances = layer(features)
    outputs = {"distances": distances, "winner": layer.winner(distances)}
    return keras.Model(features, outputs, name=name)
