"""A character language model that is trained on chunks of time and run step by step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine.precision import full_precision
from dlrecipes.training.bptt import TruncatedBPTT
from dlrecipes.training.carried_state import States


@keras.saving.register_keras_serializable(package="dlrecipes")
class CharacterLanguageModel(TruncatedBPTT):
    """Trains a network that predicts characters with `TruncatedBPTT`, and stores its vocabulary.

    Generation runs `step`, which takes one character and returns scores of the next. It computes in
    float32, regardless of the precision of training.

    The model can also store, for each character and for each theme, a list of associated characters
    that steer generation: `associated` (their ids) and `association` (their strengths, 0 for none),
    both of shape `(characters + themes, associates)`. They are not trained, but set by `associate`.

    Args:
        network: Model from `characters`, int32 of shape `(batch, time)`, and optional further
            inputs of that kind, to scores of shape `(batch, time, len(vocabulary))`.
        window: Steps per chunk, at least 1; up to 40 are fastest.
        vocabulary: Distinct characters, in the order of their ids. An entry that is not a
            character, such as a start symbol, has several letters.
        themes: Names of themes. Defaults to none.
        associates: Number of associated characters for each, at least 0. Defaults to 0.
        streams: Number of continuing examples, as in `TruncatedBPTT`. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The network's scores.

    Raises:
        ValueError: If an argument is out of bounds, if the vocabulary and the network's scores
            differ in size, or if `TruncatedBPTT` does not support the network.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.models import character_lm
    >>> from dlrecipes.training import CharacterLanguageModel
    >>> model = CharacterLanguageModel(character_lm(3, units=4), 8, ["[start]", "a", "b"])
    >>> scores, states = model.step({"characters": tf.constant([1, 2])}, model.first_states(2))
    >>> tuple(scores.shape), len(tf.nest.flatten(states))
    ((2, 3), 4)

    Reference:
        Mikolov, Karafiat, Burget, Cernocky and Khudanpur, 2010, "Recurrent neural network
        based language model".
    """

    def __init__(
        self,
        network: keras.Model,
        window: int,
        vocabulary: Sequence[str],
        themes: Sequence[str] = (),
        associates: int = 0,
        streams: int | None = None,
        **kwargs,
    ):
        super().__init__(network, window, streams, **kwargs)
        integer("associates", associates, 0)
        scores = network.output.shape[-1]
        if scores != len(vocabulary):
            raise ValueError(
                f"{network.name} scores {scores} characters: the vocabulary must have as many "
                f"entries, not {len(vocabulary)}."
            )
        self.vocabulary = list(vocabulary)
        self.themes = list(themes)
        self._ids = _table(self.vocabulary)
        self._rows = _table([*self.vocabulary, *self.themes])
        self.associates = associates
        if associates:
            shape = (len(self.vocabulary) + len(self.themes), associates)
            fixed = {"shape": shape, "initializer": "zeros", "trainable": False}
            self.associated = self.add_weight(name="associated", dtype="int32", **fixed)
            self.association = self.add_weight(name="association", dtype="float32", **fixed)

    def ids(self, characters: tf.Tensor) -> tf.Tensor:
        """Returns the ids of characters, int32; -1 for a character outside the vocabulary."""
        return self._ids.lookup(characters)

    def rows(self, names: tf.Tensor) -> tf.Tensor:
        """Returns the rows of `associated` for characters or themes, int32; -1 for an unknown name.

        A theme whose name is also a character has that character's row.
        """
        return self._rows.lookup(names)

    def associate(self, associated: np.ndarray, association: np.ndarray) -> None:
        """Sets the associated characters: their ids and strengths.

        Args:
            associated: Integer array of shape `(characters + themes, associates)`.
            association: Float array of the same shape.
        """
        self.associated.assign(associated)
        self.association.assign(association)

    def steering(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the strengths of the characters associated with some rows, summed.

        Args:
            rows: Rows of `associated`, int32 of shape `(batch, rows)`; negative for none.

        Returns:
            float32 of shape `(batch, characters)`, to be added to scores.
        """
        batch, size = tf.shape(rows)[0], len(self.vocabulary)
        if not self.associates:
            return tf.zeros([batch, size])
        ids = tf.gather(self.associated.value, tf.maximum(rows, 0))
        strengths = tf.gather(self.association.value, tf.maximum(rows, 0))
        strengths = tf.where((rows >= 0)[..., None], strengths, 0.0)
        examples = tf.broadcast_to(tf.range(batch)[:, None, None], tf.shape(ids))
        return tf.scatter_nd(tf.stack([examples, ids], axis=-1), strengths, [batch, size])

    def first_states(self, batch_size: int | tf.Tensor) -> States:
        """Returns the states before the first step, in float32.

        Args:
            batch_size: Number of examples.
        """
        with full_precision(self.network):
            return self.recurrence.initial(batch_size)

    def step(self, inputs: Mapping[str, tf.Tensor], states: States) -> tuple[tf.Tensor, States]:
        """Runs one step without dropout, in float32.

        Args:
            inputs: Inputs of the network by name, each of shape `(batch,)`.
            states: States from `first_states` or from the previous call.

        Returns:
            Scores of shape `(batch, characters)`, and the states after the step.
        """
        scores, states = self.piece(
            {name: tf.expand_dims(value, 1) for name, value in inputs.items()}, states
        )
        return scores[:, 0], states

    def piece(self, inputs: Mapping[str, tf.Tensor], states: States) -> tuple[tf.Tensor, States]:
        """Runs several steps without dropout, in float32.

        Args:
            inputs: Inputs of the network by name, each of shape `(batch, time)`.
            states: States from `first_states` or from the previous call.

        Returns:
            Scores of shape `(batch, time, characters)`, and the states after the last step.
        """
        with full_precision(self.network):
            return self.recurrence(inputs, states)

    def scores(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the scores of whole sequences without dropout, in float32.

        Args:
            inputs: Inputs of the network by name, each of shape `(batch, time)`.
        """
        with full_precision(self.network):
            return self.network(inputs, training=False)

    def generate(
        self,
        first: tf.Tensor,
        length: tf.Tensor,
        choose: Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, Any]],
        conditions: Callable[[tf.Tensor], Mapping[str, tf.Tensor]] = lambda number: {},
        carried: Any = (),
    ) -> tf.Tensor:
        """Generates ids step by step, in the graph: each step reads the id that was chosen before.

        Args:
            first: Ids that the first step reads, int32 of shape `(batch,)`.
            length: Number of steps, an int32 scalar.
            choose: Function that takes the step's number, from 0, the scores of shape
                `(batch, characters)` and `carried`; returns the chosen ids, int32 of shape
                `(batch,)`, and the `carried` of the next step.
            conditions: Function from the step's number to further inputs of the network by name,
                each of shape `(batch,)`. Defaults to none.
            carried: Tensors, or a nested structure of them, with a leading batch axis, for
                `choose` in the first step. Defaults to none.

        Returns:
            Chosen ids, int32 of shape `(batch, length)`.
        """
        states = self.first_states(tf.shape(first)[0])
        ids = tf.TensorArray(tf.int32, length, element_shape=[None])

        def step(number, ids, before, carried, flat):
            inputs = {"characters": before, **conditions(number)}
            scores, after = self.step(inputs, tf.nest.pack_sequence_as(states, flat))
            chosen, carried = choose(number, scores, carried)
            return number + 1, ids.write(number, chosen), chosen, carried, tf.nest.flatten(after)

        def any_batch(value):
            if isinstance(value, tf.TensorArray):
                return tf.TensorShape(None)
            return tf.TensorShape([None, *value.shape[1:]] if value.shape.rank else [])

        start = (tf.constant(0), ids, first, carried, tf.nest.flatten(states))
        _, ids, *_ = tf.while_loop(
            lambda number, *_: number < length,
            step,
            start,
            shape_invariants=tf.nest.map_structure(any_batch, start),
        )
        return tf.transpose(tf.ensure_shape(ids.stack(), [None, None]))

    def get_config(self):
        own = {name: getattr(self, name) for name in ("vocabulary", "themes", "associates")}
        return {**super().get_config(), **own}


def _table(entries: Sequence[str]) -> tf.lookup.StaticHashTable:
    first = {entry: row for row, entry in reversed(list(enumerate(entries)))}
    keys, rows = tf.constant(list(first)), tf.constant(list(first.values()))
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), -1)
