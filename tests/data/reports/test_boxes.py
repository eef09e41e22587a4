"""Boxes are counted and measured for the report, and drawn."""

import numpy as np
import pytest

from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.boxes import add_boxes
from dlrecipes.data.reports.splits import report_splits
from dlrecipes.recipe import Splits

SMALL, MEDIUM, LARGE = [0, 0, 31, 33], [5, 5, 37, 37], [0, 0, 100, 200]


def examples(boxes, classes, ignored=None, size=(200, 100)):
    noise = np.random.default_rng(len(boxes)).integers(0, 255, (len(boxes), *size, 3), "uint8")
    return BoxExamples.from_arrays(noise, boxes, classes, ("cat", "dog"), ignored)


def report(**parts):
    result = DataReport("data")
    add_boxes(result, parts, size=100)
    return result


def rows(result, title):
    return next(table.rows for table in result.tables if table.title.startswith(title))


def text(findings):
    return "\n".join(map(str, findings))


TRAIN = (
    [[SMALL, MEDIUM], [LARGE], [], [LARGE, MEDIUM, MEDIUM]],
    [[0, 0], [1], [], [0, 1, 1]],
    [[False, False], [False], [], [True, False, False]],
)


def test_boxes_and_images_are_counted_by_class_and_part():
    result = report(train=examples(*TRAIN), test=examples([[SMALL]], [[0]]))
    assert rows(result, "Boxes") == [["train", 4, 1, 6, 1, 1.5, 3], ["test", 1, 0, 1, 0, 1.0, 1]]
    assert rows(result, "Boxes by class") == [["cat", 2, 1, "40.0%"], ["dog", 3, 0, "60.0%"]]
    assert rows(result, "Images by class") == [["cat", 1, 1], ["dog", 2, 0]]
    assert "The test part lacks 1 of 2 classes: dog" in text(result.warnings)


def test_sizes_are_those_of_coco_and_relative_to_the_image():
    result = report(train=examples(*TRAIN))
    # The area of the small box is 31 * 33 < 32 * 32, the one of the medium boxes 32 * 32.
    assert rows(result, "Box sizes")[0] == ["train", 1, 3, 1, "20.0%", "60.0%", "20.0%"]
    areas = np.array([31 * 33, 32 * 32, 100 * 200]) / (200 * 100)
    smallest, _, median, _, largest = rows(result, "Relative box sizes")[0][1:]
    assert [smallest, median, largest] == pytest.approx(np.sqrt(areas).tolist(), abs=1e-3)
    assert rows(result, "Aspect ratios")[0][1::2] == [1.0, 1.0, 2.0]


def test_boxes_that_become_tiny_or_occur_twice_are_warned_of():
    narrow = [0, 0, 3, 100]
    result = report(train=examples([[narrow, MEDIUM]] * 3 + [[MEDIUM]], [[0, 1]] * 3 + [[1]]))
    assert "a side below 4 pixels when the image has 100 x 100: 3 of 7." in text(result.warnings)
    result = report(train=examples(*TRAIN))
    assert "Boxes that occur twice on the same image: 1." in text(result.warnings)
    assert "image 3: dog" in text(result.warnings)


def test_anchors_are_suggested_for_the_size_of_the_network(monkeypatch):
    from dlrecipes.data import anchor_shapes

    given = []
    shapes = anchor_shapes.suggest_anchors(np.full((9, 2), 20.0))
    monkeypatch.setattr(anchor_shapes, "suggest_anchors", lambda x: given.append(x) or shapes)
    result = report(train=examples([[SMALL] * 9], [[0] * 9], [[False] * 8 + [True]]))
    assert given == []
    result = report(train=examples([[SMALL, MEDIUM] * 5], [[0] * 10]))
    # The image of 100 x 200 pixels is stretched to 100 x 100.
    assert given[0][:2].tolist() == [[31, 16.5], [32, 16]]
    assert rows(result, "Suggested anchors")[0][2] == round(shapes.mean_iou, 3)


def test_the_sheet_shows_every_class_and_ignored_boxes_dashed(monkeypatch):
    from dlrecipes import figures

    drawn = []

    def draw(image, boxes, labels, colours, dashed):
        drawn.append((np.asarray(boxes).tolist(), labels, dashed))
        return image

    monkeypatch.setattr(figures, "draw_boxes", draw)
    many = examples([[MEDIUM]] * 30 + TRAIN[0], [[0]] * 30 + TRAIN[1], [[False]] * 30 + TRAIN[2])
    result = report(train=many)
    assert "examples" in result.figures
    assert {label for _, labels, _ in drawn for label in labels} == {"cat", "dog"}
    # The longer side of the image, 200 pixels, is drawn with 320.
    assert ([[0, 0, 160, 320]], ["dog"], False) in drawn
    assert any(dashed and labels for _, labels, dashed in drawn) == any(
        len(boxes) == 1 and boxes[0] == [0, 0, 160, 320] and dashed for boxes, _, dashed in drawn
    )
    assert 12 <= len(drawn) / 2 <= 12


def test_splits_of_images_with_boxes_are_reported_as_such():
    train, test = examples(*TRAIN), examples([[SMALL]], [[0]])
    result = report_splits(Splits(train, test, test, description={"name": "scenes"}))
    assert result.name == "scenes"
    assert rows(result, "Parts")[0][:3] == ["train", 4, 0]
    assert rows(result, "Boxes")[0][:4] == ["train", 4, 1, 6]
    assert "1 of 1 test images is also in validation" in text(result.warnings)
