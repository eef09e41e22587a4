"""Words as the letter n-grams that they are made of."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class WordHashing(keras.layers.Layer):
    """Encodes each word as the counts of its letter n-grams, or as a projection of them.

    Words that are spelt alike get vectors that are alike, whether training has seen them or
    not. With `units` the counts are multiplied by a learned matrix, but never built: the
    matrix's rows of the n-grams are summed, which gives the same. Id 0 is padding and counts
    as nothing, so that column 0 of the counts is always zero and row 0 of the matrix unused.

    The layer makes no mask of its own (a word of no n-grams is still a word): the mask of the
    sentence is the word ids', and one that comes with the inputs is passed on. Training
    and inference do the same.

    Args:
        size: Number of n-gram ids, padding included, at least 2.
        units: Size of the projection, at least 1; `None` for the counts themselves.
        kernel_initializer: Initializer of the matrix, of shape `(size, units)`.

    Call arguments:
        inputs: Integer n-gram ids of shape `(batch, time, ngrams_per_word)`, in [0, size),
            in any order; each axis may be of unknown size.

    Returns:
        Counts of shape `(batch, time, size)`, or, with `units`, vectors of shape
        `(batch, time, units)`.

    Raises:
        ValueError: If `size` is not an integer of at least 2, `units` neither `None` nor
            one of at least 1, or the inputs do not have three axes.

    Example:

    >>> counts = WordHashing(5)(keras.ops.array([[[4, 2, 4, 0], [1, 0, 0, 0]]]))
    >>> keras.ops.convert_to_numpy(counts).tolist()
    [[[0.0, 0.0, 1.0, 0.0, 2.0], [0.0, 1.0, 0.0, 0.0, 0.0]]]

    Reference:
        Huang, He, Gao, Deng, Acero and Heck, 2013, "Learning deep structured semantic models
        for web search using clickthrough data", section 3.2.
    """

    def __init__(
        self,
        size: int,
        units: int | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("size", size, 2)
        if units is not None:
            integer("units", units)
        self.size = size
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        # Ids that come as floats would lose digits in a 16-bit policy.
        self.autocast = False

    def build(self, input_shape):
        """Creates the matrix, if there is one."""
        self.kernel = None
        if self.units is not None:
            self.kernel = self.add_weight(
                (self.size, self.units), self.kernel_initializer, name="kernel"
            )

    def call(self, inputs):
        """Returns a vector for each word."""
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)
        if self.kernel is None:
            return self._counts(ids, present)
        rows = ops.take(ops.cast(self.kernel, self.compute_dtype), ids, axis=0)
        return ops.sum(rows * ops.expand_dims(present, -1), axis=2)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the counts or of their projection."""
        return (*input_shape[:2], self.size if self.units is None else self.units)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _counts(self, ids, present):
        batch, time, ngrams = ops.shape(ids)
        words = batch * time
        word = ops.broadcast_to(ops.expand_dims(ops.arange(words), 1), (words, ngrams))
        places = ops.stack([ops.reshape(word, (-1,)), ops.reshape(ids, (-1,))], axis=1)
        # A sum of 1-of-N vectors would hold ngrams times as much at once.
        counts = ops.scatter(places, ops.reshape(present, (-1,)), (words, self.size))
        return ops.reshape(counts, (batch, time, self.size))
