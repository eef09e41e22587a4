import keras
import numpy as np
import pytest
from contract import gradients

from dlrecipes.layers import OrthogonalRegularizer

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(2, 3, 2, 4)).astype("float32")

each_mode = pytest.mark.parametrize("mode", ["off_diagonal", "identity"])


def by_hand(kernel, mode, axis=-1):
    """The sum over all pairs of filters; `"identity"` includes a filter with itself."""
    filters = [kernel.ravel() for kernel in np.moveaxis(kernel.astype("float64"), axis, 0)]
    total = 0.0
    for i, first in enumerate(filters):
        for j, second in enumerate(filters):
            if i != j:
                total += (first @ second) ** 2
            elif mode == "identity":
                total += (first @ first - 1) ** 2
    return total


@each_mode
@pytest.mark.parametrize("axis", [-1, -2, 0])
def test_penalty_equals_the_sum_over_pairs_of_filters(mode, axis):
    penalty = float(OrthogonalRegularizer(0.1, mode, axis)(KERNEL))
    np.testing.assert_allclose(penalty, 0.1 * by_hand(KERNEL, mode, axis), rtol=1e-5)


def test_orthogonal_filters_of_any_length_have_no_penalty():
    kernel = 3 * np.eye(4).reshape(2, 2, 4)
    assert float(OrthogonalRegularizer(1.0)(kernel)) == 0
    # Four lengths of 3 instead of 1: four times (9 - 1)^2.
    assert float(OrthogonalRegularizer(1.0, "identity")(kernel)) == 256
    assert float(OrthogonalRegularizer(1.0, "identity")(kernel / 3)) == 0


@each_mode
def test_gradient_equals_finite_differences(mode):
    (gradient,) = gradients(OrthogonalRegularizer(0.1, mode), KERNEL)
    for index in list(np.ndindex(KERNEL.shape))[::5]:
        step = np.zeros(KERNEL.shape)
        step[index] = 1e-5
        kernel = KERNEL.astype("float64")
        sides = by_hand(kernel + step, mode) - by_hand(kernel - step, mode)
        np.testing.assert_allclose(gradient[index], 0.1 * sides / 2e-5, rtol=1e-3)


def test_fit_makes_filters_orthogonal():
    layer = keras.layers.Dense(
        2, use_bias=False, kernel_regularizer=OrthogonalRegularizer(1.0, "identity")
    )
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(0.05), loss=lambda y_true, y_pred: 0 * y_pred)
    layer.kernel.assign([[1.0, 0.9], [0.1, 0.4]])
    model.fit(np.ones((200, 2)), np.ones((200, 2)), batch_size=1, verbose=0)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(2), atol=1e-3)


def test_sixteen_bit_weights_are_summed_in_float32():
    kernel = keras.ops.ones((1, 1000, 2), dtype="bfloat16")
    # Two products of 1000, squared, which bfloat16 would round.
    assert float(OrthogonalRegularizer(1.0)(kernel)) == 2e6


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"factor": -1.0}, "factor must be"),
        ({"mode": "rows"}, "mode must be one of"),
        ({"axis": None}, "axis must be"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        OrthogonalRegularizer(**kwargs)


@pytest.mark.parametrize(("shape", "axis"), [((3,), -1), ((3, 3), 2), ((3, 3), -3)])
def test_a_weight_without_the_filter_axis_raises(shape, axis):
    with pytest.raises(ValueError, match="at least two axes"):
        OrthogonalRegularizer(axis=axis)(np.zeros(shape))
