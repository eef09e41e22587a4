"""How a model is called when its `.keras` file is checked."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export import keras_check, reference_outputs
from dlrecipes.export.signatures import Signature


class Wrapped(keras.Model):
    """A trainer around a network whose inputs are a dictionary or a tensor."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, inputs):
        return self.network(inputs)


def network(is_named):
    x = keras.Input((3,), name="words")
    return keras.Model({"words": x} if is_named else x, keras.layers.Dense(2)(x))


@pytest.mark.parametrize(("is_named", "call"), [(True, "names"), (False, "tensor")])
def test_a_model_is_called_in_the_structure_of_its_network_without_warnings(is_named, call):
    model = Wrapped(network(is_named))
    x = np.arange(6, dtype="float32").reshape(2, 3)
    signature = Signature(model, [tf.TensorSpec([None, 3], tf.float32, name="words")], [(x,)])
    inner = network(is_named)
    references = reference_outputs.record(
        signature, lambda words: {"y": inner({"words": words} if is_named else words)}
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorded = keras_check.record(model, references)
    assert recorded["call"] == call
    assert [str(one.message) for one in caught if "structure" in str(one.message)] == []
