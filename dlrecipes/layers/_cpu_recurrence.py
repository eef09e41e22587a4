"""Recurrences for training on a CPU, with hand-written gradients (TensorFlow only).

They are faster than a loop over a cell for these reasons. The inputs of all steps are multiplied by
the kernel at once, and so are the gradients of both kernels after the loop. Steps are unrolled in
the graph, without a `while` around each. Masked steps are moved behind the real ones before the
loop, which therefore needs no masks, and sequences leave the batch when they end. A backward step
computes only what depends on the steps after it; the rest is computed for many steps at once. The
transposed kernels are computed once per call. In bfloat16 the matrix products are bfloat16, while
gates and memory are float32.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from dlrecipes.layers._cpu_cells import Recurrence
from dlrecipes.layers._step_order import StepOrder

# Longer sequences, and sequences of unknown length, are processed in chunks of CHUNK steps.
UNROLLED = 40
CHUNK = 4


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
    backwards: bool = False,
    return_sequences: bool = True,
    return_states: bool = True,
) -> tuple[tf.Tensor | None, list[tf.Tensor]]:
    """Runs a recurrence over a batch of sequences.

    Args:
        recurrence: Recurrence of `_cpu_cells`: `ELMAN`, `LSTM` or `PEEPHOLE_LSTM`.
        sequences: Inputs of shape `(batch, time, features)`.
        states: Initial states, each of shape `(batch, units)`.
        weights: The layer's weights, in the layout of Keras' own layers.
        mask: Boolean of shape `(batch, time)`, or `None`; steps where it is false leave the states
            unchanged. Defaults to `None`.
        backwards: Whether to begin with the last step. Defaults to `False`.
        return_sequences: Whether to return the outputs of all steps. Defaults to `True`.
        return_states: Whether to return all last states. Defaults to `True`.

    Returns:
        The first state after each step, in the order of processing, of shape `(batch, time,
        units)`, or `None`, and the last states: all, or only the first. Before the first real step
        of a sequence the outputs may have any value.
    """
    present = [w for w in weights if w is not None]
    time = sequences.shape[1]
    unrolled = time is not None and 0 < time <= UNROLLED
    order = StepOrder(sequences, mask, backwards, time if unrolled else CHUNK)
    returned = len(states) if return_states else 1

    @tf.custom_gradient
    def call(x, *tensors):
        initial, values = tensors[: -len(present)], iter(tensors[-len(present) :])
        steps = _Steps(
            recurrence, Weights(*[None if w is None else next(values) for w in weights]), x.dtype
        )
        inputs = order.inputs(x)
        loop = _Loop(order, steps, _project(inputs, steps.weights), initial, returned > 1)
        last = [
            order.last(tf.cast(after, x.dtype), before)
            for after, before in zip(loop.after[:returned], initial, strict=False)
        ]
        outputs = order.outputs(loop.after[0]) if return_sequences else tf.zeros((), x.dtype)

        def gradient(d_outputs, *d_last):
            d_outputs, *d_last = (tf.cast(d, steps.precise) for d in (d_outputs, *d_last))
            d_after = [
                order.d_rows(d_outputs if return_sequences and not index else None, d)
                for index, d in enumerate(d_last)
            ]
            d_z, d_states, d_peepholes = loop.backward(d_after)
            d_last += [None] * (len(initial) - returned)
            d_initial = [order.d_initial(*pair) for pair in zip(d_states, d_last, strict=True)]
            return (
                order.d_inputs(tf.matmul(d_z, _transposed(steps.weights.kernel))),
                *[tf.cast(d, x.dtype) for d in d_initial],
                *_d_weights(inputs, loop.before, d_z, d_peepholes, steps.weights),
            )

        return (outputs, *last), gradient

    outputs, *last = call(sequences, *states, *present)
    return (outputs if return_sequences else None), last


def _transposed(kernel):
    # TensorFlow would fold a bare transpose into each matrix product, which then takes up to
    # three times as long. A shape check in between prevents it.
    return tf.raw_ops.EnsureShape(input=tf.transpose(kernel), shape=kernel.shape[::-1])


def _project(inputs, weights: Weights):
    """Returns the inputs' contribution to the pre-activations, a row per step."""
    projected = tf.matmul(inputs, weights.kernel)
    return projected if weights.bias is None else tf.nn.bias_add(projected, weights.bias)


def _d_weights(inputs, before, d_z, d_peepholes, weights: Weights):
    """Returns the gradient of each weight that is not `None`."""
    d_weights = [
        tf.matmul(inputs, d_z, transpose_a=True),
        tf.matmul(before, d_z, transpose_a=True),
    ]
    if weights.bias is not None:
        d_weights.append(tf.reduce_sum(d_z, axis=0))
    if weights.peepholes is not None:
        d_weights.append(tf.cast(d_peepholes, weights.peepholes.dtype))
    return d_weights


class _Steps:
    """Consecutive steps, forward and backward."""

    def __init__(self, recurrence: Recurrence, weights: Weights, dtype):
        self.recurrence = recurrence
        self.weights = weights
        self.dtype = dtype
        self.precise = dtype if dtype.size >= 4 else tf.float32
        self.peepholes = None
        if weights.peepholes is not None:
            self.peepholes = tf.cast(weights.peepholes, self.precise)

    def forward(self, zs, states):
        """Returns the states after each step, and the saved tensors, by step."""
        output, every, saved = tf.cast(states[0], self.dtype), [], []
        for z in zs:
            z += tf.matmul(output, self.weights.recurrent_kernel)
            states, step_saved = self.recurrence.step(
                tf.cast(z, self.precise), states, self.peepholes
            )
            output = tf.cast(states[0], self.dtype)
            every.append(states)
            saved.append(step_saved)
        return every, saved

    def backward(self, d_after, d_states, saved, transposed):
        """Returns the gradients of the pre-activations, of the first states and of the peepholes.

        Args:
            d_after: Gradients of the states after each step, as lists of one tensor per step, for
                the first states only or for all.
            d_states: Gradients of the states after the last step, from later steps.
            saved: Tensors that the forward steps saved, each `(steps, sequences, units)`.
            transposed: Transposed recurrent kernel.
        """
        prepared = [tf.unstack(x) for x in self.recurrence.prepare(saved, self.peepholes)]
        every = []
        for step in reversed(range(len(prepared[0]))):
            added = [d_state + d[step] for d_state, d in zip(d_states, d_after, strict=False)]
            d_states = [*added, *d_states[len(added) :]]
            d_z, others = self.recurrence.backward(d_states, [x[step] for x in prepared])
            d_z = tf.cast(d_z, self.dtype)
            d_states = [tf.cast(tf.matmul(d_z, transposed), self.precise), *others]
            every.append(d_z)
        d_z = tf.stack(every[::-1])
        if self.peepholes is None:
            return d_z, d_states, tf.zeros([])
        return d_z, d_states, self.recurrence.d_peepholes(tf.cast(d_z, self.precise), saved)


class _Single(NamedTuple):
    """An array with one element, in the place of a `tf.TensorArray`."""

    element: tf.Tensor | None = None

    def write(self, index, element):
        """Returns the array with its element."""
        return _Single(element)

    def read(self, index):
        """Returns the element."""
        return self.element

    def concat(self):
        """Returns the element, the only one."""
        return self.element


class _Loop:
    """A loop over chunks, with the steps of each chunk in the graph.

    Args:
        order: Order of the steps.
        steps: Steps of the recurrence.
        z: Inputs' contribution to the pre-activations, a row per step.
        initial: Initial states.
        keeps_memory: Whether all states are needed after each step, or only the first.

    `before` are the outputs before each step, and `after` the states after each step, by row.
    """

    def __init__(self, order: StepOrder, steps: _Steps, z, initial, keeps_memory: bool):
        self.order, self.steps = order, steps
        self.units = initial[0].shape[1]
        self.kinds = steps.recurrence.num_saved
        self.returned = len(initial) if keeps_memory else 1
        states = [tf.cast(order.initial(state), steps.precise) for state in initial]
        if not order.uniform:
            states = [state[: order.sequences(0)] for state in states]
        self.num_states = len(states)
        kinds = [steps.dtype, steps.dtype, *[steps.precise] * (self.returned - 1)]

        def chunk(index, *loop):
            states, (saved, *arrays) = loop[: self.num_states], loop[self.num_states :]
            if not order.uniform:
                states = [state[: order.sequences(index)] for state in states]
            every, step_saved = steps.forward(self._steps_of(z, index), states)
            outputs = [tf.cast(state[0], steps.dtype) for state in (states, *every)]
            memory = [state[1] for state in every] if self.returned > 1 else []
            rows = [outputs[:-1], outputs[1:], *([memory] if memory else [])]
            arrays = [a.write(index, tf.concat(r, 0)) for a, r in zip(arrays, rows, strict=True)]
            by_kind = [tensor for kind in zip(*step_saved, strict=True) for tensor in kind]
            return index + 1, *every[-1], saved.write(index, tf.stack(by_kind)), *arrays

        arrays = [self._array(dtype, [None, self.units]) for dtype in kinds]
        count = self.kinds * order.chunk
        arrays.insert(0, self._array(steps.precise, [count, None, self.units]))
        final = self._run(chunk, 0, states, arrays)
        self._saved, *arrays = final[self.num_states :]
        self.before, *self.after = (self._joined(array, self.units) for array in arrays)

    def _array(self, dtype, shape):
        if self.order.single:
            return _Single()
        return tf.TensorArray(
            dtype, self.order.chunks, clear_after_read=False, infer_shape=False, element_shape=shape
        )

    def _joined(self, array, features: int):
        return tf.ensure_shape(array.concat(), [None, features])

    def _run(self, chunk, first, states, others):
        """Returns states and other variables after all chunks, from the first or the last one."""
        if self.order.single:
            return chunk(0, *states, *others)[1:]

        def body(index, *loop):
            index, *after = chunk(index, *loop)
            if self.order.uniform:
                # The shapes of the states must not become less specific.
                shapes = [state.shape for state in states]
                after[: len(states)] = map(tf.ensure_shape, after, shapes)
            return index, *after

        return tf.while_loop(
            lambda index, *_: (index >= 0) & (index < self.order.chunks),
            body,
            (first, *states, *others),
            parallel_iterations=1,
        )[1:]

    def _steps_of(self, rows, index):
        """Returns the steps of a chunk."""
        sequences, chunk = self.order.sequences(index), self.order.chunk
        # A slice along the first axis, and its unstacking, share the tensor's memory.
        part = tf.slice(rows, [self.order.first_row(index), 0], [chunk * sequences, -1])
        return tf.unstack(tf.reshape(part, [chunk, sequences, rows.shape[1]]), num=chunk)

    def backward(self, d_after):
        """Returns the gradients of all pre-activations, the initial states and the peepholes.

        Args:
            d_after: Gradients of `after`.
        """
        order, steps = self.order, self.steps
        transposed = _transposed(steps.weights.recurrent_kernel)
        gates = transposed.shape[0]

        def chunk(index, *loop):
            d_states, (d_z, total) = loop[: self.num_states], loop[self.num_states :]
            if not order.uniform:
                # The sequences that end in this chunk have no later steps.
                more = order.sequences(index) - tf.shape(d_states[0])[0]
                d_states = [tf.pad(d, [[0, more], [0, 0]]) for d in d_states]
            saved = tf.split(self._saved.read(index), self.kinds)
            each = [self._steps_of(d, index) for d in d_after]
            part, d_states, d_peepholes = steps.backward(each, d_states, saved, transposed)
            rows = tf.reshape(part, [-1, gates])
            return index - 1, *d_states, d_z.write(index, rows), total + d_peepholes

        rows = [order.sequences(order.chunks - 1), self.units]
        zeros = [tf.zeros(rows, steps.precise) for _ in range(self.num_states)]
        total = tf.zeros([]) if steps.peepholes is None else tf.zeros_like(steps.peepholes)
        others = [self._array(steps.dtype, [None, gates]), total]
        *d_states, d_z, total = self._run(chunk, order.chunks - 1, zeros, others)
        return self._joined(d_z, gates), d_states, total
