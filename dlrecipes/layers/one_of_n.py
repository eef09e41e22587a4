"""The 1-of-N encoding of words."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class OneOfN(keras.layers.Layer):
    """Encodes each id as a vector that is 1 in its own column and 0 elsewhere.

    Column `k` stands for id `k`. Id 1 is 'other', for all words outside the vocabulary. Id 0 is
    padding: it becomes the zero vector, so that column 0 is always zero, and is masked for the
    layers that follow. Training and inference behave the same.

    Args:
        size: Number of ids and of columns, including padding and 'other', at least 2.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Integer ids of shape `(batch, time)`, in [0, size).

    Returns:
        Vectors of shape `(batch, time, size)`.

    Raises:
        ValueError: If `size` is not an integer of at least 2.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import OneOfN
    >>> layer = OneOfN(4)
    >>> keras.ops.convert_to_numpy(layer(keras.ops.array([[3, 1, 0]]))).tolist()
    [[[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]

    Reference:
        Bengio, Ducharme, Vincent and Jauvin, 2003, "A neural probabilistic language model", section
        2, where a word's index selects one row of a matrix: this vector times the matrix.
    """

    def __init__(self, size: int, **kwargs):
        super().__init__(**kwargs)
        integer("size", size, 2)
        self.size = size
        self.supports_masking = True
        # Ids given as floats would be rounded under a 16-bit policy.
        self.autocast = False

    def call(self, inputs):
        ids = ops.cast(inputs, "int32")
        real = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)
        vectors = ops.one_hot(ids, self.size, dtype=self.compute_dtype)
        return vectors * ops.expand_dims(real, -1)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.size)

    def get_config(self):
        return {**super().get_config(), "size": self.size}
