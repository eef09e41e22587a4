"""Recurrences for training on a CPU, with hand-written gradients (TensorFlow only).

They are faster than a loop over a cell for four reasons. The inputs of all steps are multiplied by
the kernel at once, and so are the gradients of both kernels after the loop. Steps are unrolled in
the graph, without a `while` around each. The backward pass uses TensorFlow's own fused gradients of
`tanh` and the sigmoid. The transposed kernels are computed once per call. In bfloat16 the matrix
products are bfloat16, while gates and memory are float32.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from dlrecipes.layers._cpu_cells import Recurrence

# Longer sequences, and sequences of unknown length, are processed in chunks of CHUNK steps.
UNROLLED = 40
CHUNK = 16


class Weights(NamedTuple):
    """A recurrent layer's weights; `bias` and `peepholes` may be `None`."""

    kernel: tf.Tensor
    recurrent_kernel: tf.Tensor
    bias: tf.Tensor | None = None
    peepholes: tf.Tensor | None = None


def has_gpu() -> bool:
    """Returns whether TensorFlow can use a GPU, on which Keras' own layers are fast."""
    return bool(tf.config.get_visible_devices("GPU"))


def run(
    recurrence: Recurrence,
    sequences: tf.Tensor,
    states: Sequence[tf.Tensor],
    weights: Weights,
    mask: tf.Tensor | None = None,
    return_sequences: bool = True,
) -> tuple[tf.Tensor | None, list[tf.Tensor]]:
    """Runs a recurrence over a batch of sequences.

    Args:
        recurrence: Recurrence of `_cpu_cells`: `ELMAN`, `LSTM` or `PEEPHOLE_LSTM`.
        sequences: Inputs of shape `(batch, time, features)`.
        states: Initial states, each of shape `(batch, units)`.
        weights: The layer's weights, in the layout of Keras' own layers.
        mask: Boolean of shape `(batch, time)`, or `None`; steps where it is false leave the states
            unchanged. Defaults to `None`.
        return_sequences: Whether to return the outputs of all steps. Defaults to `True`.

    Returns:
        The first state after each step, of shape `(batch, time, units)`, or `None`, and the last
        states.
    """
    present = [w for w in weights if w is not None]
    mask = None if mask is None else tf.expand_dims(mask, -1)

    @tf.custom_gradient
    def call(x, *tensors):
        states, values = tensors[: -len(present)], iter(tensors[-len(present) :])
        steps = _Steps(
            recurrence, Weights(*[None if w is None else next(values) for w in weights]), x.dtype
        )
        loop = (_Unrolled if _unrolls(x) else _Chunked)(
            steps, _project(x, steps.weights), [tf.cast(s, steps.precise) for s in states], mask
        )
        last = [tf.cast(state, x.dtype) for state in loop.last]
        outputs = loop.outputs() if return_sequences else tf.zeros((), x.dtype)

        def gradient(d_outputs, *d_last):
            d_last = [tf.cast(d, steps.precise) for d in d_last]
            gradients = loop.backward(d_outputs if return_sequences else None, d_last)
            d_states = [tf.cast(d, x.dtype) for d in gradients.states]
            return (
                _d_inputs(x, gradients.z, steps.weights),
                *d_states,
                *_d_weights(x, loop.before(), gradients, steps.weights),
            )

        return (outputs, *last), gradient

    outputs, *last = call(sequences, *states, *present)
    return (outputs if return_sequences else None), last


def _unrolls(x) -> bool:
    return x.shape[1] is not None and 0 < x.shape[1] <= UNROLLED


def _flat(tensor):
    """Returns `(batch, time, features)` as `(batch * time, features)`."""
    return tf.reshape(tensor, [-1, tensor.shape[-1]])


def _transposed(kernel):
    # TensorFlow would fold a bare transpose into each matrix product, which then takes up to
    # three times as long. A shape check in between prevents it.
    return tf.raw_ops.EnsureShape(input=tf.transpose(kernel), shape=kernel.shape[::-1])


def _project(x, weights: Weights):
    """Returns the inputs' contribution to the pre-activations, `(batch, time, gates * units)`."""
    flat = tf.matmul(_flat(x), weights.kernel)
    if weights.bias is not None:
        flat += weights.bias
    shape = tf.concat([tf.shape(x)[:2], [flat.shape[1]]], 0)
    return tf.ensure_shape(tf.reshape(flat, shape), [*x.shape[:2], flat.shape[1]])


def _d_inputs(x, dz, weights: Weights):
    return tf.reshape(tf.matmul(_flat(dz), _transposed(weights.kernel)), tf.shape(x))


def _d_weights(x, before, gradients, weights: Weights):
    """Returns the gradient of each weight that is not `None`."""
    flat = _flat(gradients.z)
    d_weights = [
        tf.matmul(_flat(x), flat, transpose_a=True),
        tf.matmul(_flat(before), flat, transpose_a=True),
    ]
    if weights.bias is not None:
        d_weights.append(tf.reduce_sum(flat, axis=0))
    if weights.peepholes is not None:
        d_weights.append(tf.cast(gradients.peepholes, weights.peepholes.dtype))
    return d_weights


class _Steps:
    """Consecutive steps, forward and backward, over lists with one element per step."""

    def __init__(self, recurrence: Recurrence, weights: Weights, dtype):
        self.recurrence = recurrence
        self.weights = weights
        self.dtype = dtype
        self.precise = dtype if dtype.size >= 4 else tf.float32
        self.peepholes = None
        if weights.peepholes is not None:
            self.peepholes = tf.cast(weights.peepholes, self.precise)

    def forward(self, zs, states, masks):
        """Returns the outputs before and after each step, the saved tensors and the last states."""
        outputs, saved = [tf.cast(states[0], self.dtype)], []
        for z, mask in zip(zs, masks, strict=True):
            z += tf.matmul(outputs[-1], self.weights.recurrent_kernel)
            new, step_saved = self.recurrence.step(tf.cast(z, self.precise), states, self.peepholes)
            if mask is not None:
                new = [tf.where(mask, a, b) for a, b in zip(new, states, strict=True)]
            states = new
            outputs.append(tf.cast(states[0], self.dtype))
            saved.append(step_saved)
        return outputs, saved, states

    def backward(self, d_outputs, d_states, saved, masks, transposed):
        """Returns the gradients of the pre-activations, of the states and of the peepholes."""
        dzs, rows = [], []
        for d_output, step_saved, mask in zip(
            d_outputs[::-1], saved[::-1], masks[::-1], strict=True
        ):
            if d_output is not None:
                d_states = [d_states[0] + tf.cast(d_output, self.precise), *d_states[1:]]
            held = None
            if mask is not None:
                zero = tf.zeros([], self.precise)
                held = [tf.where(mask, zero, d) for d in d_states]
                d_states = [tf.where(mask, d, zero) for d in d_states]
            dz, others, row = self.recurrence.backward(d_states, step_saved, self.peepholes)
            dz = tf.cast(dz, self.dtype)
            d_states = [tf.cast(tf.matmul(dz, transposed), self.precise), *others]
            if held is not None:
                d_states = [a + b for a, b in zip(d_states, held, strict=True)]
            dzs.append(dz)
            rows.append(row)
        return dzs[::-1], d_states, self._d_peepholes(rows)

    def _d_peepholes(self, rows):
        if self.peepholes is None:
            return None
        return tf.reshape(tf.reduce_sum(tf.add_n(rows), axis=0), [3, -1])


class _Gradients(NamedTuple):
    """Gradients of pre-activations `(batch, time, gates * units)`, states and peepholes."""

    z: tf.Tensor
    states: Sequence[tf.Tensor]
    peepholes: tf.Tensor | None


class _Unrolled:
    """A recurrence of known length, with all steps in the graph."""

    def __init__(self, steps: _Steps, z, states, mask):
        self.steps = steps
        self.time = z.shape[1]
        self.masks = self._unstacked(mask)
        self._outputs, self.saved, self.last = steps.forward(self._unstacked(z), states, self.masks)

    def _unstacked(self, tensor):
        if tensor is None:
            return [None] * self.time
        return tf.unstack(tensor, num=self.time, axis=1)

    def outputs(self):
        """Returns the output after each step."""
        return tf.stack(self._outputs[1:], axis=1)

    def before(self):
        """Returns the output before each step."""
        return tf.stack(self._outputs[:-1], axis=1)

    def backward(self, d_outputs, d_last) -> _Gradients:
        """Returns all gradients, given the gradients of the outputs and of the last states."""
        each = self._unstacked(d_outputs)
        transposed = _transposed(self.steps.weights.recurrent_kernel)
        dzs, d_states, peepholes = self.steps.backward(
            each, d_last, self.saved, self.masks, transposed
        )
        return _Gradients(tf.stack(dzs, axis=1), d_states, peepholes)


class _Chunked:
    """A recurrence of any length: a loop over chunks, with the steps of each chunk in the graph."""

    def __init__(self, steps: _Steps, z, states, mask):
        self.steps = steps
        self.time = tf.shape(z)[1]
        self.chunks = -(-self.time // CHUNK)
        self.units = states[0].shape[1]
        if mask is None:
            mask = tf.ones_like(z[:, :, :1], tf.bool)
        # The steps that pad the last chunk are masked, and so leave the states unchanged.
        self.mask = self._cut(mask)
        self._run_forward(self._cut(z), states)

    def _cut(self, tensor):
        """Returns `(batch, time, features)` as an array of chunks `(CHUNK, batch, features)`."""
        batch, _, features = tensor.shape
        missing = self.chunks * CHUNK - self.time
        padded = tf.pad(tensor, [[0, 0], [0, missing], [0, 0]])
        shape = [self.chunks, CHUNK, tf.shape(tensor)[0], features]
        pieces = tf.reshape(tf.transpose(padded, [1, 0, 2]), shape)
        return self._array(tensor.dtype, batch, features).unstack(pieces)

    def _joined(self, array, features: int):
        """Returns an array of chunks as one tensor `(batch, time, features)`."""
        pieces = array.stack()
        shape = [self.chunks * CHUNK, tf.shape(pieces)[2], features]
        return tf.transpose(tf.reshape(pieces, shape)[: self.time], [1, 0, 2])

    def _array(self, dtype, batch, features: int):
        shape = [CHUNK, batch, features]
        return tf.TensorArray(dtype, self.chunks, clear_after_read=False, element_shape=shape)

    def _steps_of(self, array, index):
        if array is None:
            return [None] * CHUNK
        return tf.unstack(array.read(index), num=CHUNK)

    def _run_forward(self, z, states):
        count, batch = len(states), states[0].shape[0]
        dtype, precise = self.steps.dtype, self.steps.precise
        parts = self.steps.recurrence.num_saved

        def chunk(index, *loop):
            states, (after, before, saved) = loop[:count], loop[count:]
            outputs, step_saved, states = self.steps.forward(
                self._steps_of(z, index), states, self._steps_of(self.mask, index)
            )
            return (
                index + 1,
                *states,
                after.write(index, tf.stack(outputs[1:])),
                before.write(index, tf.stack(outputs[:-1])),
                saved.write(
                    index, tf.stack([tf.concat(tensors, axis=1) for tensors in step_saved])
                ),
            )

        final = tf.while_loop(
            lambda index, *_: index < self.chunks,
            chunk,
            (
                0,
                *states,
                self._array(dtype, batch, self.units),
                self._array(dtype, batch, self.units),
                self._array(precise, batch, parts * self.units),
            ),
            parallel_iterations=1,
        )
        self.last = final[1 : 1 + count]
        self._after, self._before, self._saved = final[1 + count :]

    def outputs(self):
        """Returns the output after each step."""
        return self._joined(self._after, self.units)

    def before(self):
        """Returns the output before each step."""
        return self._joined(self._before, self.units)

    def backward(self, d_outputs, d_last) -> _Gradients:
        """Returns all gradients, given the gradients of the outputs and of the last states."""
        cut = None if d_outputs is None else self._cut(d_outputs)
        count, parts = len(d_last), self.steps.recurrence.num_saved
        peepholes = self.steps.peepholes
        transposed = _transposed(self.steps.weights.recurrent_kernel)
        gates = transposed.shape[0]

        def chunk(index, *loop):
            d_states, (dz, total) = loop[:count], loop[count:]
            saved = [tf.split(step, parts, axis=1) for step in self._steps_of(self._saved, index)]
            each, masks = self._steps_of(cut, index), self._steps_of(self.mask, index)
            dzs, d_states, more = self.steps.backward(each, d_states, saved, masks, transposed)
            total = total if more is None else total + more
            return index - 1, *d_states, dz.write(index, tf.stack(dzs)), total

        total = tf.zeros([]) if peepholes is None else tf.zeros_like(peepholes)
        d_z = self._array(self.steps.dtype, d_last[0].shape[0], gates)
        final = tf.while_loop(
            lambda index, *_: index >= 0,
            chunk,
            (self.chunks - 1, *d_last, d_z, total),
            parallel_iterations=1,
        )
        total = None if peepholes is None else final[-1]
        return _Gradients(self._joined(final[-2], gates), final[1 : 1 + count], total)
