"""Words encoded by their letter n-grams."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class WordHashing(keras.layers.Layer):
    """Encodes each word as the counts of its letter n-grams, or as a projection of them.

    Words with similar spellings get similar vectors, even if they do not occur in the training
    data. With `units` the layer computes the product of the counts with a learned matrix without
    building the counts: it sums the matrix's rows of the n-grams, which gives the same result. Id 0
    is padding and is not counted, so that column 0 of the counts is always zero and row 0 of the
    matrix is unused.

    The layer creates no mask (a word without n-grams is still a word): the word ids provide the
    sentence's mask, and a mask of the inputs is passed on. Training and inference behave the same.

    Args:
        size: Number of n-gram ids, including padding, at least 2.
        units: Size of the projection, at least 1, or `None` for the counts themselves. Defaults to
            `None`.
        kernel_initializer: Initializer of the matrix, of shape `(size, units)`. Defaults to
            `"glorot_uniform"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Integer n-gram ids of shape `(batch, time, ngrams_per_word)`, in [0, size), in any
            order; any size may be unknown.

    Returns:
        Counts of shape `(batch, time, size)`, or, with `units`, vectors of shape
        `(batch, time, units)`.

    Raises:
        ValueError: If `size` is not an integer of at least 2, `units` is neither `None` nor an
            integer of at least 1, or the inputs do not have three axes.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import WordHashing
    >>> counts = WordHashing(5)(keras.ops.array([[[4, 2, 4, 0], [1, 0, 0, 0]]]))
    >>> keras.ops.convert_to_numpy(counts).tolist()
    [[[0.0, 0.0, 1.0, 0.0, 2.0], [0.0, 1.0, 0.0, 0.0, 0.0]]]

    Reference:
        Huang, He, Gao, Deng, Acero and Heck, 2013, "Learning deep structured semantic models for
        web search using clickthrough data", section 3.2. https://doi.org/10.1145/2505515.2505665
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
        # Ids given as floats would be rounded under a 16-bit policy.
        self.autocast = False

    def build(self, input_shape):
        self.kernel = None
        if self.units is not None:
            self.kernel = self.add_weight(
                (self.size, self.units), self.kernel_initializer, name="kernel"
            )

    def call(self, inputs):
        ids = ops.cast(inputs, "int32")
        present = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)
        if self.kernel is None:
            return self._counts(ids, present)
        rows = ops.take(ops.cast(self.kernel, self.compute_dtype), ids, axis=0)
        return ops.sum(rows * ops.expand_dims(present, -1), axis=2)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.size if self.units is None else self.units)

    def get_config(self):
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
        # A sum of 1-of-N vectors would need `ngrams` times the memory.
        counts = ops.scatter(places, ops.reshape(present, (-1,)), (words, self.size))
        return ops.reshape(counts, (batch, time, self.size))
