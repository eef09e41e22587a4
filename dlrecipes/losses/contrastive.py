"""The contrastive loss: like pairs are drawn together, unlike ones pushed apart."""

from keras import ops

from dlrecipes.layers.pairwise_distances import at_least_float32, safe_sqrt


def contrastive_loss(first, second, same, margin: float = 1.0):
    """Computes the mean loss of pairs that are said to be alike or not.

    With `d = |first - second|` for each pair:

        same:       d^2 / 2
        different:  max(0, margin - d)^2 / 2

    A different pair at distance 0, which has no direction to be pushed in, has a zero
    gradient.

    Args:
        first: Vectors of shape `(batch, units)`.
        second: Vectors of shape `(batch, units)`.
        same: 1 or true where the pair is alike, else 0, of shape `(batch,)` or `(batch, 1)`.
        margin: The distance from which different pairs cost nothing, above 0.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `margin` is not above 0.

    Example:

    >>> first, second = [[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.5]]
    >>> float(contrastive_loss(first, second, same=[1, 0]))
    6.3125

    Reference:
        Hadsell, Chopra and LeCun, 2006, "Dimensionality reduction by learning an invariant
        mapping", equation 4 (there Y = 0 means alike).
    """
    if not margin > 0:
        raise ValueError(f"margin must be above 0, not {margin!r}.")
    difference = at_least_float32(first) - at_least_float32(second)
    squared = ops.sum(ops.square(difference), axis=-1)
    short = ops.relu(margin - safe_sqrt(squared))
    same = ops.cast(ops.reshape(same, (-1,)), "bool")
    return ops.mean(ops.where(same, squared, ops.square(short))) / 2
