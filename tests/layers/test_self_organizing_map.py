import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import SelfOrganizingMap

RNG = np.random.default_rng(0)
ROWS, COLUMNS, FEATURES = 3, 4, 2
W = RNG.normal(size=(ROWS * COLUMNS, FEATURES))
X = RNG.normal(size=(5, FEATURES))
PLACES = [(row, column) for row in range(ROWS) for column in range(COLUMNS)]


def built(codebook=W, grid=(ROWS, COLUMNS), **kwargs):
    layer = SelfOrganizingMap(grid, **kwargs)
    layer.build((None, codebook.shape[1]))
    layer.codebook.assign(codebook)
    return layer


def array(x):
    return ops.array(x, "float32")


def numpy(x):
    return ops.convert_to_numpy(x)


def winner_by_hand(x):
    return min(range(len(W)), key=lambda i: np.sum((x - W[i]) ** 2))


def near_by_hand(winner, radius):
    row, column = PLACES[winner]
    squared = [(r - row) ** 2 + (c - column) ** 2 for r, c in PLACES]
    return np.exp(-np.array(squared) / (2 * radius**2))


def test_distances_have_the_layout_of_the_grid():
    y = numpy(built()(array(X)))
    for b, x in enumerate(X):
        for i, (row, column) in enumerate(PLACES):
            np.testing.assert_allclose(y[b, row, column], np.sum((x - W[i]) ** 2), rtol=1e-5)


def test_distances_are_exact_far_from_the_origin():
    # At squares of about 1e6, float32 has a resolution of 1/16.
    x, w = np.round(X * 64) / 64 + 1000, np.round(W * 64) / 64 + 1000
    expected = np.sum((x[:, None] - w) ** 2, axis=-1).reshape(5, ROWS, COLUMNS)
    np.testing.assert_allclose(numpy(built(w)(array(x))), expected, atol=1e-4)


def test_winner_is_the_nearest_unit():
    layer = built()
    winners = numpy(layer.winner(layer(array(X))))
    assert winners.tolist() == [list(PLACES[winner_by_hand(x)]) for x in X]


def test_first_of_several_nearest_units_wins():
    distances = np.full((1, ROWS, COLUMNS), 2.0)
    distances[0, 1, 3] = distances[0, 2, 0] = 1
    assert numpy(built().winner(array(distances))).tolist() == [[1, 3]]


def test_neighbourhood_is_a_gaussian_over_the_grid():
    weights = numpy(built().neighbourhood(ops.array([[1, 2], [0, 0]]), 1.5))
    expected = [near_by_hand(PLACES.index((1, 2)), 1.5), near_by_hand(0, 1.5)]
    np.testing.assert_allclose(weights.reshape(2, -1), expected, rtol=1e-5)
    assert weights[0, 1, 2] == 1


def test_update_with_one_example_is_kohonens_step():
    x = X[0]
    near = near_by_hand(winner_by_hand(x), 0.8)
    expected = W + 0.3 * near[:, None] * (x - W)
    np.testing.assert_allclose(numpy(built().update(array(X[:1]), 0.3, 0.8)), expected, atol=1e-6)


def test_update_averages_the_steps_of_the_examples_and_assigns_nothing():
    layer = built()
    steps = [near_by_hand(winner_by_hand(x), 0.8)[:, None] * (x - W) for x in X]
    expected = W + 0.3 * np.mean(steps, axis=0)
    np.testing.assert_allclose(numpy(layer.update(array(X), 0.3, 0.8)), expected, atol=1e-6)
    np.testing.assert_allclose(numpy(layer.codebook), W, rtol=1e-6)


def test_batch_update_gives_each_unit_the_mean_of_its_neighbourhood():
    near = np.array([near_by_hand(winner_by_hand(x), 0.8) for x in X])
    expected = near.T @ X / near.sum(axis=0)[:, None]
    np.testing.assert_allclose(numpy(built().batch_update(array(X), 0.8)), expected, atol=1e-5)


def test_unit_without_examples_nearby_keeps_its_vector():
    layer = built(np.array([[0.0], [10.0], [20.0]]), (1, 3))
    # A radius of a tenth of a step gives a weight of exp(-50) one step away.
    codebook = numpy(layer.batch_update(array([[1.0], [2.0]]), 0.1))
    np.testing.assert_allclose(codebook, [[1.5], [10.0], [20.0]], rtol=1e-6)


def test_map_of_a_line_becomes_ordered():
    rng = np.random.default_rng(1)
    data, layer = array(rng.uniform(size=(200, 1))), built(rng.uniform(size=(8, 1)), (1, 8))
    for radius in np.geomspace(4, 0.5, 12):
        layer.codebook.assign(layer.batch_update(data, radius))
    steps = np.diff(numpy(layer.codebook)[:, 0])
    assert np.all(steps > 0) or np.all(steps < 0)


def test_gradient_of_a_distance_points_away_from_the_example():
    layer = built()
    gradient = gradients(lambda: layer(array(X[:1]))[0, 1, 2], variables=[layer.codebook])[0]
    expected = np.zeros_like(W)
    expected[6] = 2 * (W[6] - X[0])
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_radius_of_zero_moves_only_the_winner():
    x, winner = X[0], winner_by_hand(X[0])
    expected = W.copy()
    expected[winner] += 0.3 * (x - W[winner])
    np.testing.assert_allclose(numpy(built().update(array(X[:1]), 0.3, 0)), expected, atol=1e-6)
    expected[winner] = x
    np.testing.assert_allclose(numpy(built().batch_update(array(X[:1]), 0)), expected, atol=1e-6)


def test_rates_and_radii_may_be_tensors():
    rate, radius = ops.array(0.3), ops.array(0.8)
    expected = numpy(built().update(array(X), 0.3, 0.8))
    np.testing.assert_allclose(numpy(built().update(array(X), rate, radius)), expected, rtol=1e-5)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, np.float64(np.nan), None, "0.1"])
def test_invalid_rate_raises(rate):
    with pytest.raises(ValueError, match=r"rate must be in \(0, 1\], not"):
        built().update(array(X), rate, 1.0)


@pytest.mark.parametrize("radius", [-1, np.nan, np.inf, None, "1"])
def test_invalid_radius_raises(radius):
    for compute in (
        lambda: built().update(array(X), 0.1, radius),
        lambda: built().batch_update(array(X), radius),
    ):
        with pytest.raises(ValueError, match="radius must be at least 0"):
            compute()


@pytest.mark.parametrize("shape", [(5, 3), (2,), (5, 1, 2)])
def test_vectors_of_another_shape_raise(shape):
    x = np.zeros(shape, "float32")
    for compute in (built(), lambda x: built().batch_update(x, 1.0)):
        with pytest.raises(ValueError, match=r"inputs must be of shape \(batch, 2\)"):
            compute(x)
    with pytest.raises(ValueError, match="inputs must be of shape"):
        SelfOrganizingMap(2)(np.zeros(3, "float32"))


@pytest.mark.parametrize("grid", [0, True, (2, 0), (1, 2, 3), 1.5])
def test_invalid_grid_raises(grid):
    with pytest.raises(ValueError, match="grid must be"):
        SelfOrganizingMap(grid)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_sixteen_bit_policy_keeps_distances_in_float32(policy):
    # bfloat16 represents these multiples of 1/8, but not their squares.
    w = np.round(W * 8) / 8
    y = built(w, dtype=policy)(array(X[:1]))
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    expected = np.sum((X[0] - w) ** 2, axis=-1).reshape(1, ROWS, COLUMNS)
    np.testing.assert_allclose(numpy(y), expected, atol=1e-5)
