"""The cross-entropy of many classes: Keras' values and gradients in one operation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("shape", [(4, 7), (3, 5, 7)])
@pytest.mark.parametrize("trailing", [False, True])
def test_values_and_gradients_match_keras(from_logits, shape, trailing):
    scores = RNG.normal(size=shape).astype("float32")
    scores = scores if from_logits else np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    labels = RNG.integers(0, 7, shape[:-1])
    labels = labels[..., None] if trailing else labels
    weights = RNG.uniform(0, 1, shape[:-1]).astype("float32")
    results = []
    for kind in (SparseCategoricalCrossentropy, keras.losses.SparseCategoricalCrossentropy):
        loss = kind(from_logits=from_logits, reduction="mean_with_sample_weight")
        x = tf.Variable(scores)
        with tf.GradientTape() as tape:
            value = loss(labels, x, sample_weight=weights)
        results.append((float(value), tape.gradient(value, x).numpy()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-6)


def test_losses_match_hand_computation():
    scores = np.log(np.float32([[1, 2, 5], [4, 4, 2]]))
    losses = SparseCategoricalCrossentropy(from_logits=True, reduction=None)([2, 0], scores)
    np.testing.assert_allclose(losses, -np.log([5 / 8, 4 / 10]), rtol=1e-6)


def test_an_ignored_class_is_handled_as_in_keras():
    scores = RNG.normal(size=(4, 3)).astype("float32")
    loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)
    labels = np.array([0, 1, 2, 1])
    assert float(loss(labels, scores)) == pytest.approx(float(plain(labels, scores)))


def test_deterministic_runs_use_one_operation():
    # The switch affects the whole process, and is turned off again for the other tests.
    loss = SparseCategoricalCrossentropy(from_logits=True)
    spec = tf.TensorSpec([None, 9])
    tf.config.experimental.enable_op_determinism()
    try:
        graph = tf.function(lambda x: loss(tf.zeros(tf.shape(x)[0], tf.int32), x))
        operations = {op.type for op in graph.get_concrete_function(spec).graph.get_operations()}
    finally:
        disable_op_determinism()
    assert "SparseSoftmaxCrossEntropyWithLogits" in operations
    assert not any("Gather" in name for name in operations)


def test_the_loss_survives_serialization():
    loss = SparseCategoricalCrossentropy(from_logits=True)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is SparseCategoricalCrossentropy
    assert again.from_logits
