import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import Step


def test_output_rises_at_the_threshold_itself():
    below, above = np.nextafter(np.float32(0.25), [np.float32(0), np.float32(1)])
    x = ops.array([-np.inf, -1, below, 0.25, above, np.inf])
    expected = [0, 0, 0, 1, 1, 1]
    assert ops.convert_to_numpy(Step(threshold=0.25)(x)).tolist() == expected


def test_zero_of_either_sign_reaches_the_threshold_of_zero():
    assert ops.convert_to_numpy(Step()(ops.array([-0.0, 0.0]))).tolist() == [1, 1]


def test_gradient_is_zero_or_none():
    x = np.array([-1.0, 0.5], "float32")
    gradient = gradients(lambda x: ops.sum(Step()(x)), x)[0]
    assert gradient is None or not gradient.any()


def test_sixteen_bit_policy_compares_before_it_rounds():
    # In bfloat16 both are 1.
    y = Step(threshold=1.0, dtype="mixed_bfloat16")(ops.array([0.999, 1.0]))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert ops.convert_to_numpy(ops.cast(y, "float32")).tolist() == [0, 1]


@pytest.mark.parametrize("threshold", [np.inf, np.nan, None, "x"])
def test_invalid_threshold_raises(threshold):
    with pytest.raises(ValueError, match="threshold must be a finite number"):
        Step(threshold)


def test_integers_are_compared_with_a_threshold_between_them():
    y = Step(threshold=0.5)(ops.array([0, 1], "int32"))
    assert ops.convert_to_numpy(y).tolist() == [0, 1]
