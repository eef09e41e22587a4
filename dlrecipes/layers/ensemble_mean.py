"""The outputs of several networks, separate in training and averaged at inference."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class EnsembleMean(keras.layers.Layer):
    """Averages tensors at inference, and stacks them along the batch in training.

    Members that were trained through their mean would learn to compensate for one another's errors
    and become similar. Stacked, each member has its own loss against the same targets, which are
    repeated once per member, and makes its own errors; the mean usually has a lower error than each
    of them.

    Args:
        name: Name of the layer, or `None` for an automatic one. Defaults to `None`.
        **kwargs: Other arguments of `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: List of `members` tensors of the same shape `(batch, ...)`.
        training: Whether to stack. Defaults to `False`.

    Returns:
        The mean, of shape `(batch, ...)`; in training the rows of all members, of shape
        `(members * batch, ...)`, in the order of the list. No mask is passed on, since the batch
        size differs in training.

    Raises:
        ValueError: If the inputs are not a list.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import EnsembleMean
    >>> layer = EnsembleMean()
    >>> ones, threes = keras.ops.ones((1, 2)), 3 * keras.ops.ones((1, 2))
    >>> keras.ops.convert_to_numpy(layer([ones, threes])).tolist()
    [[2.0, 2.0]]
    >>> tuple(layer([ones, threes], training=True).shape)
    (2, 2)

    Reference:
        Hansen and Salamon, 1990, "Neural network ensembles", section II.
        https://doi.org/10.1109/34.58871
    """

    def __init__(self, name: str | None = None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        if not isinstance(input_shape[0], list | tuple):
            raise ValueError(
                "inputs must be a list of tensors, one per member, not a single tensor."
            )
        self.members = len(input_shape)

    def compute_mask(self, inputs, mask=None):
        return

    def call(self, inputs, training=False):
        if training:
            return ops.concatenate(inputs, axis=0)
        return sum(inputs[1:], inputs[0]) / len(inputs)

    def compute_output_spec(self, inputs, training=False):
        return keras.KerasTensor((None, *inputs[0].shape[1:]), dtype=self.compute_dtype)
