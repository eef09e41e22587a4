import itertools

import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import RestrictedBoltzmannMachine

W = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 0.25]])
A = np.array([0.5, -1.0, 0.25])
B = np.array([-0.5, 1.0])
V = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
H = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
# A grid that is fine and wide enough for sums over it to approximate integrals.
LINE = np.arange(-12.0, 12.0, 0.1)
PLANE = np.array(list(itertools.product(LINE, LINE)))


def machine(w=W, a=A, b=B, **kwargs):
    layer = RestrictedBoltzmannMachine(w.shape[1], **kwargs)
    layer.build((None, w.shape[0]))
    layer.kernel.assign(w)
    layer.visible_bias.assign(a)
    layer.hidden_bias.assign(b)
    return layer


def energies(v, h, w=W, a=A, b=B, visible="bernoulli", hidden="bernoulli"):
    """The energies of all pairs of rows, according to the equations."""
    own = {
        "bernoulli": lambda x, bias: -x @ bias,
        "gaussian": lambda x, bias: np.sum((x - bias) ** 2, axis=-1) / 2,
    }
    interaction = v @ w @ h.T
    return own[visible](v, a)[:, None] + own[hidden](h, b)[None, :] - interaction


def array(x):
    return ops.array(x, "float32")


def numpy(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("kinds", [{}, {"visible": "gaussian"}, {"hidden": "gaussian"}])
def test_energy_equals_its_equation(kinds):
    expected = energies(V, H, **kinds)
    for j, h in enumerate(H):
        actual = machine(**kinds).energy(array(V), array(np.tile(h, (len(V), 1))))
        np.testing.assert_allclose(numpy(actual), expected[:, j], atol=1e-5)


def test_free_energy_equals_the_sum_over_all_hidden_states():
    expected = -np.log(np.sum(np.exp(-energies(V, H)), axis=1))
    np.testing.assert_allclose(numpy(machine().free_energy(array(V))), expected, atol=1e-5)


def test_conditionals_equal_the_enumerated_joint_distribution():
    joint = np.exp(-energies(V, H))
    joint /= joint.sum()
    given_v = (joint @ H) / joint.sum(axis=1, keepdims=True)
    given_h = (joint.T @ V) / joint.sum(axis=0)[:, None]
    layer = machine()
    np.testing.assert_allclose(numpy(layer.hidden_probabilities(array(V))), given_v, atol=1e-5)
    np.testing.assert_allclose(numpy(layer(array(V))), given_v, atol=1e-5)
    np.testing.assert_allclose(numpy(layer.visible_probabilities(array(H))), given_h, atol=1e-5)


def test_gaussian_visible_units_agree_with_numerical_integrals():
    w, a = W[:2], A[:2]
    kinds = {"w": w, "a": a, "visible": "gaussian"}
    layer = machine(**kinds)
    density = np.exp(-energies(PLANE, H, **kinds))
    mean = (density.T @ PLANE) / density.sum(axis=0)[:, None]
    np.testing.assert_allclose(numpy(layer.visible_probabilities(array(H))), mean, atol=1e-4)
    some = PLANE[::5000]
    weights = np.exp(-energies(some, H, **kinds))
    given_v = (weights @ H) / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(layer(array(some))), given_v, atol=1e-5)
    np.testing.assert_allclose(
        numpy(layer.free_energy(array(some))), -np.log(weights.sum(axis=1)), rtol=1e-5, atol=1e-4
    )


def test_gaussian_hidden_units_agree_with_numerical_integrals():
    layer = machine(hidden="gaussian")
    density = np.exp(-energies(V, PLANE, hidden="gaussian"))
    mean = (density @ PLANE) / density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(layer(array(V))), mean, atol=1e-4)
    # Each square of the grid is 0.1 wide; the constant belongs to two standard normals.
    free = -np.log(0.1**2 * density.sum(axis=1)) + np.log(2 * np.pi)
    np.testing.assert_allclose(numpy(layer.free_energy(array(V))), free, atol=1e-4)


def test_gradient_of_the_free_energy_is_minus_the_statistics_of_contrastive_divergence():
    layer = machine()
    weights = [layer.kernel, layer.visible_bias, layer.hidden_bias]
    v = V[[3, 5]]
    p = 1 / (1 + np.exp(-(v @ W + B)))
    computed = gradients(lambda: ops.sum(layer.free_energy(array(v))), variables=weights)
    for ours, expected in zip(computed, (-v.T @ p, -v.sum(axis=0), -p.sum(axis=0)), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_gibbs_sampling_converges_to_the_enumerated_distribution():
    layer, count = machine(seed=3), 8000
    v = array(np.zeros((count, 3)))
    for _ in range(12):
        v = layer.gibbs_step(v)
    codes = numpy(v).astype(int) @ [4, 2, 1]
    frequencies = np.bincount(codes, minlength=8) / count
    expected = np.exp(-energies(V, H)).sum(axis=1)
    expected /= expected.sum()
    # Four standard deviations of a frequency.
    bound = 4 * np.sqrt(expected * (1 - expected) / count)
    assert np.all(np.abs(frequencies - expected) < bound)


@pytest.mark.parametrize(("visible", "deviation"), [("bernoulli", None), ("gaussian", 1.0)])
def test_visible_samples_have_their_mean_and_variance(visible, deviation):
    layer, count = machine(visible=visible, seed=1), 8000
    h = array(np.tile([[1.0, 0.0]], (count, 1)))
    mean = numpy(layer.visible_probabilities(h))[0]
    samples = numpy(layer.sample_visible(h))
    deviation = np.sqrt(mean * (1 - mean)) if deviation is None else deviation
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=4 / count**0.5)
    np.testing.assert_allclose(samples.std(axis=0), deviation * np.ones(3), rtol=0.05)


def test_same_seed_gives_the_same_samples_and_each_call_new_ones():
    first, second, v = machine(seed=5), machine(seed=5), array(np.ones((50, 3)))
    samples = numpy(first.sample_hidden(v))
    np.testing.assert_array_equal(samples, numpy(second.sample_hidden(v)))
    assert np.any(samples != numpy(first.sample_hidden(v)))


def test_layers_of_equal_size_start_with_different_small_weights():
    kernels = []
    for _ in range(2):
        layer = RestrictedBoltzmannMachine(40)
        layer.build((None, 50))
        kernels.append(numpy(layer.kernel))
    assert np.all(kernels[0] != kernels[1])
    # 2,000 samples determine a standard deviation to about 2 percent.
    np.testing.assert_allclose([kernel.std() for kernel in kernels], 0.01, rtol=0.1)


def test_methods_build_the_layer_and_the_regularizer_is_a_loss():
    layer = RestrictedBoltzmannMachine(2, kernel_initializer="ones", kernel_regularizer="l2")
    assert tuple(layer.free_energy(array(V)).shape) == (8,)
    # 3 x 2 ones, each times Keras' 0.01.
    np.testing.assert_allclose(float(layer.losses[0]), 0.06, rtol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"hidden_units": 0}, "hidden_units must be"),
        ({"hidden_units": 2, "visible": "poisson"}, "visible must be one of"),
        ({"hidden_units": 2, "hidden": "poisson"}, "hidden must be one of"),
        ({"hidden_units": 2, "visible": "gaussian", "hidden": "gaussian"}, "both 'gaussian'"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RestrictedBoltzmannMachine(**kwargs)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_sixteen_bit_policy_sums_energies_in_float32(policy):
    # bfloat16 represents the weights and states, but not 1000.25.
    layer = machine(a=np.array([1000.0, 0.0, 0.25]), dtype=policy)
    energy = layer.energy(array([[1, 0, 1]]), array([[0, 0]]))
    assert float(energy[0]) == -1000.25
    y = layer(array([[1, 0, 1]]))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
