"""A penalty that keeps a critic's gradient norm near 1."""

from keras import ops

from dlrecipes.layers.pairwise_distances import at_least_float32, safe_sqrt
from dlrecipes.losses._arguments import at_least_0


def gradient_penalty(gradients, target: float = 1.0, one_sided: bool = False):
    """Computes the mean squared difference between gradient norms and a target.

    Wasserstein GANs add ten times this to the discriminator's loss, for the gradients of its
    outputs with respect to its inputs at random points between a real and a generated example. A
    gradient of zero is penalised, but its own gradient is zero.

    Args:
        gradients: Gradients of shape `(batch, ...)`, one per example; `(batch,)` if inputs are
            single numbers.
        target: Target of the norms, at least 0. Defaults to 1.
        one_sided: Whether only norms above the target are penalised. Defaults to `False`.

    Returns:
        The penalty, a scalar, in float32 at least.

    Raises:
        ValueError: If `target` is not a number of at least 0, or `gradients` is a scalar.

    Example:

    >>> from dlrecipes.losses import gradient_penalty
    >>> float(gradient_penalty([[3.0, 4.0], [0.0, 0.0]]))  # (5 - 1)^2 and 1
    8.5

    Reference:
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, 2017, "Improved training of Wasserstein
        GANs", equation 3, and section 4 for the one-sided penalty. https://arxiv.org/abs/1704.00028
    """
    at_least_0("target", target)
    gradients = at_least_float32(gradients)
    if not len(gradients.shape):
        raise ValueError("gradients must have shape (batch, ...), not ().")
    axes = tuple(range(1, len(gradients.shape)))
    lengths = safe_sqrt(ops.sum(ops.square(gradients), axis=axes))
    excess = lengths - target
    return ops.mean(ops.square(ops.relu(excess) if one_sided else excess))
