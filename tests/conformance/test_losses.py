"""What every public loss must be able to do, one case or more a loss (in `loss_cases`)."""

import keras
import numpy as np
import pytest
from contract import LossCase, cases, on_tensorflow

from dlrecipes import losses

CASES = cases("loss_cases")

each_case = pytest.mark.parametrize("name", CASES)


def loss_of(name: str):
    return getattr(losses, name.partition("-")[0])


def value(name: str, dtype: str = "float32", **replaced):
    case: LossCase = CASES[name]
    tensors = {
        key: keras.ops.convert_to_tensor(array, dtype=dtype)
        for key, array in {**case.arguments, **replaced}.items()
    }
    return loss_of(name)(**tensors, **case.fixed)


def test_every_public_loss_has_a_case():
    assert {name.partition("-")[0] for name in CASES} == set(losses.__all__)


@each_case
def test_value_is_finite_and_keeps_the_type(name):
    for found in keras.tree.flatten(value(name)):
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        assert np.isfinite(keras.ops.convert_to_numpy(found)).all()


@each_case
def test_bfloat16_is_near_float32(name):
    exact = keras.ops.convert_to_numpy(value(name))
    low = keras.ops.convert_to_numpy(keras.ops.cast(value(name, "bfloat16"), "float32"))
    np.testing.assert_allclose(low, exact, rtol=0.05, atol=0.05)


@on_tensorflow
@each_case
def test_gradient_equals_finite_differences(name):
    import tensorflow as tf

    step = 1e-5
    for key, array in CASES[name].arguments.items():
        x = tf.Variable(array.astype("float64"))
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(value(name, "float64", **{key: x}))
        gradient = np.array(tf.convert_to_tensor(tape.gradient(total, x)))
        numeric = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            change = np.zeros(array.shape)
            change[index] = step
            sides = [
                float(tf.reduce_sum(value(name, "float64", **{key: array + sign * change})))
                for sign in (1, -1)
            ]
            numeric[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(gradient, numeric, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", losses.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Returns", "Example", "Reference")
    assert_documented(getattr(losses, name), sections)
