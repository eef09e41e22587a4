"""The format of boxes is recognized; TFDS, reports and splits; what else is refused."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import labelled_boxes
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.box_split import split_boxes
from dlrecipes.data.labelled_boxes import (
    check_labelled_boxes,
    read_labelled_boxes,
    tfds_labelled_boxes,
)
from dlrecipes.errors import DataError

XML = (
    "<annotation>{0}<object><name>dog</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>12</xmax>"
    "<ymax>9</ymax></bndbox></object></annotation>"
)


def write_images(folder, count=10):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (20, 16), (number, 0, 0)).save(folder / f"{number}.png")


def write_voc(root, count=10):
    write_images(root / "JPEGImages", count)
    (root / "Annotations").mkdir(exist_ok=True)
    for number in range(count):
        (root / f"Annotations/{number}.xml").write_text(XML.format(""))
    return root


def refused(path, message):
    with pytest.raises(DataError, match=message) as caught:
        read_labelled_boxes(path, 0)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_two_formats_in_one_folder_are_refused(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/0.txt").write_text("0 0.5 0.5 1 1")
    assert read_labelled_boxes(tmp_path, 0)[0].names == ("dog",)
    (tmp_path / "classes.txt").write_text("dog")
    refused(
        tmp_path, r"several formats: Pascal VOC \(Annotations/0\.xml\) and YOLO \(classes\.txt\)"
    )
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    refused(tmp_path, r"Pascal VOC \(Annotations/0\.xml\) and COCO \(a\.json\)\. Keep one of them")


def test_other_files_next_to_the_annotations_are_ignored(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "JPEGImages/0.png.aux.xml").write_text("<PAMDataset/>")
    assert sum(map(len, read_labelled_boxes(tmp_path, 0))) == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("images.zip", "expected a folder, got an archive. Unpack it"),
        ("0.png", "expected many images, got one image. Give a folder in the format of Pascal VOC"),
        ("0.xml", "expected a folder, got a file. Give a folder in the format of Pascal VOC"),
        ("nothing", "nothing does not exist. Give a folder in the format of Pascal VOC"),
        ("classes", "no annotations of boxes were found. Expected Pascal VOC: Annotations"),
        ("several", "several folders hold data: one, two. Give one: .*one"),
    ],
)
def test_other_data_is_refused(tmp_path, name, message):
    for folder in ("classes/cat", "classes/dog", "."):
        write_images(tmp_path / folder, 2)
    (tmp_path / "images.zip").touch()
    (tmp_path / "0.xml").write_text(XML)
    for folder in ("one", "two"):
        write_voc(tmp_path / "several" / folder)
    refused(tmp_path / name, message)


def test_the_parts_of_a_split_are_a_function_of_the_seed(tmp_path):
    write_voc(tmp_path, 30)
    sources = [
        [part.sources(k) for part in read_labelled_boxes(tmp_path, seed) for k in range(len(part))]
        for seed in (0, 0, 1)
    ]
    assert sources[0] == sources[1] != sources[2]
    assert sorted(sources[0]) == sorted(sources[2])


def boxed(labels):
    """Examples whose images have boxes of the given classes."""
    boxes = [[[0, 0, 4, 4]] * len(own) for own in labels]
    return BoxExamples.from_arrays(np.zeros((len(labels), 4, 4), "uint8"), boxes, labels, "abc")


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_every_class_in_training_and_a_box_in_every_part(seed):
    labels = [[0]] * 6 + [[0, 1], [2]] + [[]] * 12
    parts = split_boxes(boxed(labels), seed, (0.8, 0.1, 0.1), "data")
    assert [len(part) for part in parts] == [16, 2, 2]
    assert set(parts[0].flat().classes.tolist()) == {0, 1, 2}
    assert all(len(part.flat().classes) for part in parts)


@pytest.mark.parametrize("labels", [[[0], [0]], [[k % 3] for k in range(3)], [[0]] + [[]] * 20])
def test_too_few_images_to_split_are_refused(labels):
    with pytest.raises(DataError, match=r"are too few to hold out .* and keep every class"):
        split_boxes(boxed(labels), 0, (0.8, 0.1, 0.1), "data")


class Builder:
    """Stands in for a TFDS builder; boxes are rows of top, left, bottom, right."""

    def __init__(self, splits, objects, orientation=1):
        label = SimpleNamespace(names=["cat", "dog"])
        features = {"image": None, "objects": {"bbox": None, "label": label}}
        self.info = SimpleNamespace(features=features, splits=splits)
        self._objects, self._exif = objects, Image.Exif()
        self._exif[274] = orientation

    def download_and_prepare(self):
        pass

    def as_dataset(self, split, decoders, shuffle_files):
        examples = []
        for number in range(self.info.splits[split]):
            file = io.BytesIO()
            Image.new("RGB", (20, 16), (number, 0, 0)).save(file, "JPEG", exif=self._exif)
            own = self._objects if split != "test" else {"bbox": np.zeros((0, 4)), "label": []}
            examples.append({"image": file.getvalue(), "objects": own})
        return SimpleNamespace(as_numpy_iterator=lambda: iter(examples))


def read_tfds(monkeypatch, tmp_path, builder):
    import tensorflow_datasets

    monkeypatch.setattr(tensorflow_datasets, "builder", lambda name, data_dir: builder)
    notes = []
    return tfds_labelled_boxes("pets", tmp_path, 0, notes.append), notes


OBJECTS = {
    "bbox": np.array([[0.25, 0.1, 0.75, 0.6], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.9]], "float32"),
    "label": np.array([1, 0, 0]),
    "is_difficult": np.array([False, True, False]),
}


def test_objects_of_tfds_are_read_and_a_split_without_boxes_is_not_used(monkeypatch, tmp_path):
    builder = Builder({"train": 20, "test": 4}, OBJECTS)
    parts, notes = read_tfds(monkeypatch, tmp_path, builder)
    assert [len(part) for part in parts] == [16, 2, 2]
    for part in parts:
        assert part.boxes(0).round(4).tolist() == [[2, 4, 12, 12], [0, 0, 20, 16]]
        assert part.classes(0).tolist() == [1, 0]
        assert part.ignored(0).tolist() == [False, True]
        assert (part.size(0), part.names) == ((16, 20), ("cat", "dog"))
        assert part.image(0).shape == (16, 20, 3)
    assert notes[0] == "tfds:pets, train: empty boxes, which are left out: 20."
    assert "not used, because no image has a box: test" in notes[1]


def test_boxes_of_tfds_are_turned_with_their_images(monkeypatch, tmp_path):
    (train, _, _), _ = read_tfds(monkeypatch, tmp_path, Builder({"train": 20}, OBJECTS, 6))
    assert train.size(0) == train.image(0).shape[:2] == (20, 16)
    # The upper side becomes the right one.
    assert train.boxes(0)[0].round(4).tolist() == [4, 2, 12, 12]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"bbox": OBJECTS["bbox"], "label": [1, -1, 0]}, "image 0: object 1 has no class"),
        ({"bbox": OBJECTS["bbox"] * np.nan, "label": [1, 1, 0]}, "object 0: the box contains NaN"),
        ({"bbox": OBJECTS["bbox"][:, ::-1], "label": [1, 1, 0]}, "the box is inverted"),
    ],
)
def test_wrong_objects_of_tfds_are_named(monkeypatch, tmp_path, objects, message):
    with pytest.raises(DataError, match=rf"tfds:pets, train.*{message}"):
        read_tfds(monkeypatch, tmp_path, Builder({"train": 20}, objects))


def test_tfds_datasets_without_boxes_are_refused(monkeypatch, tmp_path):
    builder = Builder({"train": 20}, OBJECTS)
    builder.info.features = {"image": None, "label": None}
    with pytest.raises(DataError, match="expected the features image and objects"):
        read_tfds(monkeypatch, tmp_path, builder)


def rows(report, title):
    return next(table.rows for table in report.tables if table.title.startswith(title))


def text(findings):
    return "\n".join(map(str, findings))


def test_the_check_reads_every_image_and_hides_nothing(tmp_path):
    write_voc(tmp_path, 12)
    whole = (tmp_path / "JPEGImages/0.png").read_bytes()
    (tmp_path / "JPEGImages/1.png").write_bytes(whole)
    (tmp_path / "JPEGImages/2.png").write_bytes(b"404")
    (tmp_path / "JPEGImages/3.png").unlink()
    (tmp_path / "Annotations/4.xml").write_text("<annotation></annotation>")
    report = check_labelled_boxes(tmp_path, "dogs", size=100)
    assert report.usable
    assert rows(report, "Parts")[0][:3] == ["all", 10, 1]
    assert rows(report, "Boxes")[0][:4] == ["all", 10, 1, 9]
    assert rows(report, "Boxes by class") == [["dog", 9, "100.0%"]]
    assert "JPEGImages/2.png: this is not an image" in text(report.warnings)
    assert "JPEGImages/1.png = JPEGImages/0.png" in text(report.warnings)
    assert "annotated images that do not exist: 1 of 12 (3)" in text(report.notes)
    assert "examples" in report.figures
    strict = check_labelled_boxes(tmp_path, "dogs", strict=True)
    assert not strict.usable
    assert "annotated images that do not exist: 1 of 12 (3)" in text(strict.problems)


def test_the_check_reports_what_cannot_be_read_and_reads_the_images(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "Annotations/4.xml").write_text("<annotation>")
    report = check_labelled_boxes(tmp_path, "dogs")
    assert not report.usable
    assert "4.xml:1: the XML is malformed" in text(report.problems)
    assert sum(row[1] for row in rows(report, "Parts")) == 10
    with pytest.raises(DataError, match="does not exist"):
        check_labelled_boxes(tmp_path / "nothing", "nothing")


def test_the_check_lists_every_wrong_box(tmp_path):
    write_voc(tmp_path)
    for number in range(3):
        wrong = XML.format("").replace(">12<", ">2<")
        (tmp_path / f"Annotations/{number}.xml").write_text(wrong)
    report = check_labelled_boxes(tmp_path, "dogs")
    assert len(report.problems[0].examples) == 3
    assert "2.xml: object 1: the box is inverted" in report.problems[0].examples[2]


def test_too_few_images_are_a_problem(tmp_path):
    report = check_labelled_boxes(write_voc(tmp_path, 2), "dogs")
    assert "are too few to hold out" in text(report.problems)


def test_only_headers_are_read(tmp_path, monkeypatch):
    write_voc(tmp_path)
    monkeypatch.setattr(Image.Image, "load", None)
    assert sum(map(len, labelled_boxes.read_labelled_boxes(tmp_path, 0))) == 10
