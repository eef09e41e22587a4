import keras
import numpy as np
import pytest

from dlrecipes.layers import FixedKernelConv2D
from dlrecipes.layers.fixed_kernel_conv_2d import KERNELS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 7, 3)).astype("float32")
OWN = [[1.0, 2.0], [3.0, -4.0], [0.5, 0.0]]


def by_hand(x, kernel, stride=1):
    height, width = kernel.shape
    rows, columns = (x.shape[1] - height) // stride + 1, (x.shape[2] - width) // stride + 1
    y = np.zeros((len(x), rows, columns, x.shape[3]))
    for i in range(rows):
        for j in range(columns):
            for p in range(height):
                for q in range(width):
                    y[:, i, j] += kernel[p, q] * x[:, i * stride + p, j * stride + q]
    return y


@pytest.mark.parametrize("name", KERNELS)
def test_each_channel_is_filtered_independently(name):
    y = np.array(FixedKernelConv2D(name)(X))
    np.testing.assert_allclose(y, by_hand(X, KERNELS[name]), atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("flip", [False, True])
def test_custom_kernels_with_strides_and_flipping(stride, flip):
    kernel = np.array(OWN)[::-1, ::-1] if flip else np.array(OWN)
    y = np.array(FixedKernelConv2D(OWN, stride, flip=flip)(X))
    np.testing.assert_allclose(y, by_hand(X, kernel, stride), atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_it_equals_keras_depthwise_convolution(stride, padding):
    ours = FixedKernelConv2D(OWN, stride, padding)
    theirs = keras.layers.DepthwiseConv2D((3, 2), stride, padding, use_bias=False)
    theirs.build(X.shape)
    theirs.set_weights([np.array(OWN)[:, :, None, None].repeat(3, axis=2)])
    y = np.array(theirs(X))
    np.testing.assert_allclose(np.array(ours(X)), y, atol=1e-5)
    assert ours.compute_output_shape(X.shape) == y.shape


@pytest.mark.parametrize("name", KERNELS)
def test_edge_kernels_are_zero_on_flat_images_and_others_preserve_them(name):
    edges = name.startswith(("edges", "prewitt", "sobel", "scharr"))
    y = np.array(FixedKernelConv2D(name)(np.full((1, 5, 5, 2), 4.0, "float32")))
    np.testing.assert_allclose(y, 0.0 if edges else 4.0, atol=1e-5)


@pytest.mark.parametrize("name", ["prewitt", "sobel", "scharr"])
def test_direction_and_sign_of_edges(name):
    bright_left = np.zeros((1, 5, 6, 1), "float32")
    bright_left[:, :, :3] = 1
    bright_above = bright_left[:, :, 1:].transpose(0, 2, 1, 3)
    vertical, horizontal = FixedKernelConv2D(f"{name}_vertical"), f"{name}_horizontal"
    assert np.array(vertical(bright_left)).max() > 0
    assert np.array(vertical(bright_left)).min() == 0
    np.testing.assert_array_equal(np.array(vertical(bright_above)), 0)
    assert np.array(FixedKernelConv2D(horizontal)(bright_above)).max() > 0
    np.testing.assert_array_equal(np.array(FixedKernelConv2D(horizontal)(bright_left)), 0)


def test_identity_returns_the_image():
    np.testing.assert_array_equal(np.array(FixedKernelConv2D(padding="same")(X)), X)


def test_sharpen_is_the_image_minus_its_laplacian():
    edges = np.array(FixedKernelConv2D("edges_4")(X))
    sharp = np.array(FixedKernelConv2D("sharpen")(X))
    np.testing.assert_allclose(sharp, X[:, 1:-1, 1:-1] - edges, atol=1e-5)


def test_laplacian_of_a_parabola_is_its_second_derivative():
    rows, columns = np.meshgrid(np.arange(6.0), np.arange(7.0), indexing="ij")
    # The second derivatives of 3 a^2 + b^2 sum to 8, and the mixed one of a b is 1.
    parabola = (3 * rows**2 + columns**2)[None, :, :, None]
    np.testing.assert_allclose(np.array(FixedKernelConv2D("edges_4")(parabola)), 8, atol=1e-4)
    saddle = (rows * columns)[None, :, :, None]
    mixed = np.array(FixedKernelConv2D("edges_diagonal")(saddle))
    # The kernel spans two steps in each direction.
    np.testing.assert_allclose(mixed, 2 * 2, atol=1e-4)


def test_two_blurs_by_gaussian_3_equal_one_by_gaussian_5():
    small, large = FixedKernelConv2D("gaussian_blur"), FixedKernelConv2D("gaussian_blur_5")
    np.testing.assert_allclose(np.array(small(small(X))), np.array(large(X)), atol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
def test_flipping_changes_the_sign_of_directional_kernels_only(name):
    sign = -1 if name.startswith(("prewitt", "sobel", "scharr")) else 1
    np.testing.assert_allclose(
        np.array(FixedKernelConv2D(name, flip=True)(X)),
        sign * np.array(FixedKernelConv2D(name)(X)),
        atol=1e-4,
    )


def test_it_has_no_weights_and_accepts_integers():
    layer = FixedKernelConv2D("edges_4")
    y = layer(np.arange(25, dtype="int32").reshape(1, 5, 5, 1) ** 2)
    assert layer.weights == []
    # (n - 5)^2 + (n - 1)^2 + (n + 1)^2 + (n + 5)^2 - 4 n^2 = 2 (5^2 + 1^2)
    np.testing.assert_array_equal(np.array(y), 52.0)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"kernel": "edge"}, "kernel must be numbers or one of .*edges_4.*, not 'edge'"),
        ({"kernel": [1, 2, 1]}, "kernel must be numbers of shape"),
        ({"kernel": [[]]}, "kernel must be numbers of shape"),
        ({"strides": (1, 2)}, "strides must be an integer"),
        ({"strides": 0}, "strides must be an integer"),
        ({"padding": "full"}, "padding must be 'valid' or 'same'"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        FixedKernelConv2D(**kwargs)


def test_images_smaller_than_the_kernel_raise():
    with pytest.raises(ValueError, match=r"as large as the window, \(3, 3\)"):
        FixedKernelConv2D(np.ones((3, 3)), padding="valid")(np.zeros((1, 2, 2, 1), "float32"))
