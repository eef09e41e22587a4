"""Outputs that are results of classification or regression, and others."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.serving import examples
from dlrecipes.serving.status import RequestError


def strings(*rows):
    return np.array(rows, object)


# Shapes and messages are those of TensorFlow Serving's classifier.cc and regressor.cc.
@pytest.mark.parametrize(
    ("method", "outputs", "message"),
    [
        ("classify", {"classes": np.int32([[1], [2]])}, "classes Tensor of strings. Got: int32"),
        ("classify", {"scores": np.float32([1, 2])}, "[batch_size num_classes] but got [2]"),
        ("classify", {"scores": strings([b"a"], [b"b"])}, "of numbers. Got: string"),
        ("classify", {"scores": np.float32([[1]])}, "scores output batch size of 2. Got: 1"),
        ("classify", {"classes": strings([b"a"])}, "classes output batch size of 2. Got: 1"),
        (
            "classify",
            {"scores": np.float32([[1], [2]]), "classes": strings([b"a", b"b"], [b"c", b"d"])},
            "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
        ),
        ("regress", {"outputs": np.float32([[1, 2], [3, 4]])}, "or [batch_size, 1] but got [2, 2]"),
        ("regress", {"outputs": np.float32(1)}, "or [batch_size, 1] but got []"),
        ("regress", {"outputs": np.float32([[[1]], [[2]]])}, "but got [2, 1, 1]"),
        ("regress", {"outputs": np.float32([1])}, "did not match output batch size: 2 vs. 1"),
        ("regress", {"outputs": strings(b"a", b"b")}, "outputs Tensor of numbers. Got: string"),
    ],
)
def test_outputs_that_are_not_results_are_refused(method, outputs, message):
    with pytest.raises(RequestError) as error:
        examples.results(outputs, method, 2)
    assert message in error.value.message
    assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("method", "outputs", "expected"),
    [
        ("classify", {"scores": np.float32([[0.5], [1]])}, [[["", 0.5]], [["", 1.0]]]),
        ("classify", {"classes": strings([b"a"], [b"b"])}, [[["a", 0.0]], [["b", 0.0]]]),
        ("regress", {"outputs": np.float32([[0.5], [2]])}, [0.5, 2.0]),
        ("regress", {"outputs": np.float32([0.5, 2])}, [0.5, 2.0]),
        ("regress", {"outputs": tf.constant([0.5, 2], tf.bfloat16).numpy()}, [0.5, 2.0]),
    ],
)
def test_outputs_of_each_accepted_shape_are_results(method, outputs, expected):
    assert examples.results(outputs, method, 2) == expected
    # Other outputs of the signature do not matter.
    both = {**outputs, "other": np.zeros(3)}
    assert [*itertools.chain(*examples.parts(both, method, 2))] == expected
