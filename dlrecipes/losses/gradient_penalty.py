"""A penalty that keeps a critic's slope near 1."""

from keras import ops

from dlrecipes.layers.pairwise_distances import at_least_float32, safe_sqrt
from dlrecipes.losses._arguments import at_least_0


def gradient_penalty(gradients, target: float = 1.0):
    """Computes the mean squared distance of gradients' lengths from a target.

    Wasserstein GANs add ten times this to the discriminator's loss, of the gradients of its
    outputs in its inputs, taken at random points between a real and a generated example
    each. A gradient of zero is penalised but pushed nowhere: its own gradient is zero.

    Args:
        gradients: A gradient for each example, of shape `(batch, ...)`; `(batch,)` if inputs are
            single numbers.
        target: The length that gradients should have, at least 0.

    Returns:
        The penalty, a scalar, in float32 at least.

    Raises:
        ValueError: If `target` is not a number of at least 0, or `gradients` is a scalar.

    Example:

    >>> float(gradient_penalty([[3.0, 4.0], [0.0, 0.0]]))  # (5 - 1)^2 and 1
    8.5

    Reference:
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, 2017, "Improved training of
        Wasserstein GANs", equation 3.
    """
    at_least_0("target", target)
    gradients = at_least_float32(gradients)
    if not len(gradients.shape):
        raise ValueError("gradients must have shape (batch, ...), not ().")
    axes = tuple(range(1, len(gradients.shape)))
    lengths = safe_sqrt(ops.sum(ops.square(gradients), axis=axes))
    return ops.mean(ops.square(lengths - target))
