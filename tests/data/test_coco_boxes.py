"""Boxes are read from COCO's JSON files in the layouts that people have."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.labelled_boxes import read_labelled_boxes
from dlrecipes.errors import DataError

# The ids have holes, and their order is not the file's.
CATEGORIES = [{"id": 7, "name": "zebra"}, {"id": 3, "name": "ant"}]


def content(count=10, first=0, name="{0}.jpg", **box):
    """A COCO file with a box per image."""
    numbers = range(first, first + count)
    images = [
        {"id": 100 + k, "file_name": name.format(k), "width": 20, "height": 16} for k in numbers
    ]
    things = [
        {"id": k, "image_id": 100 + k, "category_id": 7, "bbox": [2, 3, 10, 6.5], "iscrowd": 0}
        for k in numbers
    ]
    things[0].update(box)
    return {"images": images, "annotations": things, "categories": CATEGORIES}


def write(path, coco, images=None):
    """Writes a COCO file, and its images next to it or in another folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(coco if isinstance(coco, str) else json.dumps(coco), encoding="utf-8")
    if images is not None:
        images.mkdir(parents=True, exist_ok=True)
        for image in coco["images"]:
            name = image["file_name"].replace("\\", "/").rpartition("/")[2]
            Image.new("RGB", (20, 16), (image["id"], 0, 0)).save(images / name)
    return path


def read(path, **options):
    notes = []
    return read_labelled_boxes(path, 0, notes.append, **options), notes


def numbers(examples):
    return [int(Path(examples.sources(k)).stem) for k in range(len(examples))]


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_the_official_layout_is_read_and_classes_are_in_the_order_of_the_file(tmp_path):
    for part, first in (("train2017", 0), ("val2017", 10)):
        coco = content(10, first, category_id=3, iscrowd=1)
        write(tmp_path / f"annotations/instances_{part}.json", coco, tmp_path / part)
        write(tmp_path / f"annotations/captions_{part}.json", {"images": [], "annotations": []})
        write(tmp_path / f"annotations/person_keypoints_{part}.json", coco)
    (train, validation, test), notes = read(tmp_path)
    assert (numbers(validation), len(train), len(test)) == ([*range(10, 20)], 9, 1)
    assert train.names == ("zebra", "ant")
    place = numbers(train).index(5)
    assert train.boxes(place).tolist() == [[2, 3, 12, 9.5]]
    assert (train.size(place), train.classes(place).tolist()) == ((16, 20), [0])
    crowd = validation[:1]
    assert (crowd.classes(0).tolist(), crowd.ignored(0).tolist()) == ([1], [True])
    assert any("classes without a box for training: 1 (ant)" in note for note in notes)


@pytest.mark.parametrize(
    ("file", "images", "name"),
    [
        ("{0}/_annotations.coco.json", "{0}", "{0}.jpg"),
        ("annotations/{0}.json", "images/{0}", "{0}.jpg"),
        ("annotations/{0}.json", "images", "{0}.jpg"),
        ("annotations/{0}.json", "{0}/images", "{0}.jpg"),
        ("annotations/{0}.json", "some photos", "some photos/{0}.jpg"),
        ("annotations/instances_{0}.json", "images/{0}", "/home/me/photos/{0}.jpg"),
        ("{0}.json", "data", r"C:\photos\{0}.jpg"),
    ],
)
def test_images_are_found_in_every_arrangement(tmp_path, file, images, name):
    for k, part in enumerate(("train", "valid", "test")):
        folder = tmp_path / images.format(part)
        write(tmp_path / file.format(part), content(3, 3 * k, name), folder)
    parts, notes = read(tmp_path)
    assert [numbers(part) for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert not any("missing" in note or "not exist" in note for note in notes)


@pytest.mark.parametrize(
    "name", ["result.json", "labels.json", "annotations/instances_default.json"]
)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_single_file_is_split(tmp_path, name, is_file):
    path = write(tmp_path / name, content(name="images/{0}.jpg"), tmp_path / "images")
    parts, notes = read(path if is_file else tmp_path)
    assert [len(part) for part in parts] == [8, 1, 1]
    assert "1 for validation and 1 for test (seed 0)" in notes[-1]


def test_names_in_unicode_and_a_byte_order_mark_are_read(tmp_path):
    coco = content(name="café {0}.jpg")
    coco["categories"] = [{"id": 7, "name": "café au lait"}]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(coco), encoding="utf-8")
    # As macOS writes the names.
    for path in (tmp_path / "images").iterdir():
        path.rename(path.parent / path.name.replace("é", "e\u0301"))
    parts, _ = read(tmp_path)
    assert sum(map(len, parts)) == 10
    assert parts[0].names == ("café au lait",)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ({"category_id": None}, "annotation 0 has no class: its category_id is missing"),
        ({"category_id": 9}, "annotation 0: no category has the id 9"),
        ({"category_id": [7]}, r"annotation 0: no category has the id \[7\]"),
        ({"image_id": 9}, "annotation 0: no image has the id 9"),
        ({"image_id": None}, "annotation 0: no image has the id None"),
        ({"bbox": None}, "annotation 0: expected four numbers as bbox, got None"),
        ({"bbox": [1, 2, 3]}, r"annotation 0: expected four numbers as bbox, got \[1, 2, 3\]"),
        ({"bbox": [1, "2", 3, 4]}, "annotation 0: expected four numbers as bbox"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 0: the box contains NaN or infinity"),
        ({"bbox": [1, 2, 3, float("inf")]}, "annotation 0: the box contains NaN or infinity"),
        ({"bbox": [1, 2, 0, 4]}, "annotation 0: the box is empty: its width is 0 and its height 4"),
        ({"bbox": [1, 2, 0, 0]}, "annotation 0: the box is empty"),
        ({"bbox": [5, 2, -3, 4]}, "annotation 0: the box is inverted: its width is -3"),
        ({"bbox": [25, 2, 3, 4]}, "annotation 0: the box lies outside of its image"),
        ({"id": None, "bbox": 1}, r"annotations\[0\]: expected four numbers"),
    ],
)
def test_wrong_annotations_are_named(tmp_path, box, message):
    write(tmp_path / "a.json", content(**box), tmp_path / "images")
    refused(tmp_path, rf"a\.json: {message}")


def changed(key, number, **values):
    coco = content()
    coco[key] = [{**item, **(values if k == number else {})} for k, item in enumerate(coco[key])]
    return coco


@pytest.mark.parametrize(
    ("coco", "message"),
    [
        (changed("images", 1, id=100), "two images have the id 100"),
        (changed("images", 1, file_name="0.jpg"), r"0\.jpg is annotated twice, in .*json"),
        (changed("images", 1, file_name=""), r"images\[1\] has no file_name"),
        (changed("images", 1, id=None), r"images\[1\] has no id"),
        (changed("images", 1, width=200), r"1\.jpg is for 200 x 16 pixels, .* has 20 x 16"),
        (changed("categories", 1, id=7), "two categories have the id 7"),
        (changed("categories", 1, name="zebra"), "two categories are named 'zebra'"),
        (changed("categories", 1, name="Zebra"), "'zebra' and 'Zebra' differ in case or spaces"),
        (changed("categories", 1, name=" "), r"categories\[1\] has no name"),
        (changed("categories", 1, name="a\u0007"), r"the name 'a\\x07' cannot be printed"),
        (changed("images", 1, file_name="\ud800.jpg"), "the file_name .* cannot be printed"),
        ({**content(), "categories": 1}, "categories is missing; it has images, annotations"),
        ({**content(), "annotations": []}, "none of the training images has a box"),
        ({**content(), "annotations": [1]}, r"annotations\[0\]: expected an object"),
    ],
)
def test_wrong_lists_are_named(tmp_path, coco, message):
    write(tmp_path / "a.json", content(), tmp_path / "images")
    write(tmp_path / "a.json", coco)
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": "5.0", "shapes": []}', "images is missing; it has version, shapes"),
        ("[" * 100_000, "the JSON is (malformed|nested too deep)"),
        ("[1, 2]", "this is not a COCO file: it holds a list"),
        ('{"a": 1, "b": 2}', "this is not a COCO file: images is missing; it has a, b"),
        ("{}", "this is not a COCO file: images is missing; it has nothing"),
        ('{"images": [],\n"annotations": [,]}', r"a\.json:2: the JSON is malformed"),
        ("", r"a\.json:1: the JSON is malformed"),
    ],
)
def test_other_json_is_refused(tmp_path, text, message):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 16)).save(tmp_path / "images/0.jpg")
    write(tmp_path / "annotations/a.json", text)
    refused(tmp_path, message)


def test_all_wrong_annotations_are_counted(tmp_path):
    coco = content()
    for thing in coco["annotations"][:4]:
        thing["bbox"] = [1, 2, -3, 4]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    refused(tmp_path, r"annotation 0: the box is inverted.*\(and 3 more like it\)")


def test_boxes_are_clipped_but_rounding_is_not_counted(tmp_path):
    coco = content()
    coco["annotations"][0]["bbox"] = [-4, 3, 10, 30]
    coco["annotations"][1]["bbox"] = [10, 3, 10.00001, 6]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    parts, notes = read(tmp_path)
    boxes = np.concatenate([part.flat().boxes for part in parts]).tolist()
    assert [0, 3, 6, 16] in boxes
    assert [10, 3, 20, 9] in boxes
    assert "boxes clipped at the border of their image: 1 of 10" in notes[0]


def test_fractions_in_place_of_pixels_are_refused(tmp_path):
    coco = content()
    for thing in coco["annotations"]:
        thing["bbox"] = [0.1, 0.2, 0.5, 0.8]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    refused(tmp_path, r"annotation 0: expected pixels, got fractions: no coordinate exceeds 1")


def test_many_clipped_boxes_are_suspected_to_be_in_another_format(tmp_path):
    coco = content()
    for thing in coco["annotations"]:
        thing["bbox"] = [8, 4, 16, 12]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    assert "boxes clipped at the border of their image: 10 of 10" in (note := read(tmp_path)[1][0])
    assert note.endswith("That many may be in another format.")


def test_ten_thousand_wrong_boxes_are_named_at_once(tmp_path):
    coco = content(4)
    wrong = {"image_id": 100, "category_id": 7, "bbox": [5, 5, -1, 5]}
    coco["annotations"] = [{**wrong, "id": k} for k in range(10_000)]
    write(tmp_path / "a.json", coco, tmp_path / "images")
    refused(tmp_path, r"annotation 0: the box is inverted.*\(and 9999 more like it\)")


def test_a_class_of_validation_alone_is_refused_but_only_if_it_has_a_box(tmp_path):
    other = {**content(2, 20), "categories": [{"id": 7, "name": "zebra"}, {"id": 9, "name": "owl"}]}
    write(tmp_path / "train.json", content(), tmp_path / "images")
    write(tmp_path / "val.json", other, tmp_path / "images")
    assert read(tmp_path)[0][1].names == ("zebra", "ant")
    other["annotations"][1]["category_id"] = 9
    write(tmp_path / "val.json", other)
    place = r"part validation \(images/\S+\)"
    refused(tmp_path, f"{place}: the class 'owl' does not occur in the training data")


def test_missing_images_are_noted_or_refused(tmp_path):
    write(tmp_path / "a.json", content(), tmp_path / "images")
    (tmp_path / "images/3.jpg").unlink()
    parts, notes = read(tmp_path)
    assert sum(map(len, parts)) == 9
    assert "annotated images that do not exist: 1 of 10 (3.jpg). They are left out." in notes[0]
    refused(tmp_path, "annotated images that do not exist: 1 of 10", strict=True)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    refused(tmp_path, r"none of the 10 train images was found, such as 0\.jpg")


def test_files_of_unknown_or_equal_parts_are_refused(tmp_path):
    for name in ("cells", "cars"):
        write(tmp_path / f"{name}.json", content(), tmp_path / "images")
    refused(tmp_path, "are of unknown parts")
    for name in ("cells", "cars"):
        (tmp_path / f"{name}.json").rename(tmp_path / f"{name}_train.json")
    refused(tmp_path, r"both cars_train\.json and cells_train\.json hold the train part")
    (tmp_path / "cars_train.json").unlink()
    (tmp_path / "cells_train.json").rename(tmp_path / "val.json")
    refused(tmp_path, r"expected annotations for training next to val\.json")
