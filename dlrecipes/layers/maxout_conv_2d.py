"""A convolution that answers the largest of several filters."""

import functools

import keras
from keras import ops

from dlrecipes.layers._arguments import integer, padding_mode, pair


@keras.saving.register_keras_serializable(package="dlrecipes")
class MaxoutConv2D(keras.layers.Layer):
    """Convolves with several filters an output channel and keeps the largest answer.

        h_c(y, x) = max over p of (sum over the window of inputs * W_cp, plus b_cp)

    It is `Maxout` at each position with shared weights. The maximum is over filters and not
    over positions: for the paper's networks a `keras.layers.MaxPooling2D` follows. Images are
    channels last.

    The filters are those of one `keras.layers.Conv2D`, the attribute `affine`: the channels'
    piece `p` is in its filters from `p * filters` on. Where pieces are equal, the gradient goes
    to one or is shared, as the backend does it. Training and inference do the same.

    Args:
        filters: Channels of the output, at least 1.
        kernel_size: Height and width of the window in pixels, one integer or two.
        pieces: Filters for each output channel (the paper's `k`), at least 1.
        strides: Steps of the window in pixels, one integer or two.
        padding: `"valid"`, or `"same"` for zeros around the image.
        dilation_rate: Distance of the window's pixels, one integer or two; where it is not 1,
            `strides` must be 1.
        use_bias: Whether the filters have a constant term.
        kernel_initializer: Initializer of the kernel, of shape
            `(height, width, channels, pieces * filters)`.
        bias_initializer: Initializer of the bias, of shape `(pieces * filters,)`.
        kernel_regularizer: Regularizer of the kernel, or `None`.
        bias_regularizer: Regularizer of the bias, or `None`.
        kernel_constraint: Constraint of the kernel, or `None`; a bound on each filter's norm is
            `keras.constraints.MaxNorm(..., axis=(0, 1, 2))`.
        bias_constraint: Constraint of the bias, or `None`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`; height and width may be
            unknown.

    Returns:
        Activations of shape `(batch, new height, new width, filters)`.

    Raises:
        ValueError: If `filters`, `pieces`, `kernel_size`, `strides` or `dilation_rate` is not
            made of integers of at least 1, `padding` is not one of those named, strides and
            dilation are both above 1, or the image is smaller than the window.

    Example:

    >>> layer = MaxoutConv2D(4, 3, pieces=2, padding="same")
    >>> tuple(layer(keras.ops.ones((1, 6, 5, 3))).shape)
    (1, 6, 5, 4)

    Reference:
        Goodfellow, Warde-Farley, Mirza, Courville and Bengio, 2013, "Maxout networks",
        section 3, the maximum over channels.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        pieces: int = 2,
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        dilation_rate: int | tuple[int, int] = 1,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("filters", filters), ("pieces", pieces)):
            integer(name, value)
        self.filters = filters
        self.kernel_size = kernel_size
        self.pieces = pieces
        self.strides = strides
        self.padding = padding
        self.dilation_rate = dilation_rate
        self.use_bias = use_bias
        self.affine = keras.layers.Conv2D(
            filters * pieces,
            pair("kernel_size", kernel_size),
            strides=pair("strides", strides),
            padding=padding_mode(padding),
            data_format="channels_last",
            dilation_rate=pair("dilation_rate", dilation_rate),
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="affine",
        )
        self.kernel_initializer = self.affine.kernel_initializer
        self.bias_initializer = self.affine.bias_initializer
        self.kernel_regularizer = self.affine.kernel_regularizer
        self.bias_regularizer = self.affine.bias_regularizer
        self.kernel_constraint = self.affine.kernel_constraint
        self.bias_constraint = self.affine.bias_constraint

    def build(self, input_shape):
        """Creates the weights for images of shape `(batch, height, width, channels)`."""
        conv = self.affine
        reach = [(n - 1) * d + 1 for n, d in zip(conv.kernel_size, conv.dilation_rate, strict=True)]
        sizes = zip(input_shape[1:3], reach, strict=True)
        if self.padding == "valid" and any(size is not None and size < n for size, n in sizes):
            raise ValueError(
                f"images must be at least {reach[0]} by {reach[1]} pixels, "
                f"not {input_shape[1]} by {input_shape[2]}."
            )
        conv.build(input_shape)

    def call(self, inputs):
        """Returns the largest piece of each channel."""
        # Measured: three times as fast as a maximum over a short last axis.
        pieces = ops.split(self.affine(inputs), self.pieces, axis=-1)
        return functools.reduce(ops.maximum, pieces)

    def compute_output_shape(self, input_shape):
        """Returns the convolution's shape with `filters` channels."""
        return (*self.affine.compute_output_shape(input_shape)[:-1], self.filters)

    def get_config(self):
        """Returns the constructor's arguments."""
        inner = self.affine.get_config()
        names = ("kernel_initializer", "bias_initializer", "kernel_regularizer")
        names += ("bias_regularizer", "kernel_constraint", "bias_constraint")
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "pieces": self.pieces,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            **{name: inner[name] for name in names},
        }
