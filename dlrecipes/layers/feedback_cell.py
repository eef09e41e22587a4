"""A recurrent cell that receives the network's own output."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class FeedbackCell(keras.layers.Layer):
    """Feeds the previous output of a network of recurrent cells into its next step.

    One step, with `g` the feedback activation and `[., .]` the concatenation of vectors:

        h_t = the last cell's output, where the first cell reads [x_t, s_{t-1}]
        y_t = h_t V + c
        s_t = g(y_t)

    The output is `y_t`: scores. The states are `y_t`, which a masked step repeats, `s_t`, which is
    fed back, and the cells' own; all are zero before the first step. A network whose only input
    after the first step is its own output is a generator: see `sequence_model`. Unlike a
    `JordanCell` it remembers more than its last output. Inside `keras.layers.RNN` a masked step
    leaves the states unchanged. Training and inference behave the same.

    Args:
        cells: Recurrent cell, or list of cells, each of which reads the previous one's outputs;
            without dropout of their own.
        output_units: Size of the output, at least 1.
        feedback_activation: Activation between the output and the next step's input. Defaults to
            `"softmax"`.
        output_initializer: Initializer of `V`, of shape `(units of the last cell, output_units)`.
            Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of `c`, of shape `(output_units,)`. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: One time step, of shape `(batch, features)`.
        states: List of the scores and the fed-back values, each of shape `(batch, output_units)`,
            and the states of all cells in order.

    Returns:
        The scores, of shape `(batch, output_units)`, and a list of the new states.

    Raises:
        ValueError: If `output_units` is not an integer of at least 1, there is no cell, or a cell
            has dropout.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import FeedbackCell
    >>> cell = FeedbackCell(keras.layers.GRUCell(8), output_units=5)
    >>> tuple(keras.layers.RNN(cell, return_sequences=True)(keras.ops.ones((2, 7, 3))).shape)
    (2, 7, 5)

    Reference:
        Jordan, 1986, "Serial order: a parallel distributed processing approach".
        Graves, 2013, "Generating sequences with recurrent neural networks", section 2 and figure 1,
        where predictions become inputs. https://arxiv.org/abs/1308.0850
    """

    def __init__(
        self,
        cells,
        output_units: int,
        feedback_activation="softmax",
        output_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("output_units", output_units)
        self.cells = cells
        if not self._stack:
            raise ValueError("cells must be a recurrent cell or a list of them, not empty.")
        for cell in self._stack:
            # Dropout masks are cached, and only keras.layers.RNN knows when to reset them.
            if getattr(cell, "dropout", 0) or getattr(cell, "recurrent_dropout", 0):
                raise ValueError(f"cells must not have dropout, but {cell.name!r} has.")
        self.output_units = output_units
        self.feedback_activation = keras.activations.get(feedback_activation)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        # At a masked step Keras returns the previous output on one backend and the first state
        # on another. Both are the scores.
        own = [size for cell in self._stack for size in _sizes(cell)]
        self.state_size = [output_units, output_units, *own]
        self.output_size = output_units

    def build(self, input_shape):
        features = input_shape[-1] + self.output_units
        for cell in self._stack:
            if not cell.built:
                cell.build((input_shape[0], features))
                cell.built = True
            features = getattr(cell, "output_size", None) or _sizes(cell)[0]
        self.output_kernel = self.add_weight(
            (features, self.output_units), self.output_initializer, name="output_kernel"
        )
        self.output_bias = self.add_weight(
            (self.output_units,), self.bias_initializer, name="output_bias"
        )

    def call(self, inputs, states):
        x = ops.concatenate([inputs, states[1]], axis=-1)
        rest, new = list(states[2:]), []
        for cell in self._stack:
            own, rest = rest[: len(_sizes(cell))], rest[len(_sizes(cell)) :]
            x, own = cell(x, own)
            new += keras.tree.flatten(own)
        scores = ops.matmul(x, self.output_kernel) + self.output_bias
        return scores, [scores, self.feedback_activation(scores), *new]

    @property
    def _stack(self):
        return list(self.cells) if isinstance(self.cells, list | tuple) else [self.cells]

    def get_config(self):
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "cells": keras.saving.serialize_keras_object(self.cells),
            "output_units": self.output_units,
            "feedback_activation": keras.activations.serialize(self.feedback_activation),
            "output_initializer": serialize(self.output_initializer),
            "bias_initializer": serialize(self.bias_initializer),
        }

    @classmethod
    def from_config(cls, config):
        cells = keras.saving.deserialize_keras_object(config["cells"])
        return cls(**{**config, "cells": cells})


def _sizes(cell) -> list[int]:
    return keras.tree.flatten(cell.state_size)
