import keras
import numpy as np
import pytest

from dlrecipes.layers import AnchorBoxes


def by_hand(height, width, sizes, ratios, stride):
    boxes = []
    for row in range(height):
        for column in range(width):
            for size in sizes:
                for ratio in ratios:
                    w, h = size / ratio**0.5, size * ratio**0.5
                    x, y = (column + 0.5) * stride, (row + 0.5) * stride
                    boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return np.array(boxes)


def anchors(height, width, **kwargs):
    layer = AnchorBoxes(**kwargs)
    return keras.ops.convert_to_numpy(layer(np.zeros((2, height, width, 1), "float32")))


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (4, 1)])
def test_anchors_equal_a_loop_over_positions_sizes_and_ratios(height, width):
    kwargs = {"sizes": (8, 20, 31), "ratios": (0.5, 1, 3), "stride": 6}
    np.testing.assert_allclose(
        anchors(height, width, **kwargs), by_hand(height, width, **kwargs), rtol=1e-6, atol=1e-5
    )


def test_an_anchor_covers_its_size_squared_and_has_its_ratio():
    left, top, right, bottom = anchors(1, 1).T
    width, height = right - left, bottom - top
    np.testing.assert_allclose(width * height, np.repeat([128**2, 256**2, 512**2], 3), rtol=1e-5)
    np.testing.assert_allclose(height / width, np.tile([0.5, 1, 2], 3), rtol=1e-5)


def test_an_image_of_1000_by_600_has_the_number_of_anchors_in_the_paper():
    # Section 3.3 of the paper: "roughly 20000 (about 60 x 40 x 9) anchors in total".
    assert anchors(40, 60).shape == (60 * 40 * 9, 4)


def test_anchors_are_centred_on_the_area_of_their_position():
    boxes = anchors(3, 2, sizes=(4,), ratios=(1,), stride=16).reshape(3, 2, 4)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    np.testing.assert_allclose(centres[2, 1], [24, 40])


@pytest.mark.parametrize(
    "name, value",
    [
        ("sizes", ()),
        ("sizes", (0,)),
        ("sizes", "128"),
        ("sizes", ["128"]),
        ("sizes", 128),
        ("ratios", (1, -1)),
        ("stride", 0),
        ("stride", None),
    ],
)
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*above 0"):
        AnchorBoxes(**{name: value})
