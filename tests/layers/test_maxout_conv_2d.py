import keras
import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import Maxout, MaxoutConv2D

X = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")


def by_hand(x, kernel, bias, filters, pieces, strides=(1, 1), dilation=(1, 1)):
    high, wide = kernel.shape[:2]
    reach = [(size - 1) * step + 1 for size, step in zip((high, wide), dilation, strict=True)]
    rows = range(0, x.shape[1] - reach[0] + 1, strides[0])
    columns = range(0, x.shape[2] - reach[1] + 1, strides[1])
    y = np.empty((len(x), len(rows), len(columns), filters))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            window = x[:, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
            for c in range(filters):
                every = [p * filters + c for p in range(pieces)]
                sums = [np.sum(window * kernel[..., f], axis=(1, 2, 3)) + bias[f] for f in every]
                y[:, i, j, c] = np.max(sums, axis=0)
    return y


@pytest.mark.parametrize(
    "options", [{}, {"strides": (2, 1)}, {"dilation_rate": 2}], ids=["plain", "strides", "dilation"]
)
def test_outputs_equal_loops_over_windows_and_pieces(options):
    layer = MaxoutConv2D(2, (3, 2), pieces=3, bias_initializer="random_normal", **options)
    y = ops.convert_to_numpy(layer(X))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (3, 2, 3, 6)
    step, gap = options.get("strides", (1, 1)), (options.get("dilation_rate", 1),) * 2
    np.testing.assert_allclose(y, by_hand(X, kernel, bias, 2, 3, step, gap), atol=1e-5)


def test_same_padding_is_zeros_around_the_image():
    layer = MaxoutConv2D(2, 3, padding="same", bias_initializer="random_normal")
    y = ops.convert_to_numpy(layer(X))
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0)))
    np.testing.assert_allclose(y, by_hand(padded, *layer.get_weights(), 2, 2), atol=1e-5)


def test_a_one_pixel_window_is_maxout_at_each_position():
    conv, dense = MaxoutConv2D(2, 1, pieces=2), Maxout(2, pieces=2)
    dense.build((None, 3))
    y = ops.convert_to_numpy(conv(X))
    kernel, bias = conv.get_weights()
    dense.set_weights([kernel[0, 0], bias])
    np.testing.assert_allclose(y, ops.convert_to_numpy(dense(X)), atol=1e-5)


@pytest.mark.parametrize(
    ("padding", "expected"), [("valid", (None, 3, 2, 4)), ("same", (None, 4, 3, 4))]
)
def test_output_shape_is_known_before_the_layer_is_built(padding, expected):
    layer = MaxoutConv2D(4, 3, strides=2, padding=padding)
    # (7 - 3) / 2 + 1 and (6 - 3) // 2 + 1; 7 / 2 and 6 / 2 rounded up.
    assert tuple(layer.compute_output_shape((None, 7, 6, 3))) == expected
    assert MaxoutConv2D(4, 3)(keras.Input((None, None, 3))).shape == (None, None, None, 4)


def test_regularizers_and_constraints_survive_a_round_trip():
    layer = MaxoutConv2D(
        1, 2, kernel_initializer="ones", kernel_regularizer="l1", bias_constraint="non_neg"
    )
    restored = MaxoutConv2D.from_config(layer.get_config())
    restored.build((None, 4, 4, 3))
    # 2 x 2 x 3 x 2 ones, each times Keras' 0.01.
    np.testing.assert_allclose(float(restored.losses[0]), 0.24, rtol=1e-5)
    assert isinstance(restored.affine.bias.constraint, keras.constraints.NonNeg)


@pytest.mark.parametrize(
    ("kwargs", "name"),
    [
        ({"filters": 0, "kernel_size": 3}, "filters"),
        ({"filters": 2, "kernel_size": 3, "pieces": 0}, "pieces"),
        ({"filters": 2, "kernel_size": (3, 3, 3)}, "kernel_size"),
        ({"filters": 2, "kernel_size": 3, "strides": 0}, "strides"),
        ({"filters": 2, "kernel_size": 3, "dilation_rate": 0}, "dilation_rate"),
        ({"filters": 2, "kernel_size": 3, "padding": "causal"}, "padding"),
        ({"filters": 2, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, "dilation_rate"),
    ],
)
def test_invalid_arguments_raise(kwargs, name):
    with pytest.raises(ValueError, match=name):
        MaxoutConv2D(**kwargs)


@pytest.mark.parametrize(("kwargs", "size"), [({}, 3), ({"dilation_rate": 2}, 5)])
def test_image_smaller_than_the_window_raises(kwargs, size):
    with pytest.raises(ValueError, match=f"at least {size} by {size} pixels, not {size - 1} by 9"):
        MaxoutConv2D(2, 3, **kwargs).build((None, size - 1, 9, 3))
    MaxoutConv2D(2, 3, **kwargs).build((None, size, 9, 3))
    MaxoutConv2D(2, 3, padding="same", **kwargs).build((None, size - 1, 9, 3))
