import numpy as np
import pytest
from keras import ops

from dlrecipes.layers import HopfieldNetwork

# A pattern, and two copies with a pair of units flipped: they differ in two or four units.
SIMILAR = np.ones((3, 12))
SIMILAR[1, :2] = SIMILAR[2, 2:4] = -1


def bipolar(*shape, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=shape)


def numpy(x):
    return ops.convert_to_numpy(x)


def recalled(layer, states):
    return numpy(layer(ops.array(states, "float32")))


def symmetric(units):
    """A network with arbitrary symmetric integer weights."""
    layer = HopfieldNetwork(units)
    layer.build((None, units))
    weights = np.triu(np.random.default_rng(1).integers(-3, 4, (units, units)), 1)
    layer.kernel.assign(weights + weights.T)
    return layer, weights + weights.T


def updated_by_hand(weights, state, order):
    state = state.copy()
    for i in order:
        field = sum(weights[i, j] * state[j] for j in range(len(state)))
        if field != 0:
            state[i] = 1 if field > 0 else -1
    return state


def test_hebbian_weights_are_sums_over_patterns_without_a_diagonal():
    layer, x = HopfieldNetwork(7), bipolar(3, 7)
    layer.store(x)
    expected = [[0 if i == j else sum(p[i] * p[j] for p in x) for j in range(7)] for i in range(7)]
    np.testing.assert_array_equal(numpy(layer.kernel), expected)


@pytest.mark.parametrize("update", ["asynchronous", "synchronous"])
def test_stored_patterns_are_recalled_from_corrupted_ones(update):
    # 3 patterns of 60 units are far below 0.15 * 60 = 9.
    layer, patterns = HopfieldNetwork(60, update=update), bipolar(3, 60)
    layer.store(patterns)
    np.testing.assert_array_equal(recalled(layer, patterns), patterns)
    corrupted, rng = patterns.copy(), np.random.default_rng(1)
    for row in corrupted:
        row[rng.permutation(60)[:9]] *= -1
    np.testing.assert_array_equal(recalled(layer, corrupted), patterns)
    # A state far from a pattern is near its negative, which is also stored.
    np.testing.assert_array_equal(recalled(layer, -corrupted), -patterns)


def test_projection_recalls_patterns_that_the_hebbian_rule_confuses():
    hebbian, projection = HopfieldNetwork(12), HopfieldNetwork(12, rule="projection")
    for layer in (hebbian, projection):
        layer.store(SIMILAR)
    # In the second pattern, unit 0 receives -3 from unit 1 (w = 3, s = -1), -1 from each of units
    # 2 and 3, and 1 from each of the other eight: 3 in total, so it flips.
    assert recalled(hebbian, SIMILAR[1:2])[0, 0] == 1
    np.testing.assert_array_equal(recalled(projection, SIMILAR), SIMILAR)


def test_projection_weights_project_onto_the_span_of_the_patterns():
    layer = HopfieldNetwork(12, rule="projection")
    layer.store(SIMILAR)
    kernel = numpy(layer.kernel)
    assert np.all(np.diag(kernel) == 0)
    # Orthogonal rows that span the same space: units 0 and 1, 2 and 3, and the others.
    blocks = [slice(0, 2), slice(2, 4), slice(4, 12)]
    expected = np.zeros((12, 12))
    for block in blocks:
        size = block.stop - block.start
        expected[block, block] = 1 / size
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(kernel, expected, atol=1e-6)


def test_storing_replaces_earlier_patterns():
    layer, x = HopfieldNetwork(5), bipolar(2, 5)
    layer.store(bipolar(2, 5, seed=1))
    layer.store(x)
    other = HopfieldNetwork(5)
    other.store(x)
    np.testing.assert_array_equal(numpy(layer.kernel), numpy(other.kernel))


def test_energy_equals_the_double_sum():
    layer, weights = symmetric(6)
    states = bipolar(4, 6)
    expected = [
        -sum(weights[i, j] * s[i] * s[j] for i in range(6) for j in range(6)) / 2 for s in states
    ]
    np.testing.assert_array_equal(numpy(layer.energy(ops.array(states))), expected)


def test_sweep_updates_units_in_order_using_the_new_states():
    layer, weights = symmetric(8)
    states, order = bipolar(5, 8), [6, 1, 1, 4, 0]
    for argument, units in ((None, range(8)), (order, order)):
        expected = [updated_by_hand(weights, state, units) for state in states]
        updated = layer.sweep(ops.array(states, "float32"), argument)
        np.testing.assert_array_equal(numpy(updated), expected)


def test_asynchronous_updates_never_raise_the_energy():
    layer, _ = symmetric(10)
    states = ops.array(bipolar(20, 10), "float32")
    energy, fell = numpy(layer.energy(states)), False
    for unit in np.random.default_rng(2).integers(0, 10, 15):
        states = layer.sweep(states, [unit])
        new = numpy(layer.energy(states))
        assert np.all(new <= energy)
        fell, energy = fell or np.any(new < energy), new
    assert fell


def test_asynchronous_recall_ends_in_a_fixed_point():
    layer, weights = symmetric(10)
    for state in recalled(layer, bipolar(6, 10)):
        np.testing.assert_array_equal(updated_by_hand(weights, state, range(10)), state)


@pytest.mark.parametrize(("max_sweeps", "expected"), [(1, [-1, 1]), (2, [1, -1]), (3, [-1, 1])])
def test_max_sweeps_ends_a_synchronous_oscillation(max_sweeps, expected):
    # Each unit takes the other's state.
    layer = HopfieldNetwork(2, update="synchronous", max_sweeps=max_sweeps)
    layer.store([[1, 1]])
    assert recalled(layer, [[1, -1]]).tolist() == [expected]


def test_asynchronous_updates_do_not_oscillate():
    layer = HopfieldNetwork(2)
    layer.store([[1, 1]])
    assert recalled(layer, [[1, -1]]).tolist() == [[-1, -1]]


def test_unit_without_input_keeps_its_state():
    layer = HopfieldNetwork(3)
    assert recalled(layer, [[-2.0, 0.0, 5.0]]).tolist() == [[-1, 1, 1]]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, "units must be"),
        ({"units": True}, "units must be"),
        ({"units": 2, "max_sweeps": 0}, "max_sweeps must be"),
        ({"units": 2, "rule": "delta"}, "rule must be one of hebbian, projection"),
        ({"units": 2, "update": "random"}, "update must be one of"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HopfieldNetwork(**kwargs)


@pytest.mark.parametrize("patterns", [[], [[1, -1]], [1, -1, 1], [[1, 0, 1]]])
def test_invalid_patterns_raise(patterns):
    with pytest.raises(ValueError, match=r"patterns must be -1 and 1 and of shape \(patterns, 3\)"):
        HopfieldNetwork(3).store(patterns)


@pytest.mark.parametrize("shape", [(2, 4), (3,), (1, 2, 3)])
@pytest.mark.parametrize("method", ["__call__", "energy", "step", "sweep"])
def test_states_of_another_shape_raise_after_patterns_are_stored(method, shape):
    layer = HopfieldNetwork(3)
    layer.store([[1, -1, 1]])
    with pytest.raises(ValueError, match=r"states must be of shape \(batch, units\)"):
        getattr(layer, method)(np.ones(shape, "float32"))


def test_states_of_another_size_raise():
    with pytest.raises(ValueError, match=r"units = 3, not \(\w+, 4\)"):
        HopfieldNetwork(3).build((None, 4))


def test_sixteen_bit_policy_sums_over_all_units_exactly():
    # 300 units of 1 and one of -1: in bfloat16 a sum of 257 and more would lose them.
    layer = HopfieldNetwork(301, update="synchronous", dtype="bfloat16")
    layer.store(np.ones((1, 301)))
    states = np.ones((1, 301))
    states[0, 0] = -1
    # 300 * 299 / 2 pairs agree, and the first unit disagrees with 300.
    assert float(layer.energy(ops.array(states))[0]) == -(44850 - 300)
    assert recalled(layer, states)[0, 0] == 1
