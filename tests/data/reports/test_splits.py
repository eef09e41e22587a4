"""Any recipe's examples get a report: arrays, tables, lists, texts, paths."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.digits import LabelledImages
from dlrecipes.data.reports.splits import check_source, report_splits
from dlrecipes.recipe import Splits


def report(*parts, **options):
    return report_splits(Splits(*parts), "data", **options)


def messages(*parts):
    found = report(*parts)
    return [finding.message for finding in [*found.problems, *found.warnings]]


def images(*numbers):
    pixels = np.stack([np.full((8, 8), number, "uint8") for number in numbers])
    return LabelledImages(pixels, np.array(numbers, "int32") % 2, ("even", "odd"))


@pytest.mark.parametrize("data", ["builtin", "tfds:mnist", "idx", "photos"])
def test_files_are_reported_by_their_own_check_and_other_data_from_the_examples(data):
    def folder(path):
        return None if path.name == "idx" else f"report on {path.name}"

    splits = Splits(images(0, 1), images(2), images(3))
    report = check_source(data, load=lambda: splits, folder=folder)
    if data == "photos":
        assert report == "report on photos"
    else:
        assert report.tables == report_splits(splits).tables


@dataclass(frozen=True)
class Review:
    text: str
    label: str


class Unreadable:
    """Examples of an unknown kind, without a length."""


@pytest.mark.parametrize(
    "make",
    [
        lambda *numbers: np.array(numbers, float)[:, None],
        lambda *numbers: (np.array(numbers)[:, None], np.zeros(len(numbers), int)),
        lambda *numbers: {"x": np.array(numbers), "y": np.zeros(len(numbers), int)},
        lambda *numbers: [f"text {number}" for number in numbers],
        lambda *numbers: [{"text": str(number), "label": "a"} for number in numbers],
        lambda *numbers: [Review(str(number), "a") for number in numbers],
        lambda *numbers: [(str(number), number) for number in numbers],
        images,
    ],
)
def test_copies_across_parts_are_found_in_every_kind_of_examples(make):
    found = messages(make(1, 2, 3), make(4, 5), make(6, 2, 7, 3))
    assert any("2 of 4 test examples are also in train" in message for message in found)


def test_classes_are_counted_by_name():
    found = report(images(0, 1, 2), images(3, 4), images(5, 6))
    table = next(table for table in found.tables if table.title == "Classes")
    assert table.rows == [["even", 2, 1, 1, "66.7%"], ["odd", 1, 1, 1, "33.3%"]]
    assert "examples" in found.figures


def test_labels_are_not_part_of_the_content():
    train = (np.arange(4)[:, None], np.array([0, 1, 0, 1]))
    test = (np.arange(1)[:, None], np.array([1]))
    found = messages(train, (np.array([[9]]), np.array([0])), test)
    assert any("more than one label: 1." in message for message in found)


def test_numbers_have_their_range_and_nan_is_a_problem():
    rows = np.array([[1.0, 5.0], [3.0, np.nan]])
    found = report(rows, rows[:1] + 10, rows[:1] + 20)
    table = next(table for table in found.tables if table.title.startswith("Numbers"))
    assert table.rows == [["[0]", 1.0, 2.0, 3.0], ["[1]", 5.0, 5.0, 5.0]]
    assert not found.usable
    assert found.problems[0].examples == ["train[1]"]


def test_an_empty_part_is_a_problem():
    assert "The test part is empty." in messages(np.ones((3, 1)), np.zeros((1, 1)), np.ones((0, 1)))


def test_paths_are_compared_by_content_and_missing_ones_named(tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, shade in zip(paths, (1, 1, 2), strict=True):
        Image.new("L", (9, 9), shade).save(path)
    found = report(paths[:1], paths[2:], [paths[1], tmp_path / "gone.png"])
    assert "1 of 2 test examples" in found.warnings[0].message
    assert "gone.png" in found.problems[0].examples[0]


@pytest.mark.parametrize("examples", ["a whole text", Unreadable(), iter(())])
def test_what_has_no_single_examples_is_described_without_an_error(examples):
    assert report(examples, examples, examples).to_dict()["usable"]


def test_images_that_are_decoded_when_they_are_needed_are_read_from_their_files(tmp_path):
    good, cut = tmp_path / "good.png", tmp_path / "cut.png"
    Image.effect_noise((30, 20), 50).save(good)
    cut.write_bytes(good.read_bytes()[:200])

    def examples(*paths):
        return SimpleNamespace(
            labels=np.zeros(len(paths), int),
            names=("a", "b"),
            image_bytes=lambda k: paths[k].read_bytes(),
            sources=lambda k: str(paths[k]),
        )

    found = report(examples(good), examples(good), examples(cut, good))
    assert "1 of 4 images cannot be used" in found.problems[0].message
    assert "cut.png" in found.problems[0].examples[0]
    assert "1 of 1 test images is also in train" in found.warnings[1].message
