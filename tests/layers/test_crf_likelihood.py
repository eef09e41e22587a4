"""The likelihood of sentences that take several chunks of its loops, and its gradient."""

import keras
import numpy as np
import pytest
from contract import gradients, on_tensorflow, slopes

from dlrecipes.layers import LinearChainCRF

pytestmark = pytest.mark.usefixtures("float64")

K = 3


def make(dtype="float64"):
    layer = LinearChainCRF(K, dtype=dtype)
    layer.build((None, None, K))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def sentences(time):
    """Scores, tags and mask of sentences that end in the first and in the last chunk."""
    lengths = np.array([time, time - 1, 8, 2, 1])
    rng = np.random.default_rng(time)
    scores = rng.normal(size=(len(lengths), time, K))
    tags = rng.integers(0, K, scores.shape[:2]).astype("int32")
    return scores, tags, np.arange(time) < lengths[:, None]


@pytest.mark.parametrize("time", [8, 9, 17])
def test_likelihood_equals_the_recursion_in_log_space(time):
    layer = make()
    scores, tags, mask = sentences(time)
    transitions, start, end = (np.array(weight, "float64") for weight in layer.get_weights())
    likelihoods = np.array(layer.log_likelihood(scores, tags, mask))
    for likelihood, row, path, length in zip(likelihoods, scores, tags, mask.sum(1), strict=True):
        row, path = row[:length], path[:length]
        message = start + row[0]
        for score in row[1:]:
            message = np.logaddexp.reduce(message[:, None] + transitions, axis=0) + score
        log_sum = np.logaddexp.reduce(message + end)
        moved = transitions[path[:-1], path[1:]].sum()
        score = start[path[0]] + row[np.arange(length), path].sum() + moved + end[path[-1]]
        np.testing.assert_allclose(likelihood, score - log_sum, atol=1e-9)


def test_gradients_are_observed_minus_expected_counts():
    layer = make()
    scores, tags, mask = sentences(17)

    def total(scores):
        return keras.ops.sum(layer.log_likelihood(scores, tags, mask))

    in_scores, transitions, start, end = gradients(total, scores, variables=layer.weights)
    observed = np.eye(K)[tags] * mask[..., None]
    np.testing.assert_allclose(in_scores, observed - np.array(layer(scores, mask=mask)), atol=1e-9)
    # The gradients of the boundaries are those of the scores next to them.
    np.testing.assert_allclose(start, in_scores[:, 0].sum(0), atol=1e-9)
    at_last = mask & ~np.pad(mask[:, 1:], [(0, 0), (0, 1)])
    np.testing.assert_allclose(end, in_scores[at_last].sum(0), atol=1e-9)
    numeric = slopes(lambda: total(keras.ops.array(scores)), variables=[layer.transitions])
    np.testing.assert_allclose(transitions, numeric[0], atol=1e-7)


@on_tensorflow
def test_training_takes_exponentials_and_logarithms_outside_of_its_loops():
    import tensorflow as tf

    layer = make("float32")

    @tf.function
    def gradient(scores, tags, mask):
        with tf.GradientTape() as tape:
            value = layer.log_likelihood(scores, tags, mask)
        return tape.gradient(value, layer.transitions.value)

    shapes = [((None, None, K), "float32"), ((None, None), "int32"), ((None, None), "bool")]
    traced = gradient.get_concrete_function(*[tf.TensorSpec(*shape) for shape in shapes])
    bodies = [
        {node.op for node in function.node_def}
        for function in traced.graph.as_graph_def().library.function
    ]
    assert sum(bool(kinds & {"MatMul", "BatchMatMulV2"}) for kinds in bodies) == 2
    assert not any(kinds & {"Exp", "Log", "SelectV2"} for kinds in bodies)
