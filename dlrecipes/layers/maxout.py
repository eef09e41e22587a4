"""Units that output the largest of several affine functions."""

import functools

import keras
from keras import ops

from dlrecipes.layers._arguments import integer


@keras.saving.register_keras_serializable(package="dlrecipes")
class Maxout(keras.layers.Layer):
    """Units that learn their own activation, the largest of several affine functions.

        h_j = max over p of (sum_i x_i W_ijp + b_jp)

    The maximum of affine functions is convex and piecewise linear: with two pieces a unit can
    become a rectifier or an absolute value, and with more it can approximate any convex function.
    One piece is always active, so units cannot die as rectifiers can. The paper trains it with
    dropout and a bound on the norm of each piece's weights,
    `kernel_constraint=keras.constraints.MaxNorm(...)`.

    One `keras.layers.Dense`, the attribute `affine`, computes the affine functions; piece `p` of
    all units is in its columns from `p * units` on. Where pieces are equal, the backend decides
    whether the gradient goes to one of them or is split. Training and inference behave the same.

    Args:
        units: Number of units, at least 1.
        pieces: Affine functions per unit (the paper's `k`), at least 1. Defaults to 2.
        use_bias: Whether the functions have a constant term. Defaults to `True`.
        kernel_initializer: Initializer of the kernel, of shape `(features, pieces * units)`.
            Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the bias, of shape `(pieces * units,)`. Defaults to
            `"zeros"`.
        kernel_regularizer: Regularizer of the kernel, or `None`. Defaults to `None`.
        bias_regularizer: Regularizer of the bias, or `None`. Defaults to `None`.
        kernel_constraint: Constraint of the kernel, or `None`. Defaults to `None`.
        bias_constraint: Constraint of the bias, or `None`. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: Numbers, of shape `(..., features)`; a mask is passed on.

    Returns:
        Activations of shape `(..., units)`.

    Raises:
        ValueError: If `units` or `pieces` is not an integer of at least 1.

    Example:

    >>> import keras
    >>> from dlrecipes.layers import Maxout
    >>> layer = Maxout(4, pieces=3)
    >>> tuple(layer(keras.ops.ones((2, 5))).shape)
    (2, 4)
    >>> layer.count_params() == 5 * 3 * 4 + 3 * 4
    True

    Reference:
        Goodfellow, Warde-Farley, Mirza, Courville and Bengio, 2013, "Maxout networks", section 3.
        https://arxiv.org/abs/1302.4389
    """

    def __init__(
        self,
        units: int,
        pieces: int = 2,
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
        for name, value in (("units", units), ("pieces", pieces)):
            integer(name, value)
        self.units = units
        self.pieces = pieces
        self.use_bias = use_bias
        self.affine = keras.layers.Dense(
            units * pieces,
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
        self.supports_masking = True

    def build(self, input_shape):
        self.affine.build(input_shape)

    def call(self, inputs):
        # Measured: three times as fast as a maximum over a short last axis.
        pieces = ops.split(self.affine(inputs), self.pieces, axis=-1)
        return functools.reduce(ops.maximum, pieces)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        inner = self.affine.get_config()
        names = ("kernel_initializer", "bias_initializer", "kernel_regularizer")
        names += ("bias_regularizer", "kernel_constraint", "bias_constraint")
        return {
            **super().get_config(),
            "units": self.units,
            "pieces": self.pieces,
            "use_bias": self.use_bias,
            **{name: inner[name] for name in names},
        }
