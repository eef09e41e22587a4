"""Fast training of recurrent layers on a CPU; elsewhere they are Keras' own layers."""

import keras
from keras import ops


class FastRNN:
    """Mixin for a `keras.layers.RNN` that trains through `_cpu_recurrence` where that is faster.

    It applies to training under TensorFlow without a GPU, with the activations that the recurrence
    implements. In all other cases the layer's own code runs: in inference, and so in exported
    models, on other backends, and on a GPU, which has its own kernels.
    """

    # Whether `inner_loop` returns all last states, even if the layer's call does not.
    keeps_states = False

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Runs over time and returns the last output, all outputs and the last states."""
        # A subclass may use another cell.
        standard = type(self.cell) is self._cell_type and self._is_standard()
        if not (training and standard and _cpu_only_tensorflow()):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        from dlrecipes.layers import _cpu_cells
        from dlrecipes.layers import _cpu_recurrence as cpu

        mask = mask[0] if isinstance(mask, list | tuple) else mask
        sequences = ops.cast(sequences, self.cell.compute_dtype)
        if mask is not None:
            mask = ops.reshape(ops.cast(mask, "bool"), ops.shape(sequences)[:2])
        if getattr(self.cell, "dropout", 0):
            # Keras' cells drop the same inputs at every step.
            sequences *= ops.expand_dims(self.cell.get_dropout_mask(sequences[:, 0]), 1)
        if self.go_backwards and mask is not None:
            mask = ops.flip(mask, axis=1)
        recurrence = getattr(_cpu_cells, self._recurrence)
        weights = cpu.Weights(**self._weights_by_name())
        outputs, states = cpu.run(
            recurrence,
            sequences,
            initial_state,
            weights,
            mask,
            backwards=self.go_backwards,
            return_sequences=self.return_sequences,
            return_states=self.return_state or self.stateful or self.keeps_states,
        )
        return self._as_keras(outputs, states, mask)

    def _weights_by_name(self):
        names = ("kernel", "recurrent_kernel", "bias", "peepholes")
        weights = {name: getattr(self.cell, name, None) for name in names}
        return {name: w.value for name, w in weights.items() if w is not None}

    def _as_keras(self, outputs, states, mask):
        """Sets the outputs at masked steps to Keras' values; the mask is in processing order."""
        last = states[0]
        if mask is not None:
            # The output before the first real step is zero for any initial state.
            seen = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0
            real = mask if self.zero_output_for_mask else seen
            last = ops.where(real[:, -1:], last, ops.zeros_like(last))
            if outputs is not None:
                outputs = ops.where(ops.expand_dims(real, -1), outputs, ops.zeros_like(outputs))
        if outputs is None:
            outputs = ops.expand_dims(last, 1)
        return last, outputs, list(states)


def _cpu_only_tensorflow() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    from dlrecipes.layers import _cpu_recurrence as cpu

    return not cpu.has_gpu()
