"""Forward and backward steps of each recurrent network, for `_cpu_recurrence` (TensorFlow only)."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Recurrence(NamedTuple):
    """A recurrent network's arithmetic between two matrix products.

    Args:
        step: Function from pre-activations `(batch, gates * units)`, states and peepholes to the
            new states, the first of which is the output, and the tensors that the backward step
            needs.
        backward: Function from the gradients of the new states, the tensors that `step` saved, and
            the peepholes to the gradients of the pre-activations, of all states except the first,
            and of the peepholes (one row per example; `None` without peepholes).
        num_saved: Number of tensors of shape `(batch, units)` that `step` saves.
    """

    step: Callable
    backward: Callable
    num_saved: int


def _tanh_gradient(y, dy):
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


def _sigmoid_gradient(y, dy):
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _elman_step(z, states, peepholes):
    h = tf.tanh(z)
    return (h,), (h,)


def _elman_backward(gradients, saved, peepholes):
    return _tanh_gradient(saved[0], gradients[0]), (), None


def _lstm_step(z, states, peepholes):
    _, c = states
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
    i, f, g, o = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.tanh(z_g), tf.sigmoid(z_o)
    new_c = f * c + i * g
    squashed = tf.tanh(new_c)
    return (o * squashed, new_c), (i, f, g, o, squashed, c)


def _lstm_backward(gradients, saved, peepholes):
    dh, dc = gradients
    i, f, g, o, squashed, c = saved
    dc += _tanh_gradient(squashed, dh * o)
    dz_i, dz_f = _sigmoid_gradient(i, dc * g), _sigmoid_gradient(f, dc * c)
    dz_g, dz_o = _tanh_gradient(g, dc * i), _sigmoid_gradient(o, dh * squashed)
    return tf.concat([dz_i, dz_f, dz_g, dz_o], axis=1), (dc * f,), None


def _peephole_step(z, states, peepholes):
    _, c = states
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
    p_i, p_f, p_o = tf.unstack(peepholes)
    i, f, g = tf.sigmoid(z_i + p_i * c), tf.sigmoid(z_f + p_f * c), tf.tanh(z_g)
    new_c = f * c + i * g
    o = tf.sigmoid(z_o + p_o * new_c)
    squashed = tf.tanh(new_c)
    return (o * squashed, new_c), (i, f, g, o, squashed, c, new_c)


def _peephole_backward(gradients, saved, peepholes):
    dh, dc = gradients
    i, f, g, o, squashed, c, new_c = saved
    p_i, p_f, p_o = tf.unstack(peepholes)
    dz_o = _sigmoid_gradient(o, dh * squashed)
    dc += _tanh_gradient(squashed, dh * o) + dz_o * p_o
    dz_i, dz_f = _sigmoid_gradient(i, dc * g), _sigmoid_gradient(f, dc * c)
    dz = tf.concat([dz_i, dz_f, _tanh_gradient(g, dc * i), dz_o], axis=1)
    rows = tf.concat([dz_i * c, dz_f * c, dz_o * new_c], axis=1)
    return dz, (dc * f + dz_i * p_i + dz_f * p_f,), rows


ELMAN = Recurrence(_elman_step, _elman_backward, 1)
LSTM = Recurrence(_lstm_step, _lstm_backward, 6)
PEEPHOLE_LSTM = Recurrence(_peephole_step, _peephole_backward, 7)
