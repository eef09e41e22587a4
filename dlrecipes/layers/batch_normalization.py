"""Batch normalisation that trains faster on TensorFlow."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose training step is a single TensorFlow operation.

    Weights, arguments and results are Keras' (up to rounding), and a model with one layer loads the
    weights of a model with the other. Keras' own layer computes the moments and the normalisation
    in about ten operations, each of which reads and writes the whole map, in float32 even where the
    model computes in bfloat16. Keras' layer still handles the cases that the operation does not
    support: masks, an axis other than the last, statistics over all replicas, renormalisation,
    float64, inference, and other backends. It also handles functions compiled with XLA, which
    fuses its operations, and would compute the variance of the single operation as a difference of
    two large numbers.

    Args:
        **kwargs: Arguments of `keras.layers.BatchNormalization`, with the same defaults.

    Call arguments:
        inputs: Tensor of shape `(batch, ..., channels)`.
        training: Whether to normalise with the batch's own mean and variance and to update the
            moving ones. Defaults to `None`, which leaves it to Keras.
        mask: Positions to include, of the inputs' shape without its last axis, or `None` for all.
            Defaults to `None`.

    Returns:
        The normalised inputs, in the same shape.

    Raises:
        ValueError: If a mask does not have exactly one dimension less than the inputs.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import BatchNormalization
    >>> layer = BatchNormalization(epsilon=1e-9)
    >>> outputs = layer(keras.ops.array([[1.0], [3.0]]), training=True)
    >>> [round(float(value)) for value in outputs[:, 0]]
    [-1, 1]

    Reference:
        Ioffe and Szegedy, 2015, "Batch normalization: accelerating deep network training by
        reducing internal covariate shift", algorithm 1. https://arxiv.org/abs/1502.03167
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None and self._is_fusible(inputs)):
            return super().call(inputs, training=training, mask=mask)
        from dlrecipes.layers import _fused_batch_norm

        if _fused_batch_norm.compiled_by_xla():
            return super().call(inputs, training=training, mask=mask)
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, "float32")
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
            # Keras 3.12 does not have renormalisation.
            and not getattr(self, "renorm", False)
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
        )
