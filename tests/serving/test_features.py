"""Features of examples in JSON, and the protos that they become."""

import json

import numpy as np
import tensorflow as tf

from dlrecipes.serving import examples, features
from dlrecipes.serving.limits import Limits


def test_long_features_are_read_exactly():
    values = [0.1, 1e38, float("inf")] * features.LONG
    integers = list(range(-5, features.LONG))
    body = json.dumps({"examples": [{"x": values, "n": integers, "empty": []}]}).encode()
    _, context, rows = features.read(body, "classify", Limits())
    (proto,) = examples.serialize(context, rows, Limits())
    read = tf.train.Example.FromString(proto).features.feature
    np.testing.assert_array_equal(np.float32(read["x"].float_list.value), np.float32(values))
    assert list(read["n"].int64_list.value) == integers
    assert read["empty"].WhichOneof("kind") is None
