"""Normalisation of vectors to length 1."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class L2Normalization(keras.layers.Layer):
    """Scales vectors to length 1, the unit sphere on which embeddings are compared.

    It computes `y = x / max(|x|, epsilon)`: a vector shorter than `epsilon` is divided by
    `epsilon`, and the gradient there, including at zero, is finite.
    `keras.layers.UnitNormalization` computes the same, but in the policy's dtype and with a fixed
    epsilon: in float16 vectors longer than 256 become zero, short ones get lengths of up to 1.7,
    and its gradient at zero is 1e12. This layer computes in float32 at least and casts the result
    to the policy's dtype. Masks are passed on. Training and inference behave the same.

    Args:
        axis: Axis, or several axes, that a vector extends over. Defaults to -1.
        epsilon: Length below which vectors are not stretched to 1, above 1e-18 (its square must be
            a float32). Defaults to 1e-6.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Vectors of shape `(..., units)`, or of another shape with a suitable `axis`.

    Returns:
        The vectors, of the inputs' shape.

    Raises:
        ValueError: If `epsilon` is not above 1e-18, or `axis` is not one or several integers.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import L2Normalization
    >>> y = L2Normalization()(keras.ops.array([[3.0, 4.0], [0.0, 0.0]]))
    >>> [[round(float(value), 3) for value in row] for row in y]
    [[0.6, 0.8], [0.0, 0.0]]

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face recognition
        and clustering", section 3.1, where embeddings live on the unit hypersphere.
        https://arxiv.org/abs/1503.03832
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, list | tuple) else [axis]
        if not axes or any(not isinstance(number, int) for number in axes):
            raise ValueError(f"axis must be one or several integers, not {axis!r}.")
        number("epsilon", epsilon, "above 1e-18", lambda x: x > 1e-18)
        self.axis = axis
        self.epsilon = epsilon
        self.supports_masking = True
        # A 16-bit policy would otherwise cast float32 inputs down before they are squared.
        self.autocast = False

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        squared = ops.sum(ops.square(x), axis=self.axis, keepdims=True)
        y = x / ops.sqrt(ops.maximum(squared, self.epsilon**2))
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
