import keras
import numpy as np
import pytest
from contract import assert_lite_agrees, gradients, on_tensorflow
from keras import ops

from dlrecipes.layers import PairwiseDistances
from dlrecipes.layers.pairwise_distances import METRICS

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(5, 3)).astype("float32"), RNG.normal(size=(4, 3)).astype("float32")

each_metric = pytest.mark.parametrize("metric", METRICS)


def array(x):
    return ops.convert_to_numpy(x)


def distance(metric, a, b):
    """One distance, from its definition."""
    a, b = a.astype("float64"), b.astype("float64")
    if metric == "cosine":
        return 1 - a @ b / np.sqrt((a @ a) * (b @ b))
    squared = (a - b) @ (a - b)
    return squared if metric == "squared_euclidean" else np.sqrt(squared)


def by_loops(metric, first, second):
    return np.array([[distance(metric, a, b) for b in second] for a in first])


def gradient_at(points, metric):
    """The gradient of a random mix of the distances with respect to the points, and the mix."""
    mix = np.random.default_rng(1).normal(size=(len(points), len(points))).astype("float32")
    layer = PairwiseDistances(metric)
    return gradients(lambda x: ops.sum(layer(x) * mix), points.astype("float32"))[0], mix


@each_metric
def test_distances_equal_the_definition(metric):
    between = array(PairwiseDistances(metric)([A, B]))
    np.testing.assert_allclose(between, by_loops(metric, A, B), atol=1e-5)
    within = array(PairwiseDistances(metric)(A))
    np.testing.assert_allclose(within, by_loops(metric, A, A), atol=1e-5)
    np.testing.assert_array_equal(array(PairwiseDistances(metric)([A])), within)


@each_metric
def test_each_example_of_a_batch_may_be_a_set(metric):
    first, second = np.stack([A, 2 * A]), np.stack([B, B + 1])
    distances = array(PairwiseDistances(metric)([first, second]))
    expected = [by_loops(metric, a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(distances, expected, atol=2e-5)


@each_metric
def test_distances_are_not_negative_and_zero_from_a_vector_to_itself(metric):
    """The points are far from the origin, where rounding makes a third of the squares negative."""
    x = 100 + np.random.default_rng(2).normal(size=(40, 7)).astype("float32") / 1000
    distances = array(PairwiseDistances(metric)(x))
    assert (distances >= 0).all()
    np.testing.assert_array_equal(np.diag(distances), np.zeros(40))
    assert (array(PairwiseDistances(metric)([x, x.copy()])) >= 0).all()


@each_metric
def test_gradient_equals_finite_differences(metric):
    gradient, mix = gradient_at(A[:3], metric)
    numeric, step = np.zeros((3, 3)), 1e-6
    for index in np.ndindex(3, 3):
        change = np.zeros((3, 3))
        change[index] = step
        sides = [
            (by_loops(metric, A[:3] + s * change, A[:3] + s * change) * mix).sum() for s in (1, -1)
        ]
        numeric[index] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)


def test_equal_vectors_have_a_zero_gradient_and_do_not_affect_others():
    """Rows 0 and 1 are equal, at distance 5 from row 2: d|a - b| = (a - b) / |a - b|."""
    points = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    gradient, mix = gradient_at(points, "euclidean")
    both = mix + mix.T
    away = np.array([3.0, 4.0]) / 5
    expected = [-both[0, 2] * away, -both[1, 2] * away, (both[0, 2] + both[1, 2]) * away]
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@each_metric
def test_zero_vectors_give_finite_distances_and_gradients(metric):
    points = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    distances = array(PairwiseDistances(metric)(points.astype("float32")))
    # A zero vector has no direction: its cosine with any other vector is taken to be 0.
    between = 1.0 if metric == "cosine" else 0.0
    np.testing.assert_array_equal(distances, [[0, between, 1], [between, 0, 1], [1, 1, 0]])
    assert np.isfinite(gradient_at(points, metric)[0]).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_distances_have_float32_at_least(policy):
    layer = PairwiseDistances(dtype=policy)
    dtype = "float64" if policy == "float64" else "float32"
    x = ops.convert_to_tensor(A.astype(dtype))
    if keras.backend.standardize_dtype(x.dtype) != dtype:
        pytest.skip("this backend has no float64")
    distances = layer(x)
    assert keras.backend.standardize_dtype(distances.dtype) == dtype
    assert layer(keras.Input((3,), dtype=dtype)).dtype == dtype
    np.testing.assert_allclose(array(distances), by_loops("squared_euclidean", A, A), atol=1e-5)


@on_tensorflow
@each_metric
def test_litert_compares_a_set_with_itself(metric, tmp_path):
    points = keras.Input((None, 3), name="points")
    model = keras.Model(points, PairwiseDistances(metric)(points))
    assert_lite_agrees(model, [{"points": A[None]}, {"points": B[None]}], tmp_path)


def test_invalid_metrics_and_sets_raise():
    with pytest.raises(ValueError, match="metric 'manhattan' is not one of squared_euclidean"):
        PairwiseDistances("manhattan")
    with pytest.raises(ValueError, match="one set of vectors or two, not 3"):
        PairwiseDistances()([A, A, A])
    with pytest.raises(ValueError, match="of one size, not of 3 and 2"):
        PairwiseDistances()([keras.Input((3,)), keras.Input((2,))])


@pytest.mark.parametrize("metric", ["squared_euclidean", "cosine"])
def test_vectors_of_other_sizes_raise_in_eager_calls(metric):
    layer = PairwiseDistances(metric)
    with pytest.raises(ValueError, match="of one size, not of 3 and 2"):
        layer([np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32")])
    with pytest.raises(ValueError, match=r"vectors must be of shape \(..., n, units\), not \(3,\)"):
        layer(np.zeros(3, "float32"))
