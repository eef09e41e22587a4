"""The contrastive loss, which attracts similar pairs and repels dissimilar ones."""

from keras import ops

from dlrecipes.layers._arguments import number
from dlrecipes.layers.pairwise_distances import at_least_float32, safe_sqrt
from dlrecipes.losses._arguments import flat, sizes_of


def contrastive_loss(first, second, same, margin: float = 1.0):
    """Computes the mean loss over pairs that are labelled as similar or dissimilar.

    With `d = |first - second|` for each pair:

        similar:     d^2 / 2
        dissimilar:  max(0, margin - d)^2 / 2

    A dissimilar pair at distance 0, which has no direction to be pushed in, has a zero gradient.
    Since it takes two sets of vectors, call it in a training step or through a model's `add_loss`,
    and do not pass it to `compile`.

    Args:
        first: Vectors of shape `(batch, units)`.
        second: Vectors of shape `(batch, units)`.
        same: Labels of shape `(batch,)` or `(batch, 1)`: similar if above 0 or true; otherwise,
            such as 0, -1 or false, dissimilar.
        margin: Distance from which dissimilar pairs cost nothing, above 0. Defaults to 1.

    Returns:
        The loss, a scalar, in float32 at least.

    Raises:
        ValueError: If `margin` is not a number above 0, or the shapes differ from those above.

    Example:

    >>> from dlrecipes.losses import contrastive_loss
    >>> first, second = [[0.0, 0.0], [0.0, 0.0]], [[3.0, 4.0], [0.0, 0.5]]
    >>> float(contrastive_loss(first, second, same=[1, 0]))
    6.3125

    Reference:
        Hadsell, Chopra and LeCun, 2006, "Dimensionality reduction by learning an invariant
        mapping", equation 4 (there Y = 0 means similar). https://doi.org/10.1109/CVPR.2006.100
    """
    number("margin", margin, "above 0", lambda x: x > 0)
    first, second, same = at_least_float32(first), at_least_float32(second), flat("same", same)
    sizes_of(first=(first, "batch units"), second=(second, "batch units"), same=(same, "batch"))
    squared = ops.sum(ops.square(first - second), axis=-1)
    shortfall = ops.relu(margin - safe_sqrt(squared))
    similar = ops.greater(ops.cast(same, "float32"), 0)
    return ops.mean(ops.where(similar, squared, ops.square(shortfall))) / 2
