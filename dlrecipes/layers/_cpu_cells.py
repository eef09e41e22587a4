"""One step of each recurrent network, forth and back, for `_cpu_recurrence` (TensorFlow only)."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Recurrence(NamedTuple):
    """A recurrent network's arithmetic between two matrix products.

    Args:
        step: From pre-activations `(batch, gates * units)`, states and peepholes to the new
            states, of which the first is the output, and what the way back needs.
        back: From the gradients of the new states, what `step` has kept, and peepholes to
            the gradients of the pre-activations, of the states but the first, and of the
            peepholes (one row an example; `None` without peepholes).
        kept: How many tensors of shape `(batch, units)` `step` keeps.
    """

    step: Callable
    back: Callable
    kept: int


def _through_tanh(y, dy):
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


def _through_sigmoid(y, dy):
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _elman_step(z, states, peepholes):
    h = tf.tanh(z)
    return (h,), (h,)


def _elman_back(gradients, kept, peepholes):
    return _through_tanh(kept[0], gradients[0]), (), None


def _lstm_step(z, states, peepholes):
    _, c = states
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
    i, f, g, o = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.tanh(z_g), tf.sigmoid(z_o)
    new_c = f * c + i * g
    squashed = tf.tanh(new_c)
    return (o * squashed, new_c), (i, f, g, o, squashed, c)


def _lstm_back(gradients, kept, peepholes):
    dh, dc = gradients
    i, f, g, o, squashed, c = kept
    dc += _through_tanh(squashed, dh * o)
    dz_i, dz_f = _through_sigmoid(i, dc * g), _through_sigmoid(f, dc * c)
    dz_g, dz_o = _through_tanh(g, dc * i), _through_sigmoid(o, dh * squashed)
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


def _peephole_back(gradients, kept, peepholes):
    dh, dc = gradients
    i, f, g, o, squashed, c, new_c = kept
    p_i, p_f, p_o = tf.unstack(peepholes)
    dz_o = _through_sigmoid(o, dh * squashed)
    dc += _through_tanh(squashed, dh * o) + dz_o * p_o
    dz_i, dz_f = _through_sigmoid(i, dc * g), _through_sigmoid(f, dc * c)
    dz = tf.concat([dz_i, dz_f, _through_tanh(g, dc * i), dz_o], axis=1)
    rows = tf.concat([dz_i * c, dz_f * c, dz_o * new_c], axis=1)
    return dz, (dc * f + dz_i * p_i + dz_f * p_f,), rows


ELMAN = Recurrence(_elman_step, _elman_back, 1)
LSTM = Recurrence(_lstm_step, _lstm_back, 6)
PEEPHOLE_LSTM = Recurrence(_peephole_step, _peephole_back, 7)
