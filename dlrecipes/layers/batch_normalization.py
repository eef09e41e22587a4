"""Batch normalisation that trains fast on TensorFlow."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, whose training step is one operation on TensorFlow.

    Weights, arguments and results are Keras' (up to rounding), and a model of the one loads
    the weights of the other. Keras' own layer computes the moments and the normalisation in
    some ten operations, each of which reads and writes the whole map, in float32 even where
    the model computes in bfloat16. Whatever the operation is not made for is left to Keras'
    layer: masks, an axis that is not the last, statistics over all replicas, renormalisation,
    float64, inference, and other backends.

    Args:
        **kwargs: As `keras.layers.BatchNormalization` takes them.

    Call arguments:
        inputs: Of shape `(batch, ..., channels)`.
        training: Whether the batch's own mean and variance are used, and the moving ones brought
            up to date.
        mask: Which positions count, of the inputs' shape without its last axis.

    Returns:
        The normalised inputs, in the same shape.

    Raises:
        ValueError: If a mask has not one dimension less than the inputs.

    Example:

    >>> layer = BatchNormalization(epsilon=1e-9)
    >>> outputs = layer(keras.ops.array([[1.0], [3.0]]), training=True)
    >>> [round(float(value)) for value in outputs[:, 0]]
    [-1, 1]

    Reference:
        Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by
        reducing internal covariate shift", algorithm 1.
    """

    def call(self, inputs, training=None, mask=None):
        """Returns the normalised inputs."""
        if not (training and self.trainable and mask is None and self._is_fusible(inputs)):
            return super().call(inputs, training=training, mask=mask)
        from dlrecipes.layers import _fused_batch_norm

        size = (inputs.shape[-1],)
        scale = self.gamma if self.scale else ops.ones(size)
        offset = self.beta if self.center else ops.zeros(size)
        outputs, mean, variance = _fused_batch_norm.normalize(
            inputs,
            ops.convert_to_tensor(scale, "float32"),
            ops.convert_to_tensor(offset, "float32"),
            self.epsilon,
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(
                moving * self.momentum + ops.cast(value, moving.dtype) * (1 - self.momentum)
            )
        return ops.cast(outputs, self.compute_dtype)

    def _is_fusible(self, inputs) -> bool:
        rank = len(inputs.shape)
        return (
            keras.backend.backend() == "tensorflow"
            and not isinstance(inputs, keras.KerasTensor)
            and self.axis in (-1, rank - 1)
            and not self.synchronized
            # Keras 3.12 has no renormalisation.
            and not getattr(self, "renorm", False)
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
        )
