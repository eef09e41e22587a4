"""Boxes are drawn where they are, seen on any background, and labelled inside the image."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageColor

from dlrecipes.figures import box_colours, draw_boxes
from dlrecipes.figures._boxes import _contrast, _place

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def pixels(image):
    return np.asarray(image).astype(int)


def changed(before, after):
    """Returns left, top, right and bottom of all pixels that differ."""
    rows, columns = np.nonzero((pixels(before) != pixels(after)).any(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("background", ["white", "black", "#e69f00", "grey"])
@pytest.mark.parametrize("dashed", [False, True])
def test_a_line_is_seen_on_any_background(background, dashed):
    image = Image.new("RGB", (100, 100), background)
    colours = {"": "#e69f00"}
    drawn = pixels(draw_boxes(image, [[20, 30, 80, 90]], [""], colours=colours, dashed=dashed))
    # The colour's first pixel is the box's own first pixel; a dark rim surrounds it.
    assert tuple(drawn[30, 20]) == ImageColor.getrgb("#e69f00")
    assert tuple(drawn[29, 20]) == tuple(drawn[30, 19]) == BLACK
    assert tuple(drawn[89, 79]) == ImageColor.getrgb("#e69f00")
    assert tuple(drawn[90, 79]) == tuple(drawn[89, 80]) == BLACK
    assert tuple(drawn[60, 50]) == ImageColor.getrgb(background), "the box is not filled"


def test_only_dashed_lines_have_gaps():
    image = Image.new("RGB", (100, 100), "white")
    solid, dashed = (
        pixels(draw_boxes(image, [[10, 10, 90, 90]], [""], dashed=dashed))[10, 10:90].tolist()
        for dashed in (False, True)
    )
    assert list(WHITE) not in solid
    # The least line is 2 pixels wide: dashes of 8 and gaps of about 6 pixels, ten gaps at most.
    assert 3 * 4 < dashed.count(list(WHITE)) < 40


def test_lines_and_letters_grow_with_the_image():
    heights, widths = [], []
    for side in (220, 1100):
        image = Image.new("RGB", (side, side), "white")
        box = [0.3 * side, 0.5 * side, 0.6 * side, 0.8 * side]
        labelled = draw_boxes(image, [box], ["cat"], colours={"cat": "#0072b2"})
        heights.append(0.5 * side - changed(image, labelled)[1])
        middle = pixels(labelled)[round(0.65 * side), : side // 2]
        widths.append((middle == ImageColor.getrgb("#0072b2")).all(axis=-1).sum())
    # Side / 220, at least 2 pixels; letters of side / 34, at least 11, in lines of 1.22 times that.
    assert widths == [2, 5]
    assert heights == [round(1.22 * 11), round(1.22 * 32)]


@pytest.mark.parametrize("seed", range(5))
def test_a_label_stays_inside_the_image(seed):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.integers(0, 200, (50, 2, 2)), axis=1)
    taken = []
    for left, top, right, bottom in corners.reshape(-1, 4).tolist():
        place = _place((left, top, right, bottom), (90, 13), (200, 200), taken)
        taken.append(place)
        assert place[0] >= 0 and place[1] >= 0 and place[2] <= 200 and place[3] <= 200
        assert (place[2] - place[0], place[3] - place[1]) == (90, 13)


def test_labels_of_boxes_at_one_place_do_not_cover_one_another():
    image = Image.new("RGB", (300, 300), "white")
    colours = {"a": "#e69f00", "b": "#0072b2"}
    box = [100, 100, 200, 200]
    alone = draw_boxes(image, [box], ["b"], [0.2], colours)
    both = draw_boxes(image, [box, box], ["b", "a"], [0.2, 0.9], colours)
    blue = ImageColor.getrgb("#0072b2")
    label = (pixels(alone)[:99] == blue).all(axis=-1).sum()
    assert label > 100
    assert (pixels(both) == blue).all(axis=-1).sum() >= label


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (28, 28), (5, 300), (300, 5)])
def test_the_smallest_images_are_drawn_on_too(size):
    boxes = [[0, 0, *size], [0, 0, 0, 0], [-5, -5, 900, 900]]
    assert draw_boxes(Image.new("L", size), boxes, ["cat"] * 3, [0.1, 0.2, 0.3]).size == size


def test_a_box_outside_the_image_changes_nothing():
    image = Image.new("RGB", (50, 50), "white")
    outside = [[50, 0, 80, 50], [-9, 0, 0, 50], [0, 60, 50, 90], [0, -20, 50, -1]]
    assert draw_boxes(image, outside, ["cat"] * 4) == image
    assert draw_boxes(image, np.zeros((0, 4)), [], []) == image


def test_the_image_itself_is_not_changed():
    image = Image.new("RGB", (50, 50), "white")
    draw_boxes(image, [[5, 5, 40, 40]], ["cat"])
    assert image == Image.new("RGB", (50, 50), "white")


def test_the_colour_of_a_class_depends_on_no_other_box():
    names = [f"class {number}" for number in range(200)]
    colours = box_colours(names)
    assert len(set(colours.values())) == 200
    assert box_colours(names[:3]) == {name: colours[name] for name in names[:3]}
    image, box = Image.new("RGB", (60, 60)), [10, 40, 50, 55]
    one = draw_boxes(image, [box], ["dog"])
    two = draw_boxes(image, [box, [70, 0, 80, 10]], ["dog", "cat"])
    assert one == two, "without colours, the label alone decides"


@pytest.mark.parametrize("colour", box_colours([str(n) for n in range(40)]).values())
def test_letters_have_the_contrast_that_accessibility_asks_for(colour):
    """WCAG 2.2, criterion 1.4.3: a ratio of at least 4.5."""

    def luminance(name):
        parts = np.array(ImageColor.getrgb(name)) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(colour), luminance(_contrast(colour))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("boxes", "labels", "scores"),
    [
        ([[0, 0, 1, 1]], [], None),
        ([[0, 0, 1, 1]], ["cat"], []),
        ([[0, 0, 1, float("nan")]], ["cat"], None),
        ([[0, 0, 1]], ["cat"], None),
    ],
)
def test_boxes_that_do_not_fit_are_refused(boxes, labels, scores):
    with pytest.raises(ValueError, match=r"^(Each|A) box must"):
        draw_boxes(Image.new("RGB", (9, 9)), boxes, labels, scores)


def test_drawing_loads_neither_matplotlib_nor_tensorflow():
    code = """if True:
        import sys
        from PIL import Image
        from dlrecipes.figures import draw_boxes
        draw_boxes(Image.new("RGB", (99, 99)), [[9, 9, 80, 80]], ["cat 猫"], [0.5])
        assert not {"matplotlib", "tensorflow", "keras"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code], check=True)
