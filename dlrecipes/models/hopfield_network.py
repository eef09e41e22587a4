"""Hopfield networks as Keras models."""

import keras

from dlrecipes.layers import HopfieldNetwork


def hopfield_network(
    units: int = 100,
    patterns=None,
    rule: str = "hebbian",
    update: str = "asynchronous",
    max_sweeps: int = 100,
    name: str = "hopfield_network",
) -> keras.Model:
    """Builds a Hopfield network, which recalls stored patterns from corrupted ones.

    The layer `memory` stores further patterns and computes the energy of states. No weight is
    trained by gradients.

    Args:
        units: Number of units, at least 1. Defaults to 100.
        patterns: Patterns of -1 and 1 to store, of shape `(patterns, units)`. Defaults to `None`,
            an empty memory.
        rule: Storage rule: `"hebbian"` or `"projection"`. Defaults to `"hebbian"`.
        update: Update order: `"asynchronous"`, one unit after another, or `"synchronous"`, all
            units at once. Defaults to `"asynchronous"`.
        max_sweeps: Maximum number of updates of each unit, at least 1. Defaults to 100.
        name: Model name. Defaults to `"hopfield_network"`.

    Returns:
        A functional `keras.Model`. Input: `states`, of shape `(batch, units)`. Output: the
        recalled states, -1 or 1, of the same shape.

    Raises:
        ValueError: If a size is not an integer of at least 1, `rule` or `update` is not one of
            the listed ones, or `patterns` has another shape or other values.

    Example:

    >>> import keras
    >>> from dlrecipes.models import hopfield_network
    >>> model = hopfield_network(4, patterns=[[1, -1, 1, -1]])
    >>> y = model(keras.ops.array([[1.0, -1.0, 1.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.0, -1.0, 1.0, -1.0]]

    Reference:
        Hopfield, 1982, "Neural networks and physical systems with emergent collective
        computational abilities", whose simulations have 30 and 100 units.
        https://doi.org/10.1073/pnas.79.8.2554
    """
    layer = HopfieldNetwork(units, rule, update, max_sweeps, name="memory")
    if patterns is not None:
        layer.store(patterns)
    states = keras.Input((units,), name="states")
    return keras.Model(states, layer(states), name=name)
