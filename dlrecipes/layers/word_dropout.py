"""Words replaced by 'other' at random while training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlrecipes")
class WordDropout(keras.layers.Layer):
    """Replaces word ids by the id of 'other' at random, in training only.

    A word never seen in training is 'other' when it is met; without this layer the
    network has never learnt what to make of it. Padding (id 0) stays.

    Args:
        rate: Probability that a word is replaced, in [0, 1).
        other: The id of 'other'.
        seed: Seed of the layer's own random numbers, or `None`.

    Call arguments:
        inputs: Integer ids of shape `(batch, time)`.
        training: Whether to replace at all.

    Returns:
        Ids of the same shape.

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
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1), not {rate!r}.")
        self.rate = rate
        self.other = other
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        """Returns the ids, some of them 'other' when training."""
        if not training or self.rate == 0:
            return inputs
        chance = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        dropped = ops.logical_and(chance < self.rate, ops.not_equal(inputs, 0))
        return ops.where(dropped, ops.cast(self.other, inputs.dtype), inputs)

    def compute_output_spec(self, inputs, training=False):
        """Returns the input's own shape and type: ids stay integers."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "other": self.other,
            "seed": self.seed,
        }
