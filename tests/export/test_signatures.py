"""Signatures: the names of their inputs are valid in every format."""

import dataclasses

import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.signatures import Signature


def signature(*names):
    specs = [tf.TensorSpec([None], tf.float32, name=name) for name in names]
    return Signature(lambda *tensors: {"sum": tf.add_n(tensors)}, specs, [])


def test_inputs_have_the_names_that_the_saved_model_gives_them():
    changed = signature("User-ID", "1st", None, "class", "x")
    names = [spec.name for spec in changed.inputs]
    assert names == ["User_ID", "arg_1st", "input", "class_", "x"]
    assert changed.given_names == {"User_ID": "User-ID", "arg_1st": "1st", "class_": "class"}
    again = dataclasses.replace(changed, examples=[])
    assert again.given_names == changed.given_names


@pytest.mark.parametrize("result", [tf.constant(1.0), [tf.constant(1.0)], {0: tf.constant(1.0)}])
def test_a_function_that_does_not_return_tensors_by_name_is_rejected(result):
    wrong = dataclasses.replace(signature("x"), function=lambda x: result)
    with pytest.raises(PublishError, match="must return a dictionary of tensors by name"):
        concrete_function(wrong)
