"""Batch normalisation whose gain and bias depend on a class or on a vector."""

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, number

EXPECTED_INPUTS = "inputs must be a list of features and condition"


@keras.saving.register_keras_serializable(package="dlrecipes")
class ConditionalBatchNormalization(keras.layers.Layer):
    """Normalises each channel, then scales and shifts it by functions of a condition.

        y = (1 + gain(c)) * (x - mean) / sqrt(variance + epsilon) + bias(c)

    With `num_classes` the condition `c` is a class id, and `gain` and `bias` are tables with a row
    for each class. Otherwise it is a vector, and they are linear maps of it, without a constant, as
    in BigGAN. With the default initializers every condition starts as plain batch normalisation; a
    learned condition vector has no gradient in that first step.

    In training, mean and variance are computed from the batch, over all axes except the last, and
    the moving ones are updated; inference uses the moving ones. As with
    `keras.layers.BatchNormalization`, `trainable = False` means inference, and the normalisation is
    computed in float32 at least. Channels are the last axis.

    Args:
        num_classes: Number of classes, at least 1, for conditions that are ids; `None` for vectors.
            Defaults to `None`.
        momentum: Momentum of the moving statistics, in [0, 1]. Defaults to 0.99.
        epsilon: Number added to the variance, above 0. Defaults to 1e-3.
        gain_initializer: Initializer of `gain`, of shape `(num_classes or size, channels)`.
            Defaults to `"zeros"`.
        bias_initializer: Initializer of `bias`, of the same shape. Defaults to `"zeros"`.
        spectral_normalization: Whether to wrap both maps in `keras.layers.SpectralNormalization`,
            as in BigGAN. The maps must not start at zero then: the wrapper would turn the first
            small update into a map of norm 1. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: List of features of shape `(batch, ..., channels)` and the condition: integer ids of
            shape `(batch,)`, in [0, num_classes), or vectors of shape `(batch, size)`. Sizes other
            than `channels` and `size` may be unknown.
        training: Whether to normalise with the batch's own statistics and to update the moving
            ones. Defaults to `None`, which leaves it to Keras.

    Returns:
        Features of the first input's shape.

    Raises:
        ValueError: If `num_classes`, `momentum` or `epsilon` is out of bounds, or the condition is
            missing or does not have the rank that `num_classes` requires.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import ConditionalBatchNormalization
    >>> layer = ConditionalBatchNormalization(num_classes=10)
    >>> x, ids = keras.ops.ones((2, 8, 8, 3)), keras.ops.array([4, 9])
    >>> tuple(layer([x, ids]).shape)
    (2, 8, 8, 3)
    >>> layer = ConditionalBatchNormalization()
    >>> tuple(layer([x, keras.ops.ones((2, 16))]).shape)
    (2, 8, 8, 3)
    >>> layer.count_params()  # two maps, moving mean and moving variance
    102

    Reference:
        Dumoulin, Shlens and Kudlur, 2017, "A learned representation for artistic style", section
        2.2, equation 5, for a table with a row per style. https://arxiv.org/abs/1610.07629
        de Vries, Strub, Mary, Larochelle, Pietquin and Courville, 2017, "Modulating early visual
        processing by language", section 3, for offsets to gain and bias.
        https://arxiv.org/abs/1707.00683
        Brock, Donahue and Simonyan, 2019, "Large scale GAN training for high fidelity natural image
        synthesis", section 3 and appendix B, for linear maps. https://arxiv.org/abs/1809.11096
    """

    def __init__(
        self,
        num_classes: int | None = None,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        gain_initializer="zeros",
        bias_initializer="zeros",
        spectral_normalization: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes is not None:
            integer("num_classes", num_classes)
        number("momentum", momentum, "in [0, 1]", lambda x: 0 <= x <= 1)
        number("epsilon", epsilon, "above 0", lambda x: x > 0)
        self.num_classes = num_classes
        self.momentum = momentum
        self.epsilon = epsilon
        self.gain_initializer = keras.initializers.get(gain_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.spectral_normalization = spectral_normalization

    def build(self, input_shape):
        if not isinstance(input_shape[0], list | tuple):
            raise ValueError(f"{EXPECTED_INPUTS}, not one tensor of shape {tuple(input_shape)}.")
        features, condition = _both(input_shape)
        if len(condition) != (2 if self.num_classes is None else 1):
            expected = "(batch, size)" if self.num_classes is None else "(batch,) for class ids"
            raise ValueError(f"the condition must be of shape {expected}, not {tuple(condition)}.")
        self.normalization = keras.layers.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            center=False,
            scale=False,
            trainable=self.trainable,
            dtype=self.dtype_policy,
            name="normalization",
        )
        self.normalization.build(features)
        size = condition[-1] if self.num_classes is None else self.num_classes
        self.gain = self._map("gain", size, features[-1], self.gain_initializer)
        self.bias = self._map("bias", size, features[-1], self.bias_initializer)

    def call(self, inputs, training=None):
        x, condition = _both(inputs)
        if self.num_classes is not None:
            condition = ops.one_hot(condition, self.num_classes, dtype=self.compute_dtype)
        normalized = self.normalization(x, training=training)
        gain, bias = (layer(condition, training=training) for layer in (self.gain, self.bias))
        shape = (-1, *(1 for _ in x.shape[1:-1]), x.shape[-1])
        exact = keras.backend.result_type(normalized.dtype, "float32")
        gain, bias = (ops.reshape(ops.cast(x, exact), shape) for x in (gain, bias))
        return ops.cast((1 + gain) * ops.cast(normalized, exact) + bias, normalized.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gain_initializer": keras.initializers.serialize(self.gain_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "spectral_normalization": self.spectral_normalization,
        }

    def _map(self, name, size, channels, initializer):
        # A new initializer for each map: an instance without a seed repeats its values.
        initializer = keras.initializers.serialize(initializer)
        common = {"trainable": self.trainable, "dtype": self.dtype_policy, "name": name}
        layer = keras.layers.Dense(
            channels, use_bias=False, kernel_initializer=initializer, **common
        )
        if self.spectral_normalization:
            common["name"] = f"{name}_normalization"
            layer = keras.layers.SpectralNormalization(layer, **common)
        layer.build((None, size))
        return layer


def _both(inputs):
    if not isinstance(inputs, list | tuple) or len(inputs) != 2:
        received = f"{len(inputs)} tensors" if isinstance(inputs, list | tuple) else "one tensor"
        raise ValueError(f"{EXPECTED_INPUTS}, not {received}.")
    return inputs
