"""Sparse categorical cross-entropy in one operation, in deterministic runs as well."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="dlrecipes")
class SparseCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
    """Computes Keras' loss of the same name, faster in deterministic runs on a CPU.

    With `enable_op_determinism`, TensorFlow replaces its fused operation by several others, because
    on a GPU the fused one sums in no fixed order. On a CPU its order is fixed, and with thousands
    of classes it saves a considerable part of a training step.

    Args:
        from_logits: Whether the predictions are logits rather than probabilities. Defaults to
            `False`.
        **kwargs: Other keyword arguments of `keras.losses.SparseCategoricalCrossentropy`.

    Example:

    >>> import keras
    >>> from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy
    >>> loss = SparseCategoricalCrossentropy(from_logits=True)
    >>> scores = keras.ops.zeros((3, 4))
    >>> round(float(loss(keras.ops.array([0, 1, 3]), scores)), 4)  # log(4)
    1.3863
    """

    def call(self, y_true, y_pred):
        plain = self.from_logits and self.ignore_class is None
        if not plain or tf.config.list_physical_devices("GPU"):
            return super().call(y_true, y_pred)
        scores = tf.convert_to_tensor(y_pred)
        labels = tf.cast(y_true, tf.int32)
        if labels.shape.rank == scores.shape.rank and labels.shape[-1] == 1:
            labels = labels[..., 0]
        losses, _ = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
            features=tf.reshape(scores, [-1, tf.shape(scores)[-1]]),
            labels=tf.reshape(labels, [-1]),
        )
        return tf.reshape(losses, tf.shape(scores)[:-1])
