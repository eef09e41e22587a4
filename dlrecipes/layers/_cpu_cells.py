"""Forward and backward steps of each recurrent network, for `_cpu_recurrence` (TensorFlow only)."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Recurrence(NamedTuple):
    """A recurrent network's arithmetic between two matrix products.

    Args:
        step: Function from pre-activations `(batch, gates * units)`, states and peepholes to the
            new states, the first of which is the output, and the tensors to save.
        prepare: Function from the saved tensors of consecutive steps, each stacked to
            `(steps, batch, units)`, and the peepholes to what `backward` needs, stacked in the same
            way. All that does not depend on later gradients is computed here, for many steps at
            once.
        backward: Function from the gradients of the new states and the prepared tensors of a step
            to the gradients of the pre-activations and of all states except the first.
        num_saved: Number of tensors of shape `(batch, units)` that `step` saves.
        d_peepholes: Function from the gradients of the pre-activations and the saved tensors of
            consecutive steps to the gradient of the peepholes, or `None` without peepholes.
    """

    step: Callable
    prepare: Callable
    backward: Callable
    num_saved: int
    d_peepholes: Callable | None = None


def _tanh_gradient(y, dy):
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


def _sigmoid_gradient(y, dy):
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _elman_step(z, states, peepholes):
    h = tf.tanh(z)
    return (h,), (h,)


def _elman_prepare(saved, peepholes):
    return saved


def _elman_backward(gradients, prepared):
    return _tanh_gradient(prepared[0], gradients[0]), ()


def _lstm_step(z, states, peepholes):
    _, c = states
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
    i, f, g, o = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.tanh(z_g), tf.sigmoid(z_o)
    new_c = f * c + i * g
    squashed = tf.tanh(new_c)
    return (o * squashed, new_c), (i, f, g, o, squashed, c)


def _lstm_prepare(saved, peepholes):
    i, f, g, o, squashed, c = saved
    gates = [_sigmoid_gradient(i, g), _sigmoid_gradient(f, c), _tanh_gradient(g, i)]
    gates.append(_sigmoid_gradient(o, squashed))
    # (steps, batch, gates, units): the factor of each pre-activation's gradient.
    return tf.stack(gates, axis=2), _tanh_gradient(squashed, o), f


def _lstm_backward(gradients, prepared):
    dh, dc = gradients
    gates, output, forget = prepared
    dc += dh * output
    dz = tf.stack([dc, dc, dc, dh], axis=1) * gates
    return tf.reshape(dz, [-1, gates.shape[1] * gates.shape[2]]), (dc * forget,)


def _peephole_step(z, states, peepholes):
    _, c = states
    z_i, z_f, z_g, z_o = tf.split(z, 4, axis=1)
    p_i, p_f, p_o = tf.unstack(peepholes)
    i, f, g = tf.sigmoid(z_i + p_i * c), tf.sigmoid(z_f + p_f * c), tf.tanh(z_g)
    new_c = f * c + i * g
    o = tf.sigmoid(z_o + p_o * new_c)
    squashed = tf.tanh(new_c)
    return (o * squashed, new_c), (i, f, g, o, squashed, c, new_c)


def _peephole_prepare(saved, peepholes):
    gates, output, forget = _lstm_prepare(saved[:6], None)
    p_i, p_f, p_o = tf.unstack(peepholes)
    of_i, of_f, _, of_o = tf.unstack(gates, axis=2)
    # The memory also acts through the gates that see it: before the step, and after it.
    return gates, output + of_o * p_o, forget + of_i * p_i + of_f * p_f


def _d_peepholes(d_z, saved):
    d_i, d_f, _, d_o = tf.split(d_z, 4, axis=2)
    before, after = saved[5:]
    products = (d_i * before, d_f * before, d_o * after)
    return tf.stack([tf.reduce_sum(product, axis=[0, 1]) for product in products])


ELMAN = Recurrence(_elman_step, _elman_prepare, _elman_backward, 1)
LSTM = Recurrence(_lstm_step, _lstm_prepare, _lstm_backward, 6)
PEEPHOLE_LSTM = Recurrence(_peephole_step, _peephole_prepare, _lstm_backward, 7, _d_peepholes)
