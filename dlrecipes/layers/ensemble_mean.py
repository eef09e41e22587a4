"""Several networks' outputs: each for itself in training, their mean afterwards."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class EnsembleMean(keras.layers.Layer):
    """Averages tensors, or in training stacks them along the batch.

    Members that were trained through their mean would learn to mend one another and
    come out alike. Stacked, each has a loss of its own, against the same targets once a
    member, and errs in its own way; their mean then errs less than any of them.

    Args:
        name: Name of the layer.

    Call arguments:
        inputs: List of `members` tensors of one shape `(batch, ...)`.
        training: Whether to stack.

    Returns:
        The mean, of shape `(batch, ...)`; in training all members' rows, of shape
        `(members * batch, ...)`, the first member's before the second's.

    Raises:
        ValueError: If the inputs are not a list.

    Example:

    >>> layer = EnsembleMean()
    >>> ones, threes = keras.ops.ones((1, 2)), 3 * keras.ops.ones((1, 2))
    >>> keras.ops.convert_to_numpy(layer([ones, threes])).tolist()
    [[2.0, 2.0]]
    >>> tuple(layer([ones, threes], training=True).shape)
    (2, 2)

    Reference:
        Hansen and Salamon, 1990, "Neural network ensembles", section II.
    """

    def __init__(self, name: str | None = None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        """Refuses a single tensor, whose rows would be taken for members."""
        if not isinstance(input_shape[0], list | tuple):
            raise ValueError("EnsembleMean wants a list of tensors, one a member.")
        self.members = len(input_shape)

    def compute_mask(self, inputs, mask=None):
        """Passes no mask on: stacked in training, the batch is another."""
        return

    def call(self, inputs, training=False):
        """Returns the mean of the inputs, or all of them when training."""
        if training:
            return ops.concatenate(inputs, axis=0)
        return sum(inputs[1:], inputs[0]) / len(inputs)

    def compute_output_spec(self, inputs, training=False):
        """Returns one input's shape; the batch is unknown as a member's is."""
        return keras.KerasTensor((None, *inputs[0].shape[1:]), dtype=self.compute_dtype)
