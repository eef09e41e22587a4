"""Boxes are read from YOLO's label files in the layouts that people have."""

from pathlib import Path

import pytest
from PIL import Image

from dlrecipes.data.labelled_boxes import read_labelled_boxes
from dlrecipes.errors import DataError

# A box from (2, 4) to (12, 12) on an image of 20 x 16 pixels.
LINE = "0 0.35 0.5 0.5 0.5\n"
ULTRALYTICS = (
    "path: .\ntrain: images/train\nval: images/valid\ntest: images/test\nnames:\n  0: dog\n"
)
ROBOFLOW = (
    "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 1\nnames: [dog]"
)
PARTS = ("train", "valid", "test")


def write(images, labels, count=10, first=0, text=LINE, **options):
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.new("RGB", (20, 16), (number, 0, 0)).save(images / f"{number}.jpg", **options)
        (labels / f"{number}.txt").write_text(text, encoding="utf-8")


def write_whole(root, count=10, names="dog\ncat\n", **options):
    write(root / "images", root / "labels", count, **options)
    (root / "classes.txt").write_text(names, encoding="utf-8")
    return root


def write_parts(root, images="images/{0}", labels="labels/{0}"):
    for k, part in enumerate(PARTS):
        write(root / images.format(part), root / labels.format(part), 3, 3 * k)


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


def test_centres_and_fractions_become_corners_in_pixels(tmp_path):
    text = "\ufeff1 0.35 0.5 0.5 0.5\r\n\r\n0 0.5 0.5 1 1\r\n"
    (train, _, _), _ = read(write_whole(tmp_path, text=text, names="\ufeffdog\r\ncat\r\n"))
    assert train.boxes(0).tolist() == [[2, 4, 12, 12], [0, 0, 20, 16]]
    assert (train.classes(0).tolist(), train.names) == ([1, 0], ("dog", "cat"))
    assert not train.ignored(0).any()


@pytest.mark.parametrize(
    ("yaml", "images", "labels"),
    [
        (ULTRALYTICS, "images/{0}", "labels/{0}"),
        (ULTRALYTICS.replace("path: .", "path: ../datasets/dogs"), "images/{0}", "labels/{0}"),
        (ULTRALYTICS.replace("path: .", "path:"), "images/{0}", "labels/{0}"),
        (ROBOFLOW, "{0}/images", "{0}/labels"),
        (ROBOFLOW.replace("..", "/content/dogs"), "{0}/images", "{0}/labels"),
        ("names: {0: dog}\n", "{0}/images", "{0}/labels"),
        ("names: {0: dog}\n", "images/{0}", "images/{0}"),
        ("names: ['dog']\n", "{0}", "{0}"),
        ("nc: 1\ntrain: train\nval: [valid]\ntest: [test]", "{0}", "{0}"),
        (None, "images/{0}", "labels/{0}"),
        (None, "{0}", "{0}"),
    ],
)
@pytest.mark.parametrize("is_file", [False, True])
def test_parts_are_found_as_ultralytics_does_and_by_folders(
    tmp_path, yaml, images, labels, is_file
):
    root = tmp_path / "dogs"
    write_parts(root, images, labels)
    if yaml is None:
        (root / "classes.txt").write_text("dog")
    else:
        (root / "data.yaml").write_text(yaml)
    parts, _ = read(root / "data.yaml" if is_file and yaml else root)
    assert [numbers(part) for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert all(len(part.flat().boxes) == 3 for part in parts)
    assert parts[0].names == (("class_0",) if yaml and "nc: 1\ntrain" in yaml else ("dog",))


def test_lists_of_images_are_read(tmp_path):
    write(tmp_path / "images", tmp_path / "labels", 12)
    for name, places in (("train", range(8)), ("val", range(8, 11))):
        lines = "".join(f"./images/{k}.jpg\r\n" for k in places)
        (tmp_path / f"{name}.txt").write_text(lines + "./images/none.jpg\n")
    yaml = "train: train.txt\nval: val.txt\nnames: [dog]\n"
    (tmp_path / "data.yaml").write_text(yaml)
    (train, validation, test), notes = read(tmp_path)
    assert (len(train), numbers(validation), len(test)) == (7, [8, 9, 10], 1)
    assert "annotated images that do not exist: 2 of 13" in notes[0]


@pytest.mark.parametrize(
    ("images", "labels", "names"),
    [
        ("images", "labels", "classes.txt"),
        (".", ".", "classes.txt"),
        (".", "labels", "labels/classes.txt"),
        ("obj_train_data", "obj_train_data", "obj.names"),
    ],
)
def test_data_without_parts_is_split(tmp_path, images, labels, names):
    write(tmp_path / images, tmp_path / labels)
    (tmp_path / names).write_text("dog")
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "README.txt").write_text("Labels of 5 dogs by me")
    parts, notes = read(tmp_path)
    assert [len(part) for part in parts] == [8, 1, 1]
    assert sum(len(part.flat().boxes) for part in parts) == 10
    assert len(notes) == 1


def test_images_without_labels_are_background_and_labels_without_images_are_missing(tmp_path):
    write_whole(tmp_path)
    (tmp_path / "labels/0.txt").unlink()
    (tmp_path / "labels/1.txt").write_text("\n")
    (tmp_path / "images/2.jpg").unlink()
    parts, notes = read(tmp_path)
    counts = {n: len(part.boxes(k)) for part in parts for k, n in enumerate(numbers(part))}
    assert counts == {0: 0, 1: 0} | dict.fromkeys(range(3, 10), 1)
    assert "images without a label file, which are background: 1 (" in notes[0]
    assert "annotated images that do not exist: 1 of 10 (the image of" in notes[1]
    assert "labels/2.txt" in notes[1]
    refused(tmp_path, "annotated images that do not exist: 1 of 10", strict=True)


def test_polygons_become_the_boxes_around_them_with_a_note(tmp_path):
    write_whole(tmp_path, text="0 0.1 0.5 0.35 0.25 0.6 0.5 0.35 0.75\n" + LINE)
    (train, _, _), notes = read(tmp_path)
    assert train.boxes(0).tolist() == [[2, 4, 12, 12]] * 2
    assert "polygons, read as the boxes around them: 10." in notes[0]


def test_key_points_follow_the_box_if_the_file_says_so(tmp_path):
    write(tmp_path / "images", tmp_path / "labels", text=LINE.strip() + " 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: [dog]\nkpt_shape: [2, 2]\ntrain: images\n")
    (train, _, _), notes = read(tmp_path)
    assert train.boxes(0).tolist() == [[2, 4, 12, 12]]
    assert len(notes) == 1


def test_boxes_are_on_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    (train, _, _), notes = read(write_whole(tmp_path, exif=exif))
    assert train.size(0) == (20, 16)
    assert train.boxes(0)[0].tolist() == pytest.approx([1.6, 5, 9.6, 15])
    assert len(notes) == 2
    assert "classes without a box" in notes[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0.35 0.5 0.5 0.5", r"expected 5 columns \(class, x, y, width and height\), got 4"),
        ("0 0.35 0.5 0.5 0.5 0.9", r"expected 5 columns .*, got 6"),
        ("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7", r"expected 5 columns .*, got 8"),
        ("0,0.35,0.5,0.5,0.5", r"'0,0.35,0.5,0.5,0.5' is not a number"),
        ("dog 0.35 0.5 0.5 0.5", "'dog' is not a number"),
        ("2 0.35 0.5 0.5 0.5", "the class 2 has no name; the names are of classes 0 to 1"),
        ("-1 0.35 0.5 0.5 0.5", "the class -1 has no name"),
        ("0.5 0.35 0.5 0.5 0.5", r"the class 0\.5 has no name"),
        ("nan 0.35 0.5 0.5 0.5", "the class nan has no name"),
        ("0 nan 0.5 0.5 0.5", "the box contains NaN or infinity"),
        ("0 0.35 0.5 0 0.5", "the box is empty"),
        ("0 0.35 0.5 0.5 -0.5", "the box is inverted"),
        ("0 7 8 10 8", "expected fractions of the image from 0 to 1, got 7"),
        ("0 -0.2 0.5 0.5 0.5", r"expected fractions of the image from 0 to 1, got -0\.2"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, message):
    write_whole(tmp_path)
    (tmp_path / "labels/3.txt").write_text(f"\n{LINE}{line}\n")
    refused(tmp_path, rf"labels/3\.txt:3: {message}")


def test_boxes_across_the_border_are_clipped(tmp_path):
    write_whole(tmp_path, text="0 0.9 0.5 0.5 0.5\n")
    (train, _, _), notes = read(tmp_path)
    assert train.boxes(0)[0].tolist() == [13, 4, 20, 12]
    assert "boxes clipped at the border of their image: 10 of 10" in notes[0]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: [dog\n", r"data\.yaml:\d: the YAML is malformed"),
        ("names: [dog, dog]\n", "class 1 repeats the name 'dog'"),
        ("names: [dog, Dog]\n", "the classes 'dog' and 'Dog' differ in case or spaces alone"),
        ("names: [dog, ' ']\n", "class 1 has no name"),
        ("names: [dog, ~]\n", "class 1 has no name"),
        ("names: [dog, yes]\n", r"YAML reads the name of class 1 as True\. Put it in quotes"),
        ("names: {0: dog, 2: cat}\n", "names has 2 classes, but none is 1"),
        ("names: []\n", "names is missing or empty"),
        ("names: dog\n", "names is missing or empty"),
        ("names: [dog]\nnc: 2\n", "nc is 2, but there are 1 names"),
        ("names: [dog]\ntrain: photos\n", "train: photos does not exist"),
        ("names: [dog]\nval: images\n", "the key train is missing"),
        ("names: [dog]\ntrain: empty\n", "train: the folder has no images"),
    ],
)
def test_wrong_settings_are_named(tmp_path, yaml, message):
    write(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.yaml").write_text(yaml)
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", r"classes\.txt: the file is empty"),
        ("dog\n\ncat", r"classes\.txt:2: the class has no name"),
        ("dog\ncat\ndog", r"classes\.txt:3: the class repeats the name 'dog'"),
        ("dog\nDOG", "the classes 'dog' and 'DOG' differ in case or spaces alone"),
    ],
)
def test_wrong_lists_of_classes_are_named(tmp_path, names, message):
    refused(write_whole(tmp_path, names=names), message)


def test_labels_without_names_are_refused(tmp_path):
    write_whole(tmp_path)
    (tmp_path / "classes.txt").unlink()
    refused(tmp_path, r"there is neither data\.yaml nor classes\.txt\. Write classes\.txt")
    (tmp_path / "data.yaml").write_text("dog and cat", encoding="utf-8")
    refused(tmp_path, r"data\.yaml: expected the keys train, val and names\.")
    (tmp_path / "data.yaml").unlink()
    assert read(write_whole(tmp_path, names="2 dogs\ncat"))[0][0].names == ("2 dogs", "cat")
