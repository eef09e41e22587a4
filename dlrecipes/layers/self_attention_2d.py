"""Attention of each place of an image to all others."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class SelfAttention2D(keras.layers.Layer):
    """Adds to each place of a feature map what it finds, by likeness, at all others.

    With `x_i` the features at place `i`, and `F, G, H, V` matrices (1x1 convolutions, without
    a bias):

        s_ij = (F x_i) . (G x_j)
        o_j  = V sum_i softmax_i(s_ij) H x_i
        y_j  = gamma * o_j + x_j

    `F` and `G` give `channels / key_ratio` values a place, `H` gives `channels / value_ratio`,
    and `V` as many as there are channels. The scalar `gamma` starts at 0: the layer is
    the identity at first, its matrices have no gradient in the very first step, and what is
    far away comes in gradually. The defaults are the paper's section 3. `value_ratio=2,
    pool_size=2` is what its authors' code and BigGAN do: `F x` and `H x` are max-pooled, so
    that a place looks at a quarter of the places.

    The scores take memory for the square of the number of places. They and the softmax are
    float32 at least, whatever the dtype policy. Channels are the last axis. Training and
    inference do the same, but for the power iteration of `spectral_normalization`.

    Args:
        key_ratio: Channels divided by the size of keys and queries, at least 1. The
            quotient is rounded down, and is at least 1.
        value_ratio: Channels divided by the size of the values, likewise.
        pool_size: Height and width that keys and values are max-pooled by, at least 1; 1 is
            no pooling. What remains at the border is pooled too.
        spectral_normalization: Whether the four kernels are within
            `keras.layers.SpectralNormalization`.
        kernel_initializer: Initializer of the four kernels.
        gamma_initializer: Initializer of `gamma`.

    Call arguments:
        inputs: Features of shape `(batch, height, width, channels)`; height and width may be
            unknown.

    Returns:
        Features of the inputs' shape.

    Raises:
        ValueError: If `key_ratio`, `value_ratio` or `pool_size` is not an integer of at
            least 1, or the number of channels is unknown.

    Example:

    >>> x = keras.ops.ones((2, 6, 4, 16))
    >>> layer = SelfAttention2D()
    >>> y = layer(x)
    >>> tuple(y.shape), float(keras.ops.max(y - x))
    ((2, 6, 4, 16), 0.0)
    >>> layer.count_params()  # 16 * 2 four times, and gamma
    129

    Reference:
        Zhang, Goodfellow, Metaxas and Odena, 2019, "Self-attention generative adversarial
        networks", section 3, equations 1 to 3.
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
        """Creates the projections of features of shape `(batch, height, width, channels)`."""
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
        """Returns the features with what each place attends to."""
        exact = keras.backend.result_type(inputs.dtype, "float32")
        query = self._places(self.query(inputs, training=training))
        key = self._places(self._pooled(self.key(inputs, training=training)))
        value = self._places(self._pooled(self.value(inputs, training=training)))
        scores = ops.matmul(ops.cast(query, exact), ops.transpose(ops.cast(key, exact), (0, 2, 1)))
        attended = ops.matmul(ops.cast(ops.softmax(scores, axis=-1), value.dtype), value)
        shape = ops.shape(inputs)
        attended = ops.reshape(attended, (-1, shape[1], shape[2], value.shape[-1]))
        return self.gamma * self.output_projection(attended, training=training) + inputs

    def compute_output_shape(self, input_shape):
        """Returns the inputs' own shape."""
        return tuple(input_shape)

    def get_config(self):
        """Returns the constructor's arguments."""
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
        # An initializer of its own: one without a seed gives the same values at each call.
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
        # With its strides, which Keras 3.15 gets wrong by itself on JAX.
        size = self.pool_size
        return ops.max_pool(x, size, size, padding="same", data_format="channels_last")

    def _places(self, x):
        """Joins height and width into one axis."""
        return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))
