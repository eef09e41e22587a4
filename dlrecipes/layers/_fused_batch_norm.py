"""Batch normalisation as one TensorFlow operation, forward and backward."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util


def normalize(inputs, scale, offset, epsilon):
    """Normalises over all axes except the last with the batch's mean and variance.

    Args:
        inputs: Tensor of rank 2 or more, float32, bfloat16 or float16.
        scale: Float32 vector with one number per channel.
        offset: Float32 vector with one number per channel.
        epsilon: Number added to the variance, above 0.

    Returns:
        The outputs, in the dtype and shape of the inputs, and the mean and the variance of each
        channel, float32. The mean and variance carry no gradient: use them only for moving
        averages.
    """
    shape = tf.shape(inputs)
    channels = inputs.shape[-1]
    flat = inputs if inputs.shape.rank == 4 else tf.reshape(inputs, [-1, 1, 1, channels])
    none = tf.zeros([0], tf.float32)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=flat, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon
    )
    # The operation returns the unbiased variance, as cuDNN does; Keras averages the biased one.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= tf.maximum(count - 1, 1) / count
    outputs = tf.ensure_shape(tf.reshape(outputs, shape), inputs.shape)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance)


def compiled_by_xla() -> bool:
    """Returns whether XLA compiles what is being traced.

    XLA computes the variance of `FusedBatchNormV3` as E[x²] - E[x]². In float32 that has no correct
    digit, or is negative, where the mean is more than about 1,000 times the standard deviation.
    """
    # TensorFlow does not export this function.
    graph = tf.compat.v1.get_default_graph()
    return bool(tf.config.optimizer.get_jit()) or control_flow_util.GraphOrParentsInXlaContext(
        graph
    )
