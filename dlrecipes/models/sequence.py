"""Recurrent networks in four shapes: one or many inputs, one or many outputs."""

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import layers

from dlrecipes.layers import FeedbackCell
from dlrecipes.models._arguments import check_integers, check_rates
from dlrecipes.models.recurrent import CELLS, recurrent_cell, recurrent_layer

SHAPES = ("one_to_one", "one_to_many", "many_to_one", "many_to_many")


def sequence_model(
    shape: str,
    num_outputs: int,
    num_features: int | None = None,
    num_ids: int | None = None,
    embedding_units: int = 64,
    cell: str | Callable[[int], keras.layers.Layer] = "lstm",
    units: int = 64,
    depth: int = 1,
    bidirectional: bool = False,
    steps: int | None = None,
    feedback: bool = False,
    feedback_activation: str = "softmax",
    mask_zero: bool = False,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str = "sequence_model",
) -> keras.Model:
    """Builds a recurrent network from one input or a sequence to one output or a sequence.

    Each input is a vector, or an id that is embedded. `depth` hidden layers of recurrent cells
    are followed by a dense layer that outputs the scores.

    - `"one_to_one"`: one vector, one output and no time axis; the hidden layers are dense layers
      with tanh, for every `cell`.
    - `"many_to_one"`: the output at the last real step, such as the topic of a sentence; if
      bidirectional, the last output of each direction.
    - `"one_to_many"`: `steps` outputs from one vector, such as the caption of an image. The vector
      is the input of every step.
    - `"many_to_many"`: one output per step, computed from the steps so far. With `steps` the
      output has its own length: an encoder reads the whole input, and a decoder generates the
      outputs from the encoder's last output, as in `"one_to_many"`.

    With `feedback` the vector is the input of the first step only, and each later step reads the
    previous output (see `FeedbackCell`). The last layer of a Jordan network feeds back its scores
    in every shape. With `mask_zero`, padding does not change any state, and in `"many_to_many"`
    Keras excludes it from the loss. Dropout is active in training only.

    Args:
        shape: `"one_to_one"`, `"one_to_many"`, `"many_to_one"` or `"many_to_many"`.
        num_outputs: Number of scores per output, at least 1.
        num_features: Size of an input vector. Give either this or `num_ids`. Defaults to `None`.
        num_ids: Number of input ids, which start at 0. Defaults to `None`.
        embedding_units: Size of the embedding of ids. Defaults to 64.
        cell: `"elman"`, `"jordan"`, `"lstm"`, `"peephole_lstm"` or `"gru"`, or a function (or
            class) that takes a number of units and returns a Keras recurrent cell. Defaults to
            `"lstm"`.
        units: Hidden units per layer and direction, at least 1. Defaults to 64.
        depth: Number of hidden layers, at least 1; an encoder and a decoder have this number each.
            Defaults to 1.
        bidirectional: Whether to read the input also from its end. Defaults to `False`.
        steps: Length of the output, at least 1. Defaults to `None`, the length of the input.
        feedback: Whether each step reads the previous output instead of the vector. Defaults to
            `False`.
        feedback_activation: Activation of an output that is fed back. Defaults to `"softmax"`.
        mask_zero: Whether the id 0, or a vector of zeros, is padding. Defaults to `False`.
        dropout: Dropout rate after each hidden layer, in [0, 1); with `feedback` there is none
            between layers. Defaults to 0.
        seed: Dropout seed. Defaults to `None`.
        name: Model name. Defaults to `"sequence_model"`.

    Returns:
        A functional `keras.Model`. Input: `features`, of shape `(batch, time, num_features)`,
        or `ids`, int32 of shape `(batch, time)`; without the time axis in `"one_to_..."`.
        Output: scores of shape `(batch, num_outputs)` in `"..._to_one"`, otherwise
        `(batch, time or steps, num_outputs)`.

    Raises:
        ValueError: If an argument is not one of the listed values or is out of bounds, or
            arguments contradict each other.

    Example:

    >>> import keras
    >>> from dlrecipes.models import sequence_model
    >>> model = sequence_model("many_to_one", 3, num_ids=50, cell="gru", bidirectional=True)
    >>> tuple(model(keras.ops.array([[7, 3, 12]])).shape)
    (1, 3)
    >>> caption = sequence_model("one_to_many", 9, num_features=5, steps=4, feedback=True)
    >>> tuple(caption(keras.ops.ones((2, 5))).shape)
    (2, 4, 9)

    Reference:
        Elman, 1990, "Finding structure in time". https://doi.org/10.1207/s15516709cog1402_1
        Hochreiter and Schmidhuber, 1997, "Long short-term memory".
        https://doi.org/10.1162/neco.1997.9.8.1735
        Sutskever, Vinyals and Le, 2014, "Sequence to sequence learning with neural networks",
        section 2 (the encoder and decoder). https://arxiv.org/abs/1409.3215
    """
    _check_names(shape, cell, num_features, num_ids)
    _check_sizes(num_outputs, num_features, num_ids, embedding_units, units, depth, steps, dropout)
    _check_time(shape, cell, bidirectional, steps, feedback, mask_zero)
    inputs, x = _inputs(shape, num_features, num_ids, embedding_units, mask_zero)
    hidden = _Hidden(cell, units, depth, feedback_activation, dropout, seed)
    # Jordan networks output scores, without a dense layer.
    scores = num_outputs if cell == "jordan" else None
    if shape == "one_to_one":
        x, scores = hidden.dense(x), None
    elif shape == "many_to_one":
        x = hidden.recurrent(x, bidirectional, scores, return_sequences=False)
    elif steps is None:
        x = hidden.recurrent(x, bidirectional, scores)
    else:
        if shape == "many_to_many":
            x = hidden.recurrent(x, bidirectional, return_sequences=False, name="encoder")
            hidden = hidden._replace(seed=None if seed is None else seed + depth)
        if feedback:
            x, scores = hidden.feedback(x, steps, num_outputs), num_outputs
        else:
            x = layers.RepeatVector(steps, name="repeat")(x)
            x = hidden.recurrent(x, False, scores, name="decoder")
    if scores is None:
        x = layers.Dense(num_outputs, name="scores")(x)
    return keras.Model(inputs, x, name=name)


class _Hidden(NamedTuple):
    """The hidden layers; each method applies all of them."""

    cell: str | Callable
    units: int
    depth: int
    activation: str
    dropout: float
    seed: int | None

    def dense(self, x):
        for layer in range(1, self.depth + 1):
            x = layers.Dense(self.units, activation="tanh", name=f"hidden_{layer}")(x)
            x = self._drop(x, layer, "hidden")
        return x

    def recurrent(self, x, bidirectional, scores=None, return_sequences=True, name="hidden"):
        for layer in range(1, self.depth + 1):
            last = layer == self.depth
            x = recurrent_layer(
                self.cell,
                self.units,
                bidirectional,
                scores if last else None,
                return_sequences or not last,
                self.activation,
                name=f"{name}_{layer}",
            )(x)
            if scores is None or not last:
                x = self._drop(x, layer, name)
        return x

    def feedback(self, x, steps, num_outputs):
        x = layers.Reshape((1, x.shape[-1]), name="first_step")(x)
        x = layers.ZeroPadding1D((0, steps - 1), name="silence")(x)
        cells = [recurrent_cell(self.cell, self.units) for _ in range(self.depth)]
        cell = FeedbackCell(cells, num_outputs, self.activation)
        return layers.RNN(cell, return_sequences=True, name="decoder")(x)

    def _drop(self, x, layer, name):
        if not self.dropout:
            return x
        seed = None if self.seed is None else self.seed + layer
        return layers.Dropout(self.dropout, seed=seed, name=f"{name}_{layer}_dropout")(x)


def _inputs(shape, num_features, num_ids, embedding_units, mask_zero):
    """Returns the symbolic input and the vectors that it stands for."""
    time = () if shape.startswith("one") else (None,)
    if num_ids is not None:
        ids = keras.Input(time, dtype="int32", name="ids")
        embedding = layers.Embedding(
            num_ids, embedding_units, mask_zero=mask_zero, name="embedding"
        )
        return ids, embedding(ids)
    features = keras.Input((*time, num_features), name="features")
    return features, layers.Masking(name="padding")(features) if mask_zero else features


def _check_names(shape, cell, num_features, num_ids) -> None:
    if shape not in SHAPES:
        raise ValueError(f"shape {shape!r} is not one of {', '.join(SHAPES)}.")
    if not callable(cell) and cell not in CELLS:
        raise ValueError(f"cell {cell!r} is not one of {', '.join(CELLS)}, nor a function.")
    if (num_features is None) == (num_ids is None):
        raise ValueError(
            "give either num_features or num_ids, not "
            f"num_features={num_features!r} and num_ids={num_ids!r}."
        )


def _check_sizes(
    num_outputs, num_features, num_ids, embedding_units, units, depth, steps, dropout
) -> None:
    sizes = {"num_outputs": num_outputs, "embedding_units": embedding_units, "units": units}
    sizes |= {"depth": depth}
    optional = {"num_features": num_features, "num_ids": num_ids, "steps": steps}
    sizes |= {name: size for name, size in optional.items() if size is not None}
    check_integers(**sizes)
    check_rates(dropout=dropout)


def _check_time(shape, cell, bidirectional, steps, feedback, mask_zero) -> None:
    if shape == "one_to_many" and steps is None:
        raise ValueError("one_to_many needs steps, the length of its output.")
    if shape.endswith("one") and steps is not None:
        raise ValueError(f"{shape} has one output: steps must be None, not {steps!r}.")
    if shape.startswith("one") and (bidirectional or mask_zero):
        raise ValueError(f"{shape} reads no sequence: leave out bidirectional and mask_zero.")
    if feedback and steps is None:
        raise ValueError("feedback needs steps: one_to_many, or many_to_many with steps.")
    if feedback and cell == "jordan":
        raise ValueError("a Jordan network already feeds back its scores: leave out feedback.")
