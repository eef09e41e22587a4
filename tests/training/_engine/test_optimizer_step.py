"""The optimizer step computes Keras' updates, with fused operations where possible."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training._engine import optimizer_step

RNG = np.random.default_rng(0)
START = [RNG.normal(size=(4, 3)).astype("float32"), RNG.normal(size=3).astype("float32")]
GRADIENTS = [[RNG.normal(size=value.shape).astype("float32") for value in START] for _ in range(5)]


def trained(optimizer, step, compiled=True):
    variables = [keras.Variable(value) for value in START]
    optimizer.build(variables)
    function = tf.function(lambda gradients: step(optimizer, gradients, variables))
    call = function if compiled else lambda gradients: step(optimizer, gradients, variables)
    for gradients in GRADIENTS:
        call([tf.constant(gradient) for gradient in gradients])
    return [np.asarray(v) for v in variables], [np.asarray(v) for v in optimizer.variables]


def keras_step(optimizer, gradients, variables):
    optimizer.apply(gradients, variables)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.Adam(0.1, beta_1=0.5, epsilon=0.01),
        lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.5),
        lambda: keras.optimizers.Adam(0.1, clipnorm=0.5),
        lambda: keras.optimizers.Adam(0.1, clipvalue=0.1),
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
        lambda: keras.optimizers.AdamW(0.1, weight_decay=0.3),
        # Not fused, but applied by Keras.
        lambda: keras.optimizers.Adam(0.1, amsgrad=True),
        lambda: keras.optimizers.Adam(0.1, use_ema=True, ema_overwrite_frequency=2),
        # Half a minute to trace.
        pytest.param(
            lambda: keras.optimizers.Adam(0.1, gradient_accumulation_steps=2),
            marks=pytest.mark.slow,
        ),
        lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    ],
)
def test_weights_and_slots_match_keras(make, compiled):
    ours, theirs = (trained(make(), step, compiled) for step in (optimizer_step.apply, keras_step))
    for actual, expected in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-5)
    assert not np.allclose(ours[0][0], START[0])


def test_the_first_step_of_adam_matches_hand_computation():
    # After one step the corrected moments are g and g^2, and the weight is
    # w - rate * g / (|g| + eps'), where eps' = eps / sqrt(1 - beta_2), because the bias
    # correction is applied outside of the sum with the root.
    weight = keras.Variable([1.0, -2.0])
    optimizer = keras.optimizers.Adam(0.5, epsilon=0.1)
    optimizer.build([weight])
    norm = optimizer_step.apply(optimizer, [tf.constant([3.0, -4.0])], [weight])
    epsilon = 0.1 / np.sqrt(1 - 0.999)
    expected = [1 - 0.5 * 3 / (3 + epsilon), -2 + 0.5 * 4 / (4 + epsilon)]
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert float(norm) == pytest.approx(5.0)
    assert int(optimizer.iterations) == 1


def test_adam_uses_one_operation_per_variable():
    variables = [keras.Variable(value) for value in START]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    graph = tf.function(
        lambda: optimizer_step.apply(optimizer, list(map(tf.ones_like, START)), variables)
    ).get_concrete_function()
    kinds = [operation.type for operation in graph.graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(variables)
    assert "AssignSubVariableOp" not in kinds


def test_constraints_are_applied():
    weight = keras.Variable([0.1, 5.0])
    weight.constraint = keras.constraints.NonNeg()
    optimizer = keras.optimizers.Adam(1.0)
    optimizer.build([weight])
    optimizer_step.apply(optimizer, [tf.constant([1.0, 1.0])], [weight])
    np.testing.assert_allclose(weight, [0.0, 4.0], atol=1e-4)


def test_variables_without_a_gradient_do_not_change_and_one_gradient_is_required():
    variables = [keras.Variable(value) for value in START]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    optimizer_step.apply(optimizer, [None, tf.ones(3)], variables)
    np.testing.assert_array_equal(variables[0], START[0])
    assert not np.allclose(variables[1], START[1])
    with pytest.raises(ValueError, match="No variable has a gradient"):
        optimizer_step.apply(optimizer, [None, None], variables)
