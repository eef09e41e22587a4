"""Attention of each position of an image to all others."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class SelfAttention2D(keras.layers.Layer):
    """Adds to each position of a feature map an attention-weighted sum over all positions.

    With `x_i` the features at position `i`, and `F, G, H, V` matrices (1x1 convolutions, without a
    bias):

        s_ij = (F x_i) . (G x_j)
        o_j  = V sum_i softmax_i(s_ij) H x_i
        y_j  = gamma * o_j + x_j

    `F` and `G` give `channels / key_ratio` values per position, `H` gives `channels / value_ratio`,
    and `V` as many as there are channels. The scalar `gamma` starts at 0: the layer is initially
    the identity, its matrices have no gradient in the first step, and the attention term is added
    gradually. The defaults follow section 3 of the paper. `value_ratio=2, pool_size=2` follows its
    authors' code and BigGAN: `F x` and `H x` are max-pooled, so that a position attends to a
    quarter of the positions.

    The scores need memory quadratic in the number of positions. They and the softmax are float32 at
    least, under any dtype policy. Channels are the last axis. Training and inference behave the
    same, except for the power iteration of `spectral_normalization`.

    Args:
        key_ratio: Channels divided by the size of keys and queries, at least 1. The quotient is
            rounded down, and is at least 1. Defaults to 8.
        value_ratio: Channels divided by the size of the values, at least 1, rounded in the same
            way. Defaults to 8.
        pool_size: Height and width of the max-pooling windows of keys and values, at least 1; 1
            disables pooling. Incomplete windows at the border are included. Defaults to 1.
        spectral_normalization: Whether to wrap the four projections in
            `keras.layers.SpectralNormalization`. Defaults to `False`.
        kernel_initializer: Initializer of the four kernels. Defaults to `"glorot_uniform"`.
        gamma_initializer: Initializer of `gamma`. Defaults to `"zeros"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Features of shape `(batch, height, width, channels)`; height and width may be
            unknown.
        training: Whether to update the power iteration of `spectral_normalization`. Defaults to
            `None`, which leaves it to Keras.

    Returns:
        Features of the inputs' shape.

    Raises:
        ValueError: If `key_ratio`, `value_ratio` or `pool_size` is not an integer of at
            least 1, or the number of channels is unknown.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import SelfAttention2D
    >>> x = keras.ops.ones((2, 6, 4, 16))
    >>> layer = SelfAttention2D()
    >>> y = layer(x)
    >>> tuple(y.shape), float(keras.ops.max(y - x))
    ((2, 6, 4, 16), 0.0)
    >>> layer.count_params()  # 16 * 2 four times, and gamma
    129

    Reference:
        Zhang, Goodfellow, Metaxas and Odena, 2019, "Self-attention generative adversarial
        networks", section 3, equations 1 to 3. https://arxiv.org/abs/1805.08318
    """

    def __init__(
        self,
        key_ratio: int = 8,
        value_ratio: int = 8,
        pool_size: int = 1,
        spectral_normalization: bool = False,
        kernel_initializer="glorot_uniform",
        gamma_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {"key_ratio": key_ratio, "value_ratio": value_ratio, "pool_size": pool_size}
        for name, size in sizes.items():
            integer(name, size)
        self.key_ratio = key_ratio
        self.value_ratio = value_ratio
        self.pool_size = pool_size
        self.spectral_normalization = spectral_normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"the number of channels must be known, not {tuple(input_shape)}.")
        keys, values = (max(1, channels // r) for r in (self.key_ratio, self.value_ratio))
        self.key = self._projection("key", keys, input_shape)
        self.query = self._projection("query", keys, input_shape)
        self.value = self._projection("value", values, input_shape)
        self.output_projection = self._projection(
            "output_projection", channels, (*input_shape[:-1], values)
        )
        self.gamma = self.add_weight((), self.gamma_initializer, name="gamma")

    def call(self, inputs, training=None):
        exact = keras.backend.result_type(inputs.dtype, "float32")
        query = self._positions(self.query(inputs, training=training))
        key = self._positions(self._pooled(self.key(inputs, training=training)))
        value = self._positions(self._pooled(self.value(inputs, training=training)))
        scores = ops.matmul(ops.cast(query, exact), ops.transpose(ops.cast(key, exact), (0, 2, 1)))
        attended = ops.matmul(ops.cast(ops.softmax(scores, axis=-1), value.dtype), value)
        shape = ops.shape(inputs)
        attended = ops.reshape(attended, (-1, shape[1], shape[2], value.shape[-1]))
        return self.gamma * self.output_projection(attended, training=training) + inputs

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "key_ratio": self.key_ratio,
            "value_ratio": self.value_ratio,
            "pool_size": self.pool_size,
            "spectral_normalization": self.spectral_normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }

    def _projection(self, name, filters, input_shape):
        # A new initializer for each kernel: an instance without a seed repeats its values.
        initializer = keras.initializers.serialize(self.kernel_initializer)
        layer = keras.layers.Conv2D(
            filters,
            1,
            use_bias=False,
            kernel_initializer=initializer,
            data_format="channels_last",
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name=name,
        )
        if self.spectral_normalization:
            layer = keras.layers.SpectralNormalization(
                layer,
                dtype=self.dtype_policy,
                trainable=self.trainable,
                name=f"{name}_normalization",
            )
        layer.build(input_shape)
        return layer

    def _pooled(self, x):
        if self.pool_size == 1:
            return x
        # With explicit strides, since the default of Keras 3.15 is wrong on JAX.
        size = self.pool_size
        return ops.max_pool(x, size, size, padding="same", data_format="channels_last")

    def _positions(self, x):
        """Joins height and width into one axis."""
        return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))
