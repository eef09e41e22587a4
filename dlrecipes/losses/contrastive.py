"""The contrastive loss: like pairs are drawn together, unlike ones pushed apart."""

from keras import ops

from dlrecipes.layers._arguments import number
from dlrecipes.layers.pairwise_distances import at_least_float32, safe_sqrt
from dlrecipes.losses._arguments import flat, sizes_of


def contrastive_loss(first, second, same, margin: float = 1.0):
    """Computes the mean loss of pairs that are said to be alike or not.

    With `d = |first - second|` for each pair:

        same:       d^2 / 2
        different:  max(0, margin - d)^2 / 2

    A different pair at distance 0, which has no direction to be pushed in, has a zero
    gradient. Having two sets of vectors, it is called in a training step, or through a model's
    `add_loss`, not given to `compile`.

    Args:
        first: Vectors of shape `(batch, units)`.
        second: Vectors of shape `(batch, units)`.
        same: 1 or true where the pair is alike, 0 (or -1) or false where it is not, of shape
            `(batch,)` or `(batch, 1)`; whatever is above 0 is alike.
        margin: The distance from which different pairs cost nothing, above 0.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `margin` is not a number above 0, or the shapes are not those above.

    Example:

    >>> first, second = [[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.5]]
    >>> float(contrastive_loss(first, second, same=[1, 0]))
    6.3125

    Reference:
        Hadsell, Chopra and LeCun, 2006, "Dimensionality reduction by learning an invariant
        mapping", equation 4 (there Y = 0 means alike).
    """
    number("margin", margin, "above 0", lambda x: x > 0)
    first, second, same = at_least_float32(first), at_least_float32(second), flat("same", same)
    sizes_of(first=(first, "batch units"), second=(second, "batch units"), same=(same, "batch"))
    squared = ops.sum(ops.square(first - second), axis=-1)
    short = ops.relu(margin - safe_sqrt(squared))
    alike = ops.greater(ops.cast(same, "float32"), 0)
    return ops.mean(ops.where(alike, squared, ops.square(short))) / 2
