"""A language model of characters that is trained on chunks of time, and run step by step."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine.precision import full_precision
from dlrecipes.training.bptt import TruncatedBPTT
from dlrecipes.training.carried_state import States


@keras.saving.register_keras_serializable(package="dlrecipes")
class CharacterLanguageModel(TruncatedBPTT):
    """Trains a network that predicts characters as `TruncatedBPTT` does; keeps its vocabulary.

    `step` is what generation runs: one character in, scores of the next one out. It computes in
    float32, whatever the precision of training was.

    It may also keep, for each character and for each of some themes, the characters that go
    with it, which steer generation: `associated` (their ids) and `association` (how strongly,
    0 for none), both of shape `(characters + themes, associates)`. They are not trained:
    `associate` sets them.

    Args:
        network: Model from `characters`, int32 of shape `(batch, time)`, and perhaps further
            such inputs to scores of shape `(batch, time, len(vocabulary))`.
        window: Steps of a chunk, at least 1; up to 40 are fastest.
        vocabulary: The characters by id, each once; what is no character (a start) is longer.
        themes: Names of themes.
        associates: Characters that are kept for each, at least 0.
        streams: As of `TruncatedBPTT`.

    Call arguments:
        inputs: What the network takes.
        training: Whether dropout and the like are on.

    Returns:
        The network's scores.

    Raises:
        ValueError: If an argument is out of its bounds, the vocabulary does not have as many
            entries as the network has scores, or the network is none that `TruncatedBPTT` takes.

    Example:

    >>> from dlrecipes.models import character_lm
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
                f"{network.name} scores {scores} characters: the vocabulary must have as many, "
                f"not {len(vocabulary)}."
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
        """Returns the ids of characters, int32; -1 of one that the vocabulary does not have."""
        return self._ids.lookup(characters)

    def rows(self, names: tf.Tensor) -> tf.Tensor:
        """Returns the rows of `associated` of characters or themes, int32; -1 where there is none.

        A theme that is called as a character is has the character's row.
        """
        return self._rows.lookup(names)

    def associate(self, associated: np.ndarray, association: np.ndarray) -> None:
        """Sets what goes with each character and theme: ids and strengths."""
        self.associated.assign(associated)
        self.association.assign(association)

    def first_states(self, batch_size: int | tf.Tensor) -> States:
        """Returns the states before the first step, in float32."""
        with full_precision(self.network):
            return self.recurrence.initial(batch_size)

    def step(self, inputs: Mapping[str, tf.Tensor], states: States) -> tuple[tf.Tensor, States]:
        """Runs one step without dropout, in float32.

        Args:
            inputs: What the network takes, each of shape `(batch,)`.
            states: As `first_states` or another call returned them.

        Returns:
            Scores of shape `(batch, characters)`, and the states after the step.
        """
        scores, states = self.piece(
            {name: tf.expand_dims(value, 1) for name, value in inputs.items()}, states
        )
        return scores[:, 0], states

    def piece(self, inputs: Mapping[str, tf.Tensor], states: States) -> tuple[tf.Tensor, States]:
        """Returns the scores of a piece of sequences, and the states after it; as `step`."""
        with full_precision(self.network):
            return self.recurrence(inputs, states)

    def scores(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the scores of whole sequences without dropout, in float32."""
        with full_precision(self.network):
            return self.network(inputs, training=False)

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {name: getattr(self, name) for name in ("vocabulary", "themes", "associates")}
        return {**super().get_config(), **own}


def _table(entries: Sequence[str]) -> tf.lookup.StaticHashTable:
    first = {entry: row for row, entry in reversed(list(enumerate(entries)))}
    keys, rows = tf.constant(list(first)), tf.constant(list(first.values()))
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, rows), -1)
