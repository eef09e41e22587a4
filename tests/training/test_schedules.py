"""Learning-rate schedules compute the expected rates, in optimizers as well."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training import LinearDecay, ScheduleSequence, learning_rate_schedule


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


def test_cosine_schedule_rises_linearly_during_the_warm_up():
    schedule = learning_rate_schedule("cosine", 0.8, 10, alpha=0.1, warmup_steps=4)
    rise = [0.8 * step / 4 for step in range(4)]
    # Six steps from 0.8 to 0.08: rate * (0.9 * (1 + cos(pi * step / 6)) / 2 + 0.1).
    fall = [0.8 * (0.9 * (1 + np.cos(np.pi * step / 6)) / 2 + 0.1) for step in range(7)]
    assert [float(schedule(step)) for step in range(11)] == pytest.approx(rise + fall)
    assert float(schedule(99)) == pytest.approx(0.08)


@pytest.mark.parametrize("name", ["constant", "linear"])
def test_other_schedules_ignore_the_warm_up(name):
    schedule = learning_rate_schedule(name, 0.5, 4, warmup_steps=3)
    assert float(schedule(0) if callable(schedule) else schedule) == 0.5


def test_a_warm_up_as_long_as_the_training_is_rejected():
    with pytest.raises(ValueError, match="warmup_steps must be less than 4 steps, not 4"):
        learning_rate_schedule("cosine", 0.5, 4, warmup_steps=4)


def sequence():
    # 0.5 for 3 steps, then 1, 0.75, 0.5, 0.25 and 0 from step 7, then 0.125.
    return ScheduleSequence([0.5, LinearDecay(1.0, 0, 4), 0.125], [3, 8])


RATES = [0.5, 0.5, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.125, 0.125]


@pytest.mark.parametrize("kind", [int, np.int64, tf.constant, keras.Variable])
def test_schedules_follow_one_another_and_count_from_zero(kind):
    schedule = sequence()
    assert [float(schedule(kind(step))) for step in range(10)] == RATES
    graph = tf.function(lambda step: schedule(step))
    assert [float(graph(tf.constant(step))) for step in range(10)] == RATES


def test_an_optimizer_uses_a_sequence_of_schedules_and_saves_it():
    config = keras.saving.serialize_keras_object(keras.optimizers.SGD(sequence()))
    optimizer = keras.saving.deserialize_keras_object(config)
    assert optimizer._learning_rate.get_config() == sequence().get_config()
    weight = keras.Variable([10.0])
    optimizer.build([weight])
    values = [10.0]
    for _ in RATES:
        optimizer.apply([tf.constant([1.0])], [weight])
        values.append(float(weight.numpy()[0]))
    assert (-np.diff(values)).tolist() == pytest.approx(RATES)


@pytest.mark.parametrize(
    "schedules, boundaries, message",
    [
        ([0.1], [1], "one fewer than the 1 schedules, not 1"),
        ([], [], "one fewer than the 0 schedules, not 0"),
        ([0.1, 0.2], [0], "boundaries must be an integer of at least 1, not 0"),
        ([0.1, 0.2, 0.3], [4, 4], "boundaries must be an integer of at least 5, not 4"),
        ([0.1, 0.2], [1.5], "boundaries must be an integer of at least 1, not 1.5"),
    ],
)
def test_boundaries_that_do_not_fit_are_rejected(schedules, boundaries, message):
    with pytest.raises(ValueError, match=message):
        ScheduleSequence(schedules, boundaries)
