import numpy as np
import pytest

from dlrecipes.models import small_cnn


def test_sizes_and_parameter_count_match_the_docstring():
    model = small_cnn()
    sizes = [
        model.get_layer(name).output.shape[1]
        for name in ("conv_1", "pool_1", "conv_2", "conv_3", "pool_3", "conv_4")
    ]
    assert sizes == [24, 12, 10, 8, 4, 2]
    kernels = 25 * 32 + 9 * 32 * 64 + 9 * 64 * 64 + 9 * 64 * 128
    normalisation = 2 * (32 + 64 + 64 + 128)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == kernels + normalisation + 2 * 2 * 128 * 10 + 10


@pytest.mark.parametrize(
    "options, message",
    [
        ({"input_shape": (23, 28, 1)}, "at least 24"),
        ({"filters": (8, 8)}, "filters must be four integers"),
        ({"filters": (8, 8, 8, 0)}, "filters must be a tuple or list of integers"),
        ({"dropout": 1}, "dropout must be"),
    ],
)
def test_invalid_arguments_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        small_cnn(**options)


def test_smallest_image_leaves_one_position():
    assert small_cnn(input_shape=(24, 24, 1)).get_layer("conv_4").output.shape[1:3] == (1, 1)
