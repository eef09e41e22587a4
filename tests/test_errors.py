"""Errors of Python, TensorFlow and Keras as one line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import reason


class Broken(keras.layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # Keras writes a heading above the reason, and colours it.
        (lambda x: {}["weights"], "there is no 'weights'"),
        (lambda x: float("text"), "could not convert string to float: 'text'"),
        (lambda x: tf.reshape(x, [5]), "Input to reshape is a tensor with 2 values"),
    ],
)
@pytest.mark.parametrize("graph", [False, True])
def test_the_reason_is_the_first_line_that_helps(function, expected, graph):
    layer = Broken(function)
    call = tf.function(layer) if graph else layer
    with pytest.raises(Exception) as error:
        call(np.ones((1, 2), "float32"))
    line = reason(error.value)
    # In a graph, sizes are compared before the layer runs.
    assert line.startswith(expected) or (graph and "Cannot reshape a tensor" in line)
    assert "\x1b" not in line
    assert "{{" not in line
