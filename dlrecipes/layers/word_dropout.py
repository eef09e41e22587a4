"""Words replaced by 'other' at random while training."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class WordDropout(keras.layers.Layer):
    """Replaces word ids by the id of 'other' at random, in training only.

    A word never seen in training is 'other' when it is met; without this layer the
    network has never learnt what to make of it. Where letter n-grams come along, half of
    the replaced words lose theirs too: some new words are spelt like none before. Padding
    (id 0) stays.

    Args:
        rate: Probability that a word is replaced, in [0, 1).
        other: The id of 'other', of words and of n-grams.
        seed: Seed of the layer's own random numbers, or `None`.

    Call arguments:
        inputs: Integer word ids of shape `(batch, time)`, or a list of those and n-gram ids
            of shape `(batch, time, ngrams_a_word)`.
        training: Whether to replace at all.

    Returns:
        Ids of the same shape, or a list of both.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Example:

    >>> layer = WordDropout(0.5, seed=1)
    >>> ids = keras.ops.array([[5, 7, 0]])
    >>> keras.ops.convert_to_numpy(layer(ids, training=False)).tolist()
    [[5, 7, 0]]

    Reference:
        Iyyer, Manjunatha, Boyd-Graber and Daume III, 2015, "Deep unordered composition
        rivals syntactic methods for text classification", section 3.1 (there the word is
        left out; here it becomes 'other', so that tags stay aligned).
    """

    def __init__(self, rate: float, other: int = 1, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        # Ids are no numbers to be rounded to 16 bits.
        self.autocast = False
        number("rate", rate, "in [0, 1)", lambda x: 0 <= x < 1)
        self.rate = rate
        self.other = other
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        """Returns the ids, some of them 'other' when training."""
        if not training or self.rate == 0:
            return inputs
        words, ngrams = inputs if isinstance(inputs, list | tuple) else (inputs, None)
        chance = keras.random.uniform(ops.shape(words), seed=self.seed_generator)
        present = ops.not_equal(words, 0)
        unknown = ops.cast(self.other, words.dtype)
        replaced = ops.where(ops.logical_and(chance < self.rate, present), unknown, words)
        if ngrams is None:
            return replaced
        # One draw for both: the n-grams go only where the word does.
        unspelt = ops.expand_dims(ops.logical_and(chance < self.rate / 2, present), -1)
        first = ops.ones_like(ngrams[:, :, :1]) * self.other
        blank = ops.concatenate([first, ops.zeros_like(ngrams[:, :, 1:])], axis=-1)
        return [replaced, ops.where(unspelt, blank, ngrams)]

    def compute_output_spec(self, inputs, training=False):
        """Returns the inputs' own shapes and types: ids stay integers."""
        if isinstance(inputs, list | tuple):
            return [keras.KerasTensor(ids.shape, dtype=ids.dtype) for ids in inputs]
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "other": self.other,
            "seed": self.seed,
        }
