"""Figures of detectors show predictions, truth and mistakes, and read only what they draw."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageColor

from dlrecipes.figures import (
    annotated_images,
    box_colours,
    detected_objects,
    detection_mistakes,
    precision_recall,
    save,
)

NAMES = ["cat", "dog"]


GREY = np.full((100, 100, 3), 128, "uint8")


TRUTH = {"boxes": [[10, 10, 40, 40]], "classes": [0]}


NOTHING = {"boxes": [], "classes": [], "scores": []}


@dataclass
class Mistake:
    image: int
    place: int
    kind: str = "background"


class Counted:
    """Images that remember which of them were read."""

    def __init__(self):
        self.read = []

    def __getitem__(self, number):
        self.read.append(number)
        return GREY


def pixels(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def count(figure, colour, below=80):
    """Returns how many pixels of a sheet have a colour, below the title and the legend."""
    return (pixels(figure)[below:] == ImageColor.getrgb(colour)).all(axis=-1).sum()


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_predictions_have_the_colour_of_their_class_and_the_truth_is_white():
    cat, dog = box_colours(NAMES).values()
    guess = {"boxes": [[50, 50, 90, 90]], "classes": [1], "scores": [0.9]}
    none, both = (
        detected_objects([GREY], [prediction], [TRUTH], NAMES, "Test")
        for prediction in (NOTHING, guess)
    )
    # 30 pixels are drawn as 120, in lines of 2 pixels, of which more than a half are dashes.
    assert count(none, "white") > 4 * 120 * 2 / 2
    assert count(none, dog) == count(none, cat) == 0
    assert count(both, dog) > 4 * 160 * 2


def test_the_truth_has_its_name_only_where_it_is_not_found():
    same = {**TRUTH, "scores": [0.9]}
    other = {**same, "classes": [1]}
    found, confused = (
        detected_objects([GREY], [guess], [TRUTH], NAMES, "Test") for guess in (same, other)
    )
    # The name stands on white: about 20 x 13 pixels.
    assert count(confused, "white") > count(found, "white") + 100


def test_predictions_below_the_threshold_are_not_drawn():
    guess = {"boxes": [[50, 50, 90, 90]], "classes": [1], "scores": [0.4]}
    for threshold, is_drawn in ((0.5, False), (0.4, True)):
        figure = detected_objects([GREY], [guess], [TRUTH], NAMES, "Test", threshold)
        assert bool(count(figure, box_colours(NAMES)["dog"])) == is_drawn
        assert f"prediction with a score of at least {threshold:.2f}" in texts(figure)


def test_ignored_objects_are_explained_if_there_are_any():
    ignored = {**TRUTH, "ignored": [True]}
    assert "ignored truth" in texts(detected_objects([GREY], [NOTHING], [ignored], NAMES, ""))
    assert "ignored truth" not in texts(detected_objects([GREY], [NOTHING], [TRUTH], NAMES, ""))
    assert "ignored object" in texts(annotated_images([GREY], [ignored], NAMES, ""))
    solid, dashed = (
        count(annotated_images([GREY], [truth], NAMES, ""), box_colours(NAMES)["cat"])
        for truth in (TRUTH, ignored)
    )
    assert dashed < 0.8 * solid


def legend_colours(figure, words):
    """Returns for each text of the legend whether the sample before it has the colour."""
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    found = []
    for word, colour in words.items():
        x, y = (round(place) for place in places[word])
        sample = pixels(figure)[y - 10 : y + 10, x - 52 : x - 8]
        found.append((sample == ImageColor.getrgb(colour)).all(axis=-1).any())
    return found


def test_the_legend_gives_the_colours_of_several_classes():
    colours = box_colours(NAMES)
    both = {"boxes": [[50, 50, 90, 90], [0, 0, 30, 30]], "classes": [1, 0]}
    guess = {**both, "scores": [0.9, 0.8]}
    mistakes = [Mistake(0, 0), Mistake(0, 1)]
    for figure in (
        annotated_images([GREY], [both], NAMES, "Test"),
        detected_objects([GREY], [guess], [TRUTH], NAMES, "Test"),
        detection_mistakes([GREY], [guess], [TRUTH], NAMES, mistakes, []),
    ):
        assert legend_colours(figure, colours) == [True, True]


def test_the_legend_lists_no_class_that_is_not_drawn():
    guess = {"boxes": [[50, 50, 90, 90]] * 2, "classes": [1, 0], "scores": [0.9, 0.4]}
    figure = detected_objects([GREY], [guess], [TRUTH], NAMES, "Test")
    assert not {"cat", "dog"} & set(texts(figure))
    dog = {"prediction with a score of at least 0.50": box_colours(NAMES)["dog"]}
    assert legend_colours(figure, dog) == [True]
    assert texts(annotated_images([GREY], [TRUTH], NAMES, "Test")) == ["Test"]


def test_a_legend_of_many_classes_takes_several_lines_and_names_the_others_at_their_boxes():
    names = [f"class {number}" for number in range(15)]
    many = {"boxes": [[10, 10, 40, 40]] * 15, "classes": range(15)}
    figure = annotated_images([GREY], [many], names, "Test")
    height, width = pixels(figure).shape[:2]
    places = [text.get_position() for text in figure.axes[0].texts if "class" in text.get_text()]
    assert texts(figure)[-1] == "3 more classes, named at the boxes"
    assert len(places) == 12 + 1
    # One image of 400 pixels, which is as wide as three or four samples.
    assert width == 424 and len({y for _, y in places}) >= 4
    # No line touches the image, which is at the bottom.
    assert max(y for _, y in places) + 14 < height - 412


def test_boxes_grow_with_the_image():
    """40 of 100 pixels are 160 of 400: the right edge of the box is at 160 after the margin."""
    figure = annotated_images([GREY], [TRUTH], NAMES, "Images")
    line = (pixels(figure)[150] == ImageColor.getrgb(box_colours(NAMES)["cat"])).all(axis=-1)
    columns = np.flatnonzero(line)
    assert (columns.min(), columns.max()) == (12 + 40, 12 + 160 - 1)


def test_mistakes_have_their_kind_and_only_their_images_are_read():
    images = Counted()
    guess = {"boxes": [[50, 50, 90, 90], [0, 0, 9, 9]], "classes": [1, 0], "scores": [0.9, 0.8]}
    figure = detection_mistakes(
        images,
        [guess] * 9,
        [TRUTH] * 9,
        NAMES,
        [Mistake(3, 0), Mistake(5, 1, "inaccurate box"), Mistake(7, 0)],
        [Mistake(8, 0, "missed")],
        "Mistakes above a half",
        most=2,
    )
    assert sorted(images.read) == [3, 5, 8]
    words = [
        "Mistakes above a half",
        "3 wrong predictions; the 2 surest",
        "background",
        "inaccurate box",
        "1 missed object",
    ]
    assert set(words) < set(texts(figure))


def test_a_small_mistake_is_drawn_with_its_surroundings():
    """A box of 10 pixels in an image of 1000 is drawn with 300 around it: 10 / 300 of 236."""
    image = np.full((1000, 1000, 3), 128, "uint8")
    guess = {"boxes": [[500, 500, 530, 530]], "classes": [1], "scores": [0.9]}
    figure = detection_mistakes([image], [guess], [TRUTH], NAMES, [Mistake(0, 0)], [])
    is_dog = pixels(figure) == ImageColor.getrgb(box_colours(NAMES)["dog"])
    rows, columns = np.nonzero(is_dog[80:].all(axis=-1))
    # Without its label, which is above it.
    widths = np.unique(columns[rows == rows.max()])
    assert widths.max() - widths.min() + 1 == pytest.approx(30 / 300 * 236, abs=2)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 3), "uint8"),
        np.zeros((40, 30, 1), "uint8"),
        np.zeros((1, 500, 3), "uint8"),
        Image.new("L", (30, 40)),
    ],
)
def test_images_of_any_kind_are_drawn(tmp_path, image):
    truth = {"boxes": [[0, 0, 3, 1]], "classes": [1], "ignored": [False]}
    guess = {**truth, "scores": [0.9]}
    save(tmp_path, "a", detected_objects([image], [guess], [truth], NAMES, "Test"))
    save(tmp_path, "b", annotated_images([image], [truth], NAMES, "Test", ["a 猫 caption"]))
    mistakes = [Mistake(0, 0)], [Mistake(0, 0)]
    save(tmp_path, "c", detection_mistakes([image], [guess], [truth], NAMES, *mistakes))


def test_without_images_or_mistakes_there_is_a_figure_nevertheless(tmp_path):
    save(tmp_path, "a", detected_objects([], [], [], NAMES, "Test"))
    save(tmp_path, "b", annotated_images([], [], NAMES, "Test"))
    figure = detection_mistakes([], [], [], NAMES, [], [])
    save(tmp_path, "c", figure)
    assert {"0 wrong predictions", "0 missed objects"} < set(texts(figure))
    save(tmp_path, "d", precision_recall({}, "Test"))
