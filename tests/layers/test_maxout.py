import keras
import numpy as np
import pytest
from contract import gradients, slopes
from keras import ops

from dlrecipes.layers import Maxout

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))


def by_hand(x, kernel, bias, units, pieces):
    y = np.empty((len(x), units))
    for b in range(len(x)):
        for j in range(units):
            columns = [p * units + j for p in range(pieces)]
            y[b, j] = max(x[b] @ kernel[:, c] + bias[c] for c in columns)
    return y


def test_outputs_equal_loops_over_units_and_pieces():
    layer = Maxout(2, pieces=3, bias_initializer="random_normal")
    y = ops.convert_to_numpy(layer(ops.array(X, "float32")))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (3, 6)
    np.testing.assert_allclose(y, by_hand(X, kernel, bias, 2, 3), rtol=1e-5, atol=1e-6)


def test_axes_before_the_last_are_kept():
    layer = Maxout(2)
    x = ops.array(RNG.normal(size=(2, 5, 3)), "float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x))[:, 3], ops.convert_to_numpy(layer(x[:, 3])), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("second", "function"),
    [(0, lambda x: np.maximum(x, 0)), (-1, np.abs), (0.1, lambda x: np.maximum(x, 0.1 * x))],
)
def test_two_pieces_can_represent_common_activations(second, function):
    layer = Maxout(3, use_bias=False)
    layer.build((None, 3))
    layer.set_weights([np.concatenate([np.eye(3), second * np.eye(3)], axis=1)])
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(ops.array(X, "float32"))), function(X), rtol=1e-6
    )


def test_one_piece_is_a_dense_layer():
    layer = Maxout(2, pieces=1)
    y = ops.convert_to_numpy(layer(ops.array(X, "float32")))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, X @ kernel + bias, rtol=1e-5)


def test_gradients_equal_finite_differences(float64):
    layer = Maxout(2, pieces=3, dtype="float64")
    layer.build((None, 3))

    def total(x):
        return ops.sum(ops.square(layer(x)))

    variables = layer.trainable_variables
    computed = gradients(total, X, variables=variables)
    for ours, numeric in zip(computed, slopes(total, X, variables=variables), strict=True):
        np.testing.assert_allclose(ours, numeric, atol=1e-8)


def test_regularizers_and_constraints_apply_to_the_weights():
    layer = Maxout(
        2,
        kernel_initializer="ones",
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L1(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        kernel_constraint=keras.constraints.MaxNorm(1.0),
        bias_constraint="non_neg",
    )
    layer.build((None, 3))
    # 3 x 4 ones times 0.5, and 4 ones times 0.25.
    assert sorted(float(loss) for loss in layer.losses) == [1, 6]
    kernel = layer.affine.kernel
    bounded = ops.convert_to_numpy(kernel.constraint(kernel))
    np.testing.assert_allclose(bounded, np.full((3, 4), 3**-0.5), rtol=1e-5)
    assert isinstance(layer.affine.bias.constraint, keras.constraints.NonNeg)
    restored = Maxout.from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()
    assert restored.affine.kernel_constraint.max_value == 1


@pytest.mark.parametrize(
    ("kwargs", "name"), [({"units": 0}, "units"), ({"units": 2, "pieces": 0}, "pieces")]
)
def test_invalid_sizes_raise(kwargs, name):
    with pytest.raises(ValueError, match=f"{name} must be an integer"):
        Maxout(**kwargs)
