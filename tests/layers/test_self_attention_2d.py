import keras
import numpy as np
import pytest
from contract import gradients, on_tensorflow

from dlrecipes.layers import SelfAttention2D

X = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype("float32")


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def model(shape=(None, None, 8), **kwargs):
    inputs = keras.Input(shape)
    layer = SelfAttention2D(**kwargs)
    return keras.Model(inputs, layer(inputs)), layer


def pooled(image, size):
    """The maximum of each channel in windows that start at the upper left corner."""
    rows = [image[i : i + size] for i in range(0, len(image), size)]
    return [
        row[:, j : j + size].reshape(-1, image.shape[-1]).max(axis=0)
        for row in rows
        for j in range(0, image.shape[1], size)
    ]


def by_hand(x, key, query, value, output, gamma, pool=1):
    """The equations, position by position."""
    y = np.array(x, "float64")
    for example in range(len(x)):
        keys, values = pooled(x[example] @ key, pool), pooled(x[example] @ value, pool)
        for position in np.ndindex(x.shape[1:3]):
            scores = [float(k @ (x[example][position] @ query)) for k in keys]
            weights = np.exp(scores) / np.sum(np.exp(scores))
            attended = sum(w * v for w, v in zip(weights, values, strict=True))
            y[example][position] += gamma * (attended @ output)
    return y


@pytest.mark.parametrize("pool_size", [1, 2])
@pytest.mark.parametrize("value_ratio", [8, 2])
def test_outputs_equal_the_equations_position_by_position(pool_size, value_ratio):
    _, layer = model(key_ratio=4, value_ratio=value_ratio, pool_size=pool_size)
    layer.gamma.assign(0.7)
    x = X[:, :, :3] if pool_size == 1 else X[:, :2]  # 2 x 4 positions make 1 x 2 windows.
    projections = (layer.key, layer.query, layer.value, layer.output_projection)
    kernels = [numpy(projection.kernel)[0, 0] for projection in projections]
    sizes = [(8, 2), (8, 2), (8, 8 // value_ratio), (8 // value_ratio, 8)]
    assert [kernel.shape for kernel in kernels] == sizes
    expected = by_hand(x, *kernels, 0.7, pool_size)
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-5)


def test_it_starts_as_the_identity_with_a_gradient_only_for_gamma():
    whole, _ = model()
    np.testing.assert_array_equal(numpy(whole(X)), X)
    weights = whole.trainable_weights
    computed = gradients(lambda: keras.ops.sum(whole(X) ** 2), variables=weights)
    for weight, gradient in zip(weights, computed, strict=True):
        assert np.any(gradient != 0) == weight.path.endswith("gamma")


def test_an_odd_border_is_pooled():
    _, layer = model(key_ratio=1, value_ratio=1, pool_size=2, gamma_initializer="ones")
    for projection in (layer.key, layer.query, layer.value, layer.output_projection):
        projection.kernel.assign(np.eye(8).reshape(1, 1, 8, 8))
    x = np.zeros((1, 3, 1, 8), "float32")
    x[0, 2, 0] = 1
    # The last position attends to itself, in its own window, with a score of 8; the other window
    # contains zeros. The first position has a score of 0 with both.
    alone = np.exp(8) / (1 + np.exp(8))
    expected = np.array([0.5, 0.5, 1 + alone])
    np.testing.assert_allclose(numpy(layer(x))[0, :, 0, 0], expected, atol=1e-6)


def test_few_channels_give_one_value_per_position():
    _, layer = model((None, None, 3))
    assert layer.key.filters == layer.query.filters == layer.value.filters == 1


def test_projections_start_different_from_one_another():
    _, layer = model(kernel_initializer=keras.initializers.RandomNormal())
    assert np.all(numpy(layer.key.kernel) != numpy(layer.query.kernel))


@on_tensorflow
def test_spectral_normalization_makes_the_norm_of_each_projection_1():
    _, layer = model(key_ratio=2, spectral_normalization=True)
    projections = (layer.key, layer.query, layer.value, layer.output_projection)
    for projection in projections:
        projection.layer.kernel.assign(5 * numpy(projection.layer.kernel))
    for _ in range(50):
        layer(X, training=True)
    for projection in projections:
        norms = np.linalg.svd(numpy(projection.layer.kernel)[0, 0], compute_uv=False)
        np.testing.assert_allclose(norms[0], 1, atol=1e-3)


@pytest.mark.parametrize("name", ["key_ratio", "value_ratio", "pool_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, None])
def test_invalid_sizes_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        SelfAttention2D(**{name: value})


def test_unknown_channels_raise():
    with pytest.raises(ValueError, match="channels must be known"):
        SelfAttention2D()(keras.Input((4, 4, None)))
