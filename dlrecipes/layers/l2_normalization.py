"""Vectors of length 1."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class L2Normalization(keras.layers.Layer):
    """Scales vectors to length 1: onto the sphere on which embeddings are compared.

    `y = x / max(|x|, epsilon)`: a vector shorter than `epsilon` becomes a short one, and the
    gradient there, at zero too, is finite. It is what `keras.layers.UnitNormalization`
    computes, but in float32 at least and with an epsilon to choose. That layer squares in the
    policy's own type: in float16 vectors longer than 256 become zero, short ones get lengths
    of up to 1.7, and its gradient at zero is 1e12. The result is cast back to the
    policy's type. Masks are passed on. Training and inference do the same.

    Args:
        axis: The axis, or several of them, that a vector runs over.
        epsilon: The length below which vectors are not stretched to 1, above 1e-18 (its
            square must be a float32).

    Call arguments:
        inputs: Vectors of shape `(..., units)`, or of any other with `axis`.

    Returns:
        The vectors, of the inputs' shape.

    Raises:
        ValueError: If `epsilon` is not above 1e-18, or `axis` is not one or several integers.

    Example:

    >>> y = L2Normalization()(keras.ops.array([[3.0, 4.0], [0.0, 0.0]]))
    >>> [[round(float(value), 3) for value in row] for row in y]
    [[0.6, 0.8], [0.0, 0.0]]

    Reference:
        Schroff, Kalenichenko and Philbin, 2015, "FaceNet: a unified embedding for face
        recognition and clustering", section 3.1: embeddings live on the unit hypersphere.
    """

    def __init__(self, axis: int | tuple[int, ...] = -1, epsilon: float = 1e-6, **kwargs):
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, list | tuple) else [axis]
        if not axes or any(not isinstance(one, int) for one in axes):
            raise ValueError(f"axis must be one or several integers, not {axis!r}.")
        number("epsilon", epsilon, "above 1e-18", lambda x: x > 1e-18)
        self.axis = axis
        self.epsilon = epsilon
        self.supports_masking = True
        # Inputs in float32 that a 16-bit policy would cast down before they are squared.
        self.autocast = False

    def call(self, inputs):
        """Returns the inputs divided by their length."""
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        squared = ops.sum(ops.square(x), axis=self.axis, keepdims=True)
        y = x / ops.sqrt(ops.maximum(squared, self.epsilon**2))
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns the inputs' own shape."""
        return tuple(input_shape)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
