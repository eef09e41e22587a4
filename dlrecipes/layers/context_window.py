"""Each position joined with its neighbours."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class ContextWindow(keras.layers.Layer):
    """Concatenates each position with the positions around it.

    Position `t` becomes `x[t - before], ..., x[t], ..., x[t + after]`, in this order. Beyond
    both ends of the sentence stand zeros, and so they do for masked positions, whatever
    these hold. The mask is passed on. With `before` and `after` of 0 the inputs come back
    as they are. Training and inference do the same.

    Args:
        before: Number of neighbours on the left, at least 0.
        after: Number of neighbours on the right, at least 0.

    Call arguments:
        inputs: Sequences of shape `(batch, time, features)`; the time may be unknown.
        mask: Boolean, of shape `(batch, time)`, or `None`: which positions are real.

    Returns:
        Sequences of shape `(batch, time, (before + 1 + after) * features)`.

    Raises:
        ValueError: If `before` or `after` is not an integer of at least 0, or the inputs
            do not have three axes.

    Example:

    >>> window = ContextWindow(before=1, after=1)
    >>> keras.ops.convert_to_numpy(window(keras.ops.array([[[1], [2], [3]]]))).tolist()
    [[[0, 1, 2], [1, 2, 3], [2, 3, 0]]]

    Reference:
        Collobert, Weston, Bottou, Karlen, Kavukcuoglu and Kuksa, 2011, "Natural language
        processing (almost) from scratch", section 3.2.1, the window approach.
    """

    def __init__(self, before: int, after: int, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("before", before), ("after", after)):
            integer(name, value, 0)
        self.before = before
        self.after = after
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs, mask=None):
        """Returns each position together with its neighbours."""
        reach = self.before + self.after
        if reach == 0:
            return inputs
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        padded = ops.pad(inputs, ((0, 0), (self.before, self.after), (0, 0)))
        # Counted from the end, the slices need no length, which may be unknown.
        shifted = [padded[:, start : start - reach or None] for start in range(reach + 1)]
        return ops.concatenate(shifted, axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape with the features of all neighbours."""
        return (*input_shape[:-1], (self.before + 1 + self.after) * input_shape[-1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "before": self.before, "after": self.after}
