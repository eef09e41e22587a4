import keras
import numpy as np
import pytest

from dlrecipes.layers import PartialConv2D

RNG = np.random.default_rng(0)
TABLE = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 0, 1]], bool)


def papers_table():
    """Table I of the paper: the maps of S2 (rows) that each map of C3 (columns) sees."""
    seen = [[(first + step) % 6 for step in range(3)] for first in range(6)]
    seen += [[(first + step) % 6 for step in range(4)] for first in range(6)]
    # The discontinuous rows: two neighbouring maps and the two on the opposite side.
    seen += [[first, first + 1, first + 3, (first + 4) % 6] for first in range(3)]
    seen += [range(6)]
    table = np.zeros((6, 16), bool)
    for column, rows in enumerate(seen):
        table[list(rows), column] = True
    return table


def by_hand(x, kernel, bias, table):
    """The definition, for strides of 1 without padding; `kernel` is in the table's order."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    y = np.zeros((len(x), rows, columns, table.shape[1])) + bias
    for connection, (source, target) in enumerate(np.argwhere(table)):
        for i in range(rows):
            for j in range(columns):
                part = x[:, i : i + height, j : j + width, source]
                y[:, i, j, target] += (part * kernel[..., connection]).sum(axis=(1, 2))
    return y


def test_outputs_equal_the_definition():
    x = RNG.normal(size=(2, 5, 6, 3)).astype("float32")
    layer = PartialConv2D(4, (3, 2), TABLE, bias_initializer="random_normal")
    y = np.array(layer(x))
    kernel, bias = (np.array(weight) for weight in layer.get_weights())
    assert kernel.shape == (3, 2, TABLE.sum())
    np.testing.assert_allclose(y, by_hand(x, kernel, bias, TABLE), atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, (2, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_it_equals_conv2d_with_zeros_for_absent_connections(padding, strides, use_bias):
    x = RNG.normal(size=(2, 6, 7, 3)).astype("float32")
    ours = PartialConv2D(4, 3, TABLE, strides, padding, "tanh", use_bias=use_bias)
    theirs = keras.layers.Conv2D(4, 3, strides, padding, activation="tanh", use_bias=use_bias)
    ours.build(x.shape)
    theirs.build(x.shape)
    dense = np.zeros((3, 3, 3, 4), "float32")
    dense[:, :, TABLE] = np.array(ours.kernel)
    theirs.kernel.assign(dense)
    y = np.array(theirs(x))
    np.testing.assert_allclose(np.array(ours(x)), y, atol=1e-5)
    assert ours.compute_output_shape(x.shape) == y.shape


def test_a_block_diagonal_table_is_grouped_convolution():
    x = RNG.normal(size=(1, 4, 4, 4)).astype("float32")
    grouped = keras.layers.Conv2D(2, 3, groups=2)
    ours = PartialConv2D(2, 3, [[1, 0], [1, 0], [0, 1], [0, 1]])
    grouped.build(x.shape)
    ours.build(x.shape)
    kernel = np.array(grouped.kernel)
    # Row by row: map 0 sees inputs 0 and 1, then map 1 inputs 2 and 3.
    ours.kernel.assign(np.stack([kernel[:, :, i, m] for m in (0, 1) for i in (0, 1)], axis=-1))
    np.testing.assert_allclose(np.array(ours(x)), np.array(grouped(x)), atol=1e-5)


def test_only_present_connections_have_parameters_as_in_the_paper():
    table = papers_table()
    # Six maps see 3, nine see 4, one sees all 6; and each input is seen by ten.
    assert sorted(table.sum(axis=0)) == [3] * 6 + [4] * 9 + [6]
    assert set(table.sum(axis=1)) == {10}
    layer = PartialConv2D(16, 5, table)
    layer.build((None, 14, 14, 6))
    assert layer.count_params() == 1516
    assert layer.compute_output_shape((None, 14, 14, 6)) == (None, 10, 10, 16)


def test_each_map_is_initialised_for_its_number_of_inputs():
    class PerInput(keras.initializers.Initializer):
        """Fills a kernel with the number of inputs that each unit would have."""

        def __call__(self, shape, dtype=None):
            return keras.ops.full(shape, shape[0] * shape[1] * shape[2], dtype=dtype)

    layer = PartialConv2D(4, (3, 2), TABLE, kernel_initializer=PerInput())
    layer.build((None, None, None, 3))
    inputs = 6 * TABLE.sum(axis=0)
    expected = inputs[np.nonzero(TABLE)[1]]
    np.testing.assert_array_equal(np.array(layer.kernel)[2, 1], expected)


def test_connections_start_with_different_weights():
    layer = PartialConv2D(16, 3, papers_table())
    layer.build((None, None, None, 6))
    values = np.array(layer.kernel).ravel()
    assert len(np.unique(values)) > 0.99 * len(values)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"filters": 0}, "filters must be an integer"),
        ({"filters": 5}, "table of filters = 5 columns, not of shape"),
        ({"connections": [1, 1, 1, 1]}, "table of filters = 4 columns"),
        ({"connections": [[1, 0, 1, 0]]}, r"true entry in each column, but columns \[1, 3\]"),
        ({"kernel_size": (3, 0)}, "kernel_size must be one or two integers"),
        ({"strides": 0}, "strides must be one or two integers"),
        ({"padding": "causal"}, "padding must be 'valid' or 'same'"),
    ],
)
def test_invalid_arguments_raise(change, message):
    with pytest.raises(ValueError, match=message):
        PartialConv2D(**{"filters": 4, "kernel_size": 3, "connections": TABLE, **change})


def test_other_numbers_of_input_maps_raise():
    with pytest.raises(ValueError, match="as many maps as the table has rows, 3, not 2"):
        PartialConv2D(4, 3, TABLE).build((None, 5, 5, 2))


def test_maps_smaller_than_the_kernel_raise():
    with pytest.raises(ValueError, match=r"as large as the window, \(3, 3\)"):
        PartialConv2D(1, 3, [[1]], padding="valid")(np.zeros((1, 2, 2, 1), "float32"))
