"""Concatenation of each position with its neighbours."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class ContextWindow(keras.layers.Layer):
    """Concatenates each position with the positions around it.

    Position `t` becomes `x[t - before], ..., x[t], ..., x[t + after]`, in this order. Positions
    beyond both ends of the sentence and masked positions are replaced by zeros. The mask is passed
    on. If `before` and `after` are both 0, the inputs are returned unchanged. Training and
    inference behave the same.

    Args:
        before: Number of neighbours on the left, at least 0.
        after: Number of neighbours on the right, at least 0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Sequences of shape `(batch, time, features)`; the time may be unknown.
        mask: Boolean of shape `(batch, time)`, true at real positions, or `None` if all are real.
            Defaults to `None`.

    Returns:
        Sequences of shape `(batch, time, (before + 1 + after) * features)`.

    Raises:
        ValueError: If `before` or `after` is not an integer of at least 0, or the inputs
            do not have three axes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ContextWindow
    >>> window = ContextWindow(before=1, after=1)
    >>> keras.ops.convert_to_numpy(window(keras.ops.array([[[1], [2], [3]]]))).tolist()
    [[[0, 1, 2], [1, 2, 3], [2, 3, 0]]]

    Reference:
        Collobert, Weston, Bottou, Karlen, Kavukcuoglu and Kuksa, 2011, "Natural language processing
        (almost) from scratch", section 3.2.1, the window approach. https://arxiv.org/abs/1103.0398
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
        reach = self.before + self.after
        if reach == 0:
            return inputs
        if mask is not None:
            inputs = ops.where(ops.expand_dims(mask, -1), inputs, ops.zeros_like(inputs))
        padded = ops.pad(inputs, ((0, 0), (self.before, self.after), (0, 0)))
        # In TensorFlow the gradient of an indexed slice takes nine times as long.
        shape = ops.shape(inputs)
        shifted = [ops.slice(padded, (0, start, 0), shape) for start in range(reach + 1)]
        return ops.concatenate(shifted, axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], (self.before + 1 + self.after) * input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "before": self.before, "after": self.after}
