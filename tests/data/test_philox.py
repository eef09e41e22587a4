"""Random numbers of a seed without TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.philox import stateless_uniform


@pytest.mark.parametrize("seed", [0, 7, -3, 2**31 - 1])
@pytest.mark.parametrize("shape", [(1,), (5, 7), (3, 100)])
def test_numbers_are_those_of_tensorflow_bit_for_bit(seed, shape):
    expected = tf.random.stateless_uniform(shape, [seed, 3], -1.0, 1.0)
    np.testing.assert_array_equal(stateless_uniform(shape, (seed, 3), -1.0, 1.0), expected)
