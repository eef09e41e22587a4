import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training._engine import stateless_random

MANY = [20_000]


def test_draws_have_their_distribution():
    """Of n draws the mean has a standard error of sigma / sqrt(n): 5 of them are allowed."""
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
    "draw", [stateless_random.normal, stateless_random.uniform, stateless_random.replicated_uniform]
)
def test_seed_step_and_stream_decide_and_nothing_else(draw):
    first = draw([4, 2], 1, tf.constant(2), 3)
    np.testing.assert_array_equal(draw([4, 2], 1, tf.constant(2, tf.int64), 3), first)
    others = [draw([4, 2], *key) for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0), (3, 2, 1))]
    for number, one in enumerate([first, *others]):
        for other in [first, *others][:number]:
            assert not np.intersect1d(one, other).size


@pytest.mark.parametrize(
    "draw", [stateless_random.normal, stateless_random.uniform, stateless_random.replicated_uniform]
)
def test_graph_draws_what_is_drawn_eagerly(draw):
    graph = tf.function(lambda step: draw([3, 2], 1, step))
    np.testing.assert_array_equal(graph(tf.constant(2)), draw([3, 2], 1, tf.constant(2)))


TWO_DEVICES = """
import numpy as np, tensorflow as tf
from dlrecipes.training._engine import stateless_random
device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
r = stateless_random
for draw in (r.normal, r.uniform, r.replicated_uniform):
    run = tf.function(lambda: strategy.run(lambda: draw([3, 2], 5, tf.constant(7), 1)))
    first, second = strategy.experimental_local_results(run())
    whole = draw([3 if draw is stateless_random.replicated_uniform else 6, 2], 5, tf.constant(7), 1)
    both = [first, second] if draw is not stateless_random.replicated_uniform else [first]
    np.testing.assert_array_equal(np.concatenate(both), whole)
    assert (draw is stateless_random.replicated_uniform) == bool(np.array_equal(first, second))
print("equal")
"""


@pytest.mark.slow
def test_replicas_draw_the_shares_of_one_process():
    ended = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False
    )
    assert ended.stdout.strip() == "equal", ended.stderr[-2000:]
