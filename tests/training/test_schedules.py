"""Learning-rate schedules compute the expected rates, in optimizers as well."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training import LinearDecay, learning_rate_schedule


@pytest.mark.parametrize(
    "step, rate",
    # Constant for 4 steps; then it falls by a fifth of 0.5 at each of the next 5.
    [(0, 0.5), (3, 0.5), (4, 0.5), (5, 0.4), (6, 0.3), (8, 0.1), (9, 0.0), (10, 0.0), (99, 0.0)],
)
def test_the_rate_is_constant_then_falls_linearly_to_zero(step, rate):
    schedule = LinearDecay(0.5, constant_steps=4, decay_steps=5)
    for kind in (step, np.int64(step), tf.constant(step, tf.int64), keras.Variable(step)):
        assert float(schedule(kind)) == pytest.approx(rate, abs=1e-7)


def test_the_rate_falls_at_once_without_constant_steps():
    schedule = LinearDecay(1.0, constant_steps=0, decay_steps=4)
    assert [float(schedule(step)) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_steps_beyond_the_precision_of_float32_are_distinguished():
    # float32 cannot represent 2**24 + 1.
    schedule = LinearDecay(1.0, constant_steps=2**24, decay_steps=4)
    assert float(schedule(tf.constant(2**24 + 1, tf.int64))) == 0.75


def test_an_optimizer_uses_the_rates_of_the_schedule():
    # SGD with gradient 1 subtracts the rate: 1, 1, then 1/2, then 0.
    weight = keras.Variable([10.0])
    optimizer = keras.optimizers.SGD(LinearDecay(1.0, 1, 2))
    optimizer.build([weight])
    values = []
    for _ in range(4):
        optimizer.apply([tf.constant([1.0])], [weight])
        values.append(float(weight.numpy()[0]))
    assert values == pytest.approx([9.0, 8.0, 7.5, 7.5])


def test_the_schedule_survives_serialization_in_an_optimizer():
    optimizer = keras.optimizers.Adam(LinearDecay(2e-4, 3, 7))
    config = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(config)
    schedule = again._learning_rate
    assert isinstance(schedule, LinearDecay)
    assert schedule.get_config() == {
        "initial_learning_rate": 2e-4,
        "constant_steps": 3,
        "decay_steps": 7,
    }


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 1, 1), "initial_learning_rate must be above 0, not 0"),
        ((float("nan"), 1, 1), "initial_learning_rate must be above 0, not nan"),
        (("high", 1, 1), "initial_learning_rate must be above 0, not 'high'"),
        ((0.1, -1, 1), "constant_steps must be an integer of at least 0, not -1"),
        ((0.1, 1.5, 1), "constant_steps must be an integer of at least 0, not 1.5"),
        ((0.1, 1, 0), "decay_steps must be an integer of at least 1, not 0"),
    ],
)
def test_arguments_out_of_bounds_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinearDecay(*arguments)


def test_constant_schedule_is_the_learning_rate():
    assert learning_rate_schedule("constant", 0.5, 10) == 0.5


def test_cosine_schedule_falls_to_a_fraction_of_the_learning_rate():
    schedule = learning_rate_schedule("cosine", 0.5, 8)
    # rate * ((1 - alpha) * (1 + cos(pi * step / steps)) / 2 + alpha), with alpha = 0.02.
    expected = [0.5 * (0.98 * (1 + np.cos(np.pi * step / 8)) / 2 + 0.02) for step in range(9)]
    assert [float(schedule(step)) for step in range(9)] == pytest.approx(expected)
    assert float(schedule(99)) == pytest.approx(0.01)
    other = learning_rate_schedule("cosine", 0.5, 8, alpha=0.1)
    assert float(other(8)) == pytest.approx(0.05)


@pytest.mark.parametrize(
    "steps, expected",
    [
        (4, [1.0, 1.0, 1.0, 0.5, 0.0]),
        # With an odd number of steps, the constant part is the longer one.
        (5, [1.0, 1.0, 1.0, 1.0, 0.5, 0.0]),
        (1, [1.0, 0.0]),
    ],
)
def test_linear_schedule_is_constant_for_half_the_steps_then_falls_to_zero(steps, expected):
    schedule = learning_rate_schedule("linear", 1.0, steps)
    assert [float(schedule(step)) for step in range(steps + 1)] == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("step", 0.1, 1), "name must be one of constant, cosine, linear, not 'step'"),
        (("constant", 0, 1), "learning_rate must be above 0, not 0"),
        (("constant", 0.1, 0), "steps must be an integer of at least 1, not 0"),
    ],
)
def test_schedule_by_name_rejects_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_schedule(*arguments)


def test_schedule_by_name_rejects_an_alpha_above_one():
    with pytest.raises(ValueError, match="alpha must be from 0 to 1, not 2"):
        learning_rate_schedule("cosine", 0.1, 1, alpha=2)
