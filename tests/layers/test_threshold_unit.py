import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.layers import ThresholdUnit

PAIRS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")


def test_outputs_equal_loops_over_units_and_inputs():
    rng = np.random.default_rng(0)
    x, w, t = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    y = ops.convert_to_numpy(ThresholdUnit(2, w, t.tolist())(ops.array(x, "float32")))
    for b in range(4):
        for j in range(2):
            total = sum(w[i, j] * x[b, i] for i in range(3))
            assert y[b, j] == (1 if total >= t[j] else 0)


def test_one_threshold_applies_to_all_units():
    layer = ThresholdUnit(3, threshold=0.5)
    layer.build((None, 2))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.thresholds), [0.5] * 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel), np.zeros((2, 3)))


def test_rosenblatts_rule_learns_or():
    unit = ThresholdUnit()
    targets = np.array([0, 1, 1, 1], "float32")
    for _ in range(10):
        for x, target in zip(PAIRS, targets, strict=True):
            error = target - ops.convert_to_numpy(unit(x[None]))[0, 0]
            unit.kernel.assign_add(error * x[:, None])
            unit.thresholds.assign_sub([error])
    np.testing.assert_array_equal(ops.convert_to_numpy(unit(PAIRS))[:, 0], targets)


def test_variables_are_trainable_unless_fixed():
    free, fixed = ThresholdUnit(), ThresholdUnit(trainable=False)
    for layer in (free, fixed):
        layer.build((None, 2))
    assert [w.path.split("/")[-1] for w in free.trainable_variables] == ["kernel", "thresholds"]
    assert fixed.trainable_variables == []
    assert len(fixed.non_trainable_variables) == 2


def test_output_has_no_gradient_and_the_potential_has_one():
    unit = ThresholdUnit(weights=[2, -3], threshold=1)
    x = np.array([[1.0, 1.0]], "float32")
    gradient = gradients(lambda x: ops.sum(unit(x)), x)[0]
    assert gradient is None or not gradient.any()
    np.testing.assert_array_equal(gradients(lambda x: ops.sum(unit.potential(x)), x)[0], [[2, -3]])
    # 2 - 3 - 1.
    assert float(unit.potential(ops.array(x))[0, 0]) == -2


def test_sixteen_bit_policy_does_not_round_the_sum():
    # In bfloat16, 1.001 rounds to 1, which is below the threshold of 1.0005.
    unit = ThresholdUnit(weights=[1.0], threshold=1.0005, dtype="mixed_bfloat16")
    y = keras.Sequential([keras.Input((1,)), unit])(ops.array([[1.0], [1.001]]))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert ops.convert_to_numpy(ops.cast(y, "float32")).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, "units must be"),
        ({"units": 1.5}, "units must be"),
        ({"output": "ternary"}, "output must be one of binary, bipolar"),
        ({"units": 2, "threshold": [1, 2, 3]}, "threshold must be a number or 2"),
        ({"units": True}, "units must be"),
        ({"threshold": None}, "threshold must be a number or 1 of them, not None"),
        ({"threshold": np.nan}, "threshold must be a number or 1 of them, not nan"),
        ({"threshold": "2"}, "threshold must be a number or 1 of them, not '2'"),
        ({"units": 2, "threshold": [[1], [1, 2]]}, "threshold must be a number or 2 of them"),
        ({"weights": ["1", "1"]}, "weights must be of shape .* and finite numbers"),
        ({"weights": [1, None]}, "weights must be of shape .* and finite numbers"),
        ({"weights": [[1], [1, 2]]}, "weights must be of shape .* and finite numbers"),
        ({"units": 2, "weights": [1, 1]}, r"weights must be of shape \(features, 2\)"),
        ({"weights": [[1, 2], [3, 4]]}, r"weights must be of shape \(features, 1\)"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ThresholdUnit(**kwargs)


def test_weights_for_another_number_of_inputs_raise():
    with pytest.raises(ValueError, match="weights must be for 3 inputs, not 2"):
        ThresholdUnit(weights=[1, 1]).build((None, 3))
