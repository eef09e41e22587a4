"""Random numbers depend on seed, step and stream alone, on any number of replicas."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training._engine import stateless_random

MANY = [20_000]


def test_random_numbers_have_their_distribution():
    """The mean of n numbers has a standard error of sigma / sqrt(n); 5 of them are allowed."""
    normal, uniform = (
        stateless_random.normal(MANY, 0, 3).numpy(),
        stateless_random.uniform(MANY, 0, 3).numpy(),
    )
    error = 5 / np.sqrt(MANY[0])
    assert abs(normal.mean()) < error
    assert abs(normal.var() - 1) < error * np.sqrt(2)
    assert abs(uniform.mean() - 0.5) < error * np.sqrt(1 / 12)
    assert abs(uniform.var() - 1 / 12) < error / 12
    assert uniform.min() >= 0 and uniform.max() < 1


@pytest.mark.parametrize(
    "generate",
    [stateless_random.normal, stateless_random.uniform, stateless_random.replicated_uniform],
)
def test_seed_step_and_stream_alone_determine_the_numbers(generate):
    first = generate([4, 2], 1, tf.constant(2), 3)
    np.testing.assert_array_equal(generate([4, 2], 1, tf.constant(2, tf.int64), 3), first)
    others = [generate([4, 2], *key) for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (3, 2, 1))]
    for number, values in enumerate([first, *others]):
        for other in [first, *others][:number]:
            assert not np.intersect1d(values, other).size


@pytest.mark.parametrize(
    "generate",
    [stateless_random.normal, stateless_random.uniform, stateless_random.replicated_uniform],
)
def test_graph_and_eager_mode_generate_the_same_numbers(generate):
    graph = tf.function(lambda step: generate([3, 2], 1, step))
    np.testing.assert_array_equal(graph(tf.constant(2)), generate([3, 2], 1, tf.constant(2)))


TWO_DEVICES = """
import numpy as np, tensorflow as tf
from dlrecipes.training._engine import stateless_random
device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
r = stateless_random
for generate in (r.normal, r.uniform, r.replicated_uniform):
    run = tf.function(lambda: strategy.run(lambda: generate([3, 2], 5, tf.constant(7), 1)))
    first, second = strategy.experimental_local_results(run())
    replicated = generate is r.replicated_uniform
    whole = generate([3 if replicated else 6, 2], 5, tf.constant(7), 1)
    parts = [first] if replicated else [first, second]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert replicated == bool(np.array_equal(first, second))
print("equal")
"""


@pytest.mark.slow
def test_replicas_generate_the_numbers_of_a_single_device():
    process = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False
    )
    assert process.stdout.strip() == "equal", process.stderr[-2000:]
