"""Random replacement of words by 'other' in training."""

import keras
from keras import ops

from dlrecipes.layers._arguments import number


@keras.saving.register_keras_serializable(package="dlrecipes")
class WordDropout(keras.layers.Layer):
    """Replaces word ids by the id of 'other' at random, in training only.

    Words that do not occur in the training data are encoded as 'other'; without this layer the
    network never sees that id in training. If letter n-grams are given as well, half of the
    replaced words also lose their n-grams, since some new words are spelled unlike any known word.
    Padding (id 0) is never replaced.

    Args:
        rate: Probability that a word is replaced, in [0, 1).
        other: Id of 'other', for words and for n-grams. Defaults to 1.
        seed: Seed of the layer's random numbers, or `None`. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Integer word ids of shape `(batch, time)`, or a list of word ids and n-gram ids, the
            latter of shape `(batch, time, ngrams_per_word)`.
        training: Whether to replace words. Defaults to `False`.

    Returns:
        Ids of the same shape and dtype, or a list of both.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Example:

    >>> import keras
    >>> from dlrecipes.layers import WordDropout
    >>> layer = WordDropout(0.5, seed=1)
    >>> ids = keras.ops.array([[5, 7, 0]])
    >>> keras.ops.convert_to_numpy(layer(ids, training=False)).tolist()
    [[5, 7, 0]]

    Reference:
        Iyyer, Manjunatha, Boyd-Graber and Daume III, 2015, "Deep unordered composition rivals
        syntactic methods for text classification", section 3.1 (there the word is dropped; here it
        becomes 'other', so that tags stay aligned). https://aclanthology.org/P15-1162/
    """

    def __init__(self, rate: float, other: int = 1, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        # Ids must not be rounded to 16 bits.
        self.autocast = False
        number("rate", rate, "in [0, 1)", lambda x: 0 <= x < 1)
        self.rate = rate
        self.other = other
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        words, ngrams = inputs if isinstance(inputs, list | tuple) else (inputs, None)
        chance = keras.random.uniform(ops.shape(words), seed=self.seed_generator)
        present = ops.not_equal(words, 0)
        unknown = ops.cast(self.other, words.dtype)
        replaced = ops.where(ops.logical_and(chance < self.rate, present), unknown, words)
        if ngrams is None:
            return replaced
        # One random number for both: n-grams are replaced only where the word is.
        without_ngrams = ops.expand_dims(ops.logical_and(chance < self.rate / 2, present), -1)
        first = ops.ones_like(ngrams[:, :, :1]) * self.other
        blank = ops.concatenate([first, ops.zeros_like(ngrams[:, :, 1:])], axis=-1)
        return [replaced, ops.where(without_ngrams, blank, ngrams)]

    def compute_output_spec(self, inputs, training=False):
        if isinstance(inputs, list | tuple):
            return [keras.KerasTensor(ids.shape, dtype=ids.dtype) for ids in inputs]
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "other": self.other,
            "seed": self.seed,
        }
