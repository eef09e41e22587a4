"""Weight decay as a compromise between the error and the size of the weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import number


def decayed_error(
    error: tf.Tensor, weights: Sequence[keras.Variable | tf.Tensor], error_share: float
) -> tf.Tensor:
    """Returns the weighted sum of an error and the squares of all weights.

        E = error_share * error + (1 - error_share) * sum_i w_i^2

    With `keras.regularizers.L2(s)` the loss is `error + s * sum_i w_i^2`. For `s = (1 -
    error_share) / error_share` it equals `E / error_share`, so that gradient descent takes the same
    steps if its learning rate is multiplied by `error_share`.

    Args:
        error: Mean error of the examples, a scalar.
        weights: Connection weights, and thresholds or biases, to keep small.
        error_share: Weight of the error, above 0 and at most 1; the `lambda` of the book, usually
            found by cross-validation. 1 means no decay.

    Returns:
        A scalar.

    Raises:
        ValueError: If `error_share` is not above 0 and at most 1.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.training import decayed_error
    >>> weights = [tf.constant([[1.0, 2.0]]), tf.constant([3.0])]
    >>> float(decayed_error(tf.constant(8.0), weights, error_share=0.75))
    9.5

    Reference:
        Zhou, 2016, "Machine learning" (in Chinese), equation 5.17; Krogh and Hertz, 1991, "A
        simple weight decay can improve generalization", equation 2.
    """
    check_error_share(error_share)
    squares = [tf.reduce_sum(tf.square(tf.convert_to_tensor(weight))) for weight in weights]
    return error_share * error + (1 - error_share) * tf.add_n(
        [tf.cast(square, error.dtype) for square in squares]
    )


def check_error_share(error_share: float) -> None:
    """Raises an error unless `error_share` is above 0 and at most 1."""
    bounds = "a number above 0, at most 1"
    number("error_share", error_share, bounds, lambda share: 0 < share <= 1)
