import keras
import numpy as np
import pytest

from dlrecipes.layers import ScaledTanh


def test_outputs_equal_the_equation():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    y = ScaledTanh(3.0, 0.4)(x)
    np.testing.assert_allclose(np.array(y), 3.0 * np.tanh(0.4 * x), rtol=1e-5)


def test_it_passes_through_one_and_minus_one_as_in_the_paper():
    y = ScaledTanh()(np.array([-1.0, 0.0, 1.0], "float32"))
    np.testing.assert_allclose(np.array(y), [-1, 0, 1], atol=1e-5)


def test_its_curvature_is_largest_near_one_as_in_the_paper():
    a = np.linspace(0, 3, 61, dtype="float32")
    y = np.array(ScaledTanh()(a))
    bend = np.abs(y[2:] - 2 * y[1:-1] + y[:-2])
    # The second derivative is largest where tanh(slope * a) ** 2 is a third.
    largest = 1.5 * np.arctanh(np.sqrt(1 / 3))
    assert a[1:-1][np.argmax(bend)] == pytest.approx(largest, abs=0.05)
    assert largest == pytest.approx(1, abs=0.02)


def test_mask_is_passed_on():
    mask = keras.ops.array([[True, False]])
    y = keras.Sequential([keras.layers.Masking(0.0), ScaledTanh()])(
        np.array([[[1.0], [0.0]]], "float32")
    )
    np.testing.assert_array_equal(np.array(y._keras_mask), np.array(mask))


@pytest.mark.parametrize("name", ["amplitude", "slope"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        ScaledTanh(**{name: value})
