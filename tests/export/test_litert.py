"""Conversion to LiteRT in one or several formats."""

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.litert import convert, convert_each
from dlrecipes.export.signatures import Signature


@pytest.mark.parametrize("kinds", [("float32", "int8"), ("int8", "float16", "float32")])
def test_a_function_is_traced_once_for_all_formats(kinds):
    traces = []

    def function(x):
        traces.append(x)
        return {"y": x * tf.reshape(tf.range(4096.0), [64, 64])}

    spec, example = tf.TensorSpec([64, 64], tf.float32, name="x"), (np.ones((64, 64), "float32"),)
    signature = Signature(function, [spec], [example])
    contents = dict(zip(kinds, convert_each(signature, kinds, [example]), strict=True))
    assert len(traces) == 1
    # The order and the other formats change no file.
    for kind, content in contents.items():
        assert content == convert(signature, kind, [example])


def test_an_unknown_format_is_rejected(make_exports, model):
    with pytest.raises(ValueError, match="kind must be"):
        convert(make_exports(model).litert, "int4")
