"""Every public loss keeps its contract; each has cases in `loss_cases`."""

import keras
import numpy as np
import pytest
from contract import LossCase, gradients, load_cases, on_tensorflow, slopes

from dlrecipes import losses

CASES = load_cases("loss_cases")

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


def total(name: str, key: str, dtype: str = "float32"):
    """Returns the loss as a function of one argument, summed."""
    return lambda x: keras.ops.sum(value(name, dtype, **{key: x}))


def test_every_public_loss_has_a_case():
    assert {name.partition("-")[0] for name in CASES} == set(losses.__all__)


@each_case
def test_value_is_finite_and_keeps_the_type(name):
    for loss in keras.tree.flatten(value(name)):
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert np.isfinite(keras.ops.convert_to_numpy(loss)).all()


@each_case
def test_bfloat16_is_near_float32(name):
    exact = keras.ops.convert_to_numpy(value(name))
    low = keras.ops.convert_to_numpy(keras.ops.cast(value(name, "bfloat16"), "float32"))
    np.testing.assert_allclose(low, exact, rtol=0.05, atol=0.05)


@each_case
def test_gradient_is_finite(name):
    for key, array in CASES[name].arguments.items():
        (gradient,) = gradients(total(name, key), array.astype("float32"))
        assert np.isfinite(gradient).all(), key


# On JAX Keras computes in 32 bits, which is not precise enough for finite differences.
@on_tensorflow
@each_case
def test_gradient_equals_finite_differences(name):
    for key, array in CASES[name].arguments.items():
        array = array.astype("float64")
        (gradient,) = gradients(total(name, key, "float64"), array)
        (expected,) = slopes(total(name, key, "float64"), array)
        np.testing.assert_allclose(gradient, expected, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", losses.__all__)
def test_docstring_has_all_sections_and_its_examples_run(name, assert_documented):
    sections = ("Args", "Returns", "Example", "Reference")
    assert_documented(getattr(losses, name), sections)
