import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import RBFOutput

RNG = np.random.default_rng(0)


def by_hand(x, prototypes):
    return np.array(
        [[sum((a - w) ** 2 for a, w in zip(r, p, strict=True)) for p in prototypes] for r in x]
    )


def test_outputs_are_squared_distances():
    x = RNG.normal(size=(3, 5)).astype("float32")
    prototypes = RNG.normal(size=(4, 5)).astype("float32")
    y = np.array(RBFOutput(4, prototypes)(x))
    np.testing.assert_allclose(y, by_hand(x, prototypes), rtol=1e-5)


def test_the_nearest_prototype_has_the_smallest_output():
    prototypes = np.where(RNG.random((10, 84)) < 0.5, -1, 1)
    x = (prototypes + 0.3 * RNG.normal(size=(10, 84))).astype("float32")
    y = np.array(RBFOutput(10, prototypes)(x))
    np.testing.assert_array_equal(y.argmin(axis=1), np.arange(10))


def test_each_flipped_bit_adds_four():
    prototype = np.where(RNG.random((1, 84)) < 0.5, -1, 1)
    x = prototype.astype("float32")
    x[0, :7] *= -1
    assert float(RBFOutput(1, prototype)(x)[0, 0]) == 7 * (1 - -1) ** 2


def test_small_distances_between_large_vectors_are_exact():
    prototypes = np.array([[1000.0, -1000.0]])
    x = np.array([[1000.25, -1000.0]], "float32")
    assert float(RBFOutput(1, prototypes)(x)[0, 0]) == 0.25**2


def test_prototypes_are_fixed_by_default():
    fixed, trained = RBFOutput(4), RBFOutput(4, trainable_prototypes=True)
    for layer in (fixed, trained):
        layer.build((None, 84))
        assert layer.count_params() == 4 * 84
    assert fixed.trainable_weights == []
    assert len(trained.trainable_weights) == 1


def test_random_prototypes_are_balanced_signs_and_repeat_with_the_seed():
    layers = [RBFOutput(50, seed=seed) for seed in (1, 1, 2)]
    for layer in layers:
        layer.build((None, 84))
    first, repeated, other = (np.array(layer.kernel) for layer in layers)
    assert set(np.unique(first)) == {-1.0, 1.0}
    # 4,200 fair coin flips: the mean of the signs has a standard deviation of 0.015.
    assert abs(first.mean()) < 0.08
    np.testing.assert_array_equal(first, repeated)
    assert np.any(first != other)


def test_gradient_points_away_from_the_prototype():
    x = RNG.normal(size=(1, 3)).astype("float32")
    layer = RBFOutput(1, [[1.0, -1.0, 1.0]], trainable_prototypes=True)
    layer.build(x.shape)
    in_x, in_w = gradients(lambda z: keras.ops.sum(layer(z)), x, variables=[layer.kernel])
    np.testing.assert_allclose(in_x, 2 * (x - [[1, -1, 1]]), rtol=1e-5)
    np.testing.assert_allclose(in_w, -in_x, rtol=1e-5)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"units": 0}, "units must be an integer"),
        ({"units": 2, "prototypes": [[1, -1]]}, r"shape \(units = 2, features\), not \(1, 2\)"),
        ({"units": 2, "prototypes": [1, -1]}, r"shape \(units = 2, features\)"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RBFOutput(**kwargs)


def test_inputs_of_another_length_raise():
    with pytest.raises(ValueError, match=r"\(units, 3\) for inputs of 3 features, not \(1, 2\)"):
        RBFOutput(1, [[1, -1]]).build((None, 3))
