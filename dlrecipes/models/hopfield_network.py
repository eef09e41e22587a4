"""The Hopfield network as a model."""

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
    """Builds a network that recalls stored patterns from corrupted ones.

    The layer `memory` stores further patterns and tells states' energy. No weight is trained
    by gradients.

    Args:
        units: Number of units, at least 1.
        patterns: Patterns of -1 and 1 to store, of shape `(patterns, units)`, or `None`.
        rule: `"hebbian"` or `"projection"`: how patterns are stored.
        update: `"asynchronous"`, one unit after the other, or `"synchronous"`, all at once.
        max_sweeps: How often each unit is updated at most, at least 1.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Input: `states`, of shape `(batch, units)`. Output: the
        states recalled, of -1 and 1 and of the same shape.

    Raises:
        ValueError: If a size is not an integer of at least 1, `rule` or `update` is not one of
            those named, or `patterns` has another shape or other values.

    Example:

    >>> model = hopfield_network(4, patterns=[[1, -1, 1, -1]])
    >>> y = model(keras.ops.array([[1.0, -1.0, 1.0, 1.0]]))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[1.0, -1.0, 1.0, -1.0]]

    Reference:
        Hopfield, 1982, "Neural networks and physical systems with emergent collective
        computational abilities", whose simulations have 30 and 100 units.
    """
    layer = HopfieldNetwork(units, rule, update, max_sweeps, name="memory")
    if patterns is not None:
        layer.store(patterns)
    states = keras.Input((units,), name="states")
    return keras.Model(states, layer(states), name=name)
