import numpy as np
import pytest

from dlrecipes.metrics import count_macs
from dlrecipes.models import small_resnet


def test_sizes_match_the_docstring():
    model = small_resnet()
    names = ("stem", "stage1", "stage1_1", "stage2_1", "stage3_1")
    assert [model.get_layer(name).output.shape[1] for name in names] == [32, 16, 16, 8, 4]


def test_parameter_and_operation_counts_match_a_count_by_hand():
    model = small_resnet()
    # Convolutions as (pixels per side, window, input channels, output channels).
    convolutions = [
        *[(32, 2, 3, 16), (32, 3, 16, 16), (16, 3, 16, 16), (16, 3, 16, 64)],
        *[(8, 3, 64, 64), (8, 3, 64, 128), (4, 3, 128, 128)],
    ]
    kernels = sum(window**2 * a * b for _, window, a, b in convolutions)
    normalisation = sum(2 * b for *_, b in convolutions)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == kernels + normalisation + 128 * 10 + 10
    macs = sum((side * window) ** 2 * a * b for side, window, a, b in convolutions)
    assert count_macs(model) == macs + 128 * 10


def test_strided_stem_costs_an_image_of_twice_the_size_as_much():
    def without_stem(model):
        stem = model.get_layer("stem_conv")
        side = stem.output.shape[1]
        return count_macs(model) - side**2 * int(np.prod(stem.kernel.shape))

    large = small_resnet(input_shape=(64, 64, 3), stem_stride=2)
    assert without_stem(large) == without_stem(small_resnet())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"filters": ()}, "filters must be"),
        ({"filters": (8, 0)}, "filters must be a tuple or list of integers"),
        ({"blocks": 0}, "blocks must be"),
        ({"stem_stride": 0}, "stem_stride must be"),
        ({"dropout": 1}, "dropout must be"),
        ({"input_shape": (32, 32)}, "input_shape must be"),
    ],
)
def test_invalid_arguments_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        small_resnet(**options)
