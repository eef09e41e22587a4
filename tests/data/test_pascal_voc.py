"""Boxes are read from Pascal VOC's XML files in the layouts that people have."""

import re
from pathlib import Path

import pytest
from PIL import Image

from dlrecipes.data.labelled_boxes import read_labelled_boxes
from dlrecipes.errors import DataError

BCCD = Path(__file__).parents[3] / "shared/data/bccd"
DOG = ("dog", (2, 3, 12, 9))


def xml(name, objects, size=(20, 16), extra=""):
    things = "".join(
        f"<object><name>{label}</name><difficult>{difficult}</difficult><bndbox>"
        + "".join(
            f"<{side}>{value}</{side}>"
            for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox></object>"
        for label, box, difficult in ((*thing, 0)[:3] for thing in objects)
    )
    width, height = size
    return (
        f"<annotation><filename>{name}</filename><size><width>{width}</width>"
        f"<height>{height}</height></size>{extra}{things}</annotation>"
    )


def write_image(path, number=0, size=(20, 16), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number, 0, 0)).save(path, **options)


def write_voc(root, count=10, objects=(DOG,), images="JPEGImages", annotations="Annotations"):
    for number in range(count):
        write_image(root / images / f"{number}.jpg", number)
        (root / annotations).mkdir(parents=True, exist_ok=True)
        (root / annotations / f"{number}.xml").write_text(xml(f"{number}.jpg", objects))
    return root


def write_sets(root, **sets):
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    for name, numbers in sets.items():
        text = "".join(f"{number}\n" for number in numbers)
        (root / f"ImageSets/Main/{name}.txt").write_text(text)


def read(path, **options):
    notes = []
    return read_labelled_boxes(path, 0, notes.append, **options), notes


def stems(examples):
    return [Path(examples.sources(k)).stem for k in range(len(examples))]


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def test_boxes_reach_from_the_first_to_the_last_pixel_that_voc_counts_from_1(tmp_path):
    write_voc(tmp_path, objects=[("dog", (1, 2, 20, 16), 1), ("cat", (3, 4, 5, 6))])
    (train, _, _), _ = read(tmp_path)
    assert train.names == ("cat", "dog")
    assert train.boxes(0).tolist() == [[0, 1, 20, 16], [2, 3, 5, 6]]
    assert train.classes(0).tolist() == [1, 0]
    assert train.ignored(0).tolist() == [True, False]
    assert train.size(0) == (16, 20)


@pytest.mark.parametrize("box", [(0, 0, 20, 16), (3.25, 4.5, 7.75, 9.5)])
def test_files_that_count_from_0_are_recognized_and_that_is_said(tmp_path, box):
    write_voc(tmp_path, objects=[("dog", box)])
    (train, _, _), notes = read(tmp_path)
    assert train.boxes(0).tolist() == [list(box)]
    assert "the pixels of the boxes are counted from 0" in notes[0]


def test_the_parts_of_image_sets_are_kept(tmp_path):
    write_sets(
        write_voc(tmp_path / "VOCdevkit/VOC2007"),
        train=range(5),
        val=[5, 6],
        trainval=range(7),
        test=[7, 8],
        dog_train=["0  1", "1 -1"],
    )
    (tmp_path / "VOCdevkit/VOC2007/SegmentationClass").mkdir()
    parts, notes = read(tmp_path)
    assert list(map(stems, parts)) == [list("01234"), list("56"), list("78")]
    assert "The data was found in" in notes[0]
    assert "annotations that ImageSets does not list: 1 (9.xml)" in notes[1]


def test_trainval_is_for_training_where_no_file_is_named_train(tmp_path):
    write_sets(write_voc(tmp_path), trainval=[f"{k}.jpg" for k in range(8)], test=["8", "9  1"])
    parts, notes = read(tmp_path)
    assert [len(part) for part in parts] == [7, 1, 2]
    assert "held out at random from the training images: 1 for validation" in notes[-1]


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("{0}", "{0}"),
        ("{0}/Annotations", "{0}/JPEGImages"),
        ("Annotations/{0}", "JPEGImages/{0}"),
        ("{0}/labels", "{0}/images"),
        ("{0}", "images/{0}"),
    ],
)
def test_folders_of_parts_are_read_in_every_arrangement(tmp_path, annotations, images):
    for name in ("train", "valid", "test"):
        write_voc(tmp_path, 3, annotations=annotations.format(name), images=images.format(name))
    parts, notes = read(tmp_path)
    assert [stems(part) for part in parts] == [list("012")] * 3
    assert [Path(part.sources(0)).parts[-2] in images + "train valid test" for part in parts]
    assert {name for part in parts for name in Path(part.sources(0)).parts} >= {"train", "valid"}
    assert notes == []


@pytest.mark.parametrize(
    ("annotations", "images"), [(".", "."), ("annotations", "photos of cells"), ("xmls", ".")]
)
def test_data_without_parts_is_split_and_every_class_stays_in_training(
    tmp_path, annotations, images
):
    write_voc(tmp_path, annotations=annotations, images=images)
    (tmp_path / annotations / "3.xml").write_text(xml("3.jpg", [("cat", (2, 2, 9, 9))]))
    (tmp_path / annotations / "4.xml").write_text(xml("4.jpg", [("cat", (2, 2, 9, 9), 1)]))
    parts, notes = read(tmp_path)
    assert [len(part) for part in parts] == [8, 1, 1]
    assert sorted(stem for part in parts for stem in stems(part)) == list("0123456789")
    assert "3" in stems(parts[0])
    assert [stems(part) for part in read(tmp_path)[0]] == list(map(stems, parts))
    assert "1 for validation and 1 for test (seed 0); 8 are left" in notes[-1]


def test_images_without_boxes_are_background(tmp_path):
    write_voc(tmp_path)
    write_image(tmp_path / "JPEGImages/none.jpg")
    write_image(tmp_path / "JPEGImages/empty.jpg")
    (tmp_path / "Annotations/empty.xml").write_text(xml("empty.jpg", []))
    parts, notes = read(tmp_path)
    counts = {stem: len(part.boxes(k)) for part in parts for k, stem in enumerate(stems(part))}
    assert counts == {"none": 0, "empty": 0} | {str(number): 1 for number in range(10)}
    assert "without an annotation file, which are background: 1 (" in notes[0]
    assert all(part.flat().classes.size for part in parts)


def test_images_are_found_by_the_name_of_the_file_and_by_the_one_inside(tmp_path):
    write_voc(tmp_path)
    names = {"café 1": "café 1.jpg", "b.v2": "b.v2.jpg", "other": r"C:\photos\Renamed.JPG"}
    for stem, name in names.items():
        write_image(tmp_path / "JPEGImages" / name.rpartition("\\")[2], format="JPEG")
        text = '\ufeff<?xml version="1.0"?>\r\n' + xml(name, [DOG])
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(text, encoding="utf-8")
    parts, _ = read(tmp_path)
    assert {"café 1", "b.v2", "Renamed"} < {x for part in parts for x in stems(part)}


def test_files_in_another_encoding_than_they_declare_are_read(tmp_path):
    write_voc(tmp_path)
    text = '<?xml version="1.0" encoding="GBK"?>' + xml("0.jpg", [("床前明月光", DOG[1])])
    for number in range(10):
        (tmp_path / f"Annotations/{number}.xml").write_text(text, encoding="gb18030")
        text = text.replace(f"{number}.jpg", f"{number + 1}.jpg")
    (train, _, _), _ = read(tmp_path)
    assert train.names == ("床前明月光",)


SIDES = ("xmin", "ymin", "xmax", "ymax")


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([DOG, ("", (2, 2, 9, 9))], r"3\.xml: object 2 has no class: its name is missing"),
        ([("dog", (2, 2, "nan", 9))], r"3\.xml: object 1: the box contains NaN or infinity"),
        ([("dog", (2, 2, "1e999", 9))], r"3\.xml: object 1: the box contains NaN or infinity"),
        ([("dog", (9, 2, 2, 9))], r"3\.xml: object 1: the box is inverted: its width is -7"),
        ([("dog", (2, 9, 9, 2))], r"3\.xml: object 1: the box is inverted: .* its height -7"),
        ([("dog", (5, 2, 5, 9))], r"3\.xml: object 1: the box is empty: its width is 0"),
        (
            [("dog", (2, "x", 9, 9))],
            r"3\.xml: object 1 \(dog\): expected a number as ymin, got 'x'",
        ),
        ([("dog", (30, 2, 40, 9))], r"3\.xml: object 1: the box lies outside of its image"),
        ([("dog", (2, 2, 9, 9), 7)], r"expected 0 or 1 as difficult, got '7'"),
        ([("Dog", (2, 2, 9, 9))], "the classes 'dog' and 'Dog' differ in case or spaces alone"),
        ([("dog ", (2, 2, 9, 9))], "the classes 'dog' and 'dog ' differ in case or spaces alone"),
    ],
)
def test_wrong_objects_are_named_by_file_and_number(tmp_path, objects, message):
    write_voc(tmp_path)
    (tmp_path / "Annotations/3.xml").write_text(xml("3.jpg", objects))
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<annotation>\n<object>\n</annotation>",
            r"3\.xml:3: the XML is malformed: mismatched tag",
        ),
        ("", r"3\.xml:1: the XML is malformed: no element found"),
        (
            "<annotations></annotations>",
            r"3\.xml: expected the element annotation, got annotations",
        ),
        (xml("3.jpg", [DOG], (200, 160)), r"3\.xml: .* is for 200 x 160 pixels, .* has 20 x 16"),
        (xml("2.jpg", [DOG]), r"2\.jpg is annotated twice, in .*2\.xml and .*3\.xml"),
        (xml("3.jpg", [DOG]).replace("bndbox", "polygon"), r"object 1 \(dog\) has no bndbox"),
        (xml("3.jpg", [DOG]).replace("xmax", "x2"), r"object 1 \(dog\) has no xmax"),
    ],
)
def test_wrong_files_are_named_with_the_line(tmp_path, text, message):
    write_voc(tmp_path)
    if "2.jpg" in text:
        (tmp_path / "JPEGImages/3.jpg").unlink()
    (tmp_path / "Annotations/3.xml").write_text(text)
    refused(tmp_path, message)


def test_several_mistakes_are_counted(tmp_path):
    write_voc(tmp_path, objects=[("dog", (9, 2, 2, 9))])
    message = refused(tmp_path, "the box is inverted")
    assert message.endswith("(and 9 more like it). Correct or delete it.")


def test_boxes_are_clipped_and_counted(tmp_path):
    write_voc(tmp_path, objects=[DOG, ("dog", (-5, 3, 30, 20))])
    (train, _, _), notes = read(tmp_path)
    assert train.boxes(0)[1].tolist() == [0, 2, 20, 16]
    assert "boxes clipped at the border of their image: 10 of 20" in notes[0]


def test_a_box_of_one_pixel_is_ignored_and_named(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "Annotations/3.xml").write_text(xml("3.jpg", [DOG, ("dog", (7, 8, 7, 8))]))
    parts, notes = read(tmp_path)
    own = next(x for part in parts for x in [part[np_index(part, "3")]] if len(x))
    assert own.boxes(0)[1].tolist() == [6, 7, 7, 8]
    assert own.ignored(0).tolist() == [False, True]
    assert "which are ignored: 1 (Annotations/3.xml: object 2)" in notes[0]


def np_index(part, stem):
    return [k for k, own in enumerate(stems(part)) if own == stem]


def test_missing_images_are_counted_and_named_or_refused(tmp_path):
    write_voc(tmp_path)
    for number in range(4):
        (tmp_path / f"JPEGImages/{number}.jpg").unlink()
    (tmp_path / "JPEGImages/9.jpg").write_bytes(b"404")
    parts, notes = read(tmp_path)
    assert sum(map(len, parts)) == 5
    assert notes[0].endswith(
        "annotated images that do not exist: 4 of 10 (0.jpg, 1.jpg, 2.jpg and 1 more). They are "
        "left out."
    )
    assert "Skipped 1 of 6 files: 1 not an image (JPEGImages/9.jpg)" in notes[1]
    refused(tmp_path, "annotated images that do not exist: 4 of 10", strict=True)
    for number in range(4):
        write_image(tmp_path / f"JPEGImages/{number}.jpg")
    refused(tmp_path, "Skipped 1 of 10 files: 1 not an image", strict=True)


def test_a_missing_folder_of_images_is_said(tmp_path):
    write_voc(tmp_path)
    for path in (tmp_path / "JPEGImages").iterdir():
        path.unlink()
    refused(
        tmp_path, r"none of the 10 train images was found, such as 0\.jpg.*in a folder named images"
    )


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("frame", ["stored", "upright"])
def test_the_size_in_the_annotation_says_which_way_up_its_boxes_are(tmp_path, orientation, frame):
    exif = Image.Exif()
    exif[274] = orientation
    sideways = orientation > 4
    size = (16, 20) if sideways and frame == "upright" else (20, 16)
    write_voc(tmp_path, objects=[DOG])
    for number in range(10):
        write_image(tmp_path / f"JPEGImages/{number}.jpg", exif=exif)
        (tmp_path / f"Annotations/{number}.xml").write_text(xml("", [DOG], size))
    (train, _, _), notes = read(tmp_path)
    left, top, right, bottom = train.boxes(0)[0].tolist()
    is_decided = sideways and frame == "stored"
    assert [left, top, right, bottom] == [1, 2, 12, 9] or is_decided
    assert ("do not say whether the boxes are" in " ".join(notes)) == (not sideways)
    if is_decided:
        assert (right - left, bottom - top) == (7, 11)


def test_an_image_in_two_parts_is_noted(tmp_path):
    write_sets(write_voc(tmp_path), train=range(7), val=[7, 8, 8], test=[6, 9])
    _, notes = read(tmp_path)
    assert any("val.txt: repeated lines, which are read once: 1." in note for note in notes)
    shared = "images in two parts, which make the score too good: 1 (JPEGImages/6.jpg)."
    assert any(shared in note for note in notes)


def test_a_class_of_test_alone_is_refused(tmp_path):
    write_sets(write_voc(tmp_path), train=range(7), val=[7], test=[8, 9])
    (tmp_path / "Annotations/9.xml").write_text(xml("9.jpg", [("cat", (2, 2, 9, 9))]))
    place = r"part test \(JPEGImages/9.jpg\)"
    refused(tmp_path, f"{place}: the class 'cat' does not occur in the training data")


@pytest.mark.parametrize(
    ("part", "message"),
    [(range(7), "none of the training images"), ([9], "none of the test images")],
)
def test_a_part_without_any_box_is_refused(tmp_path, part, message):
    write_sets(write_voc(tmp_path), train=range(7), val=[7, 8], test=[9])
    for number in part:
        (tmp_path / f"Annotations/{number}.xml").write_text(xml(f"{number}.jpg", []))
    refused(tmp_path, f"{message} has a box")


def test_a_training_part_whose_boxes_are_all_ignored_is_refused(tmp_path):
    write_voc(tmp_path, objects=[(*DOG, 1)])
    refused(tmp_path, "every box of the training images is ignored: difficult or iscrowd")


def test_an_annotation_with_two_images_is_refused_unless_it_names_one(tmp_path):
    write_voc(tmp_path)
    write_image(tmp_path / "JPEGImages/3.png", 200)
    _, notes = read(tmp_path)
    assert "without an annotation file, which are background: 1 (" in notes[0]
    assert "3.png" in notes[0]
    (tmp_path / "Annotations/3.xml").write_text(xml("", [DOG]))
    refused(tmp_path, r"3\.jpg and .*3\.png belong to the same annotation")


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "Annotations/x.xml").symlink_to(tmp_path / "nowhere")
    refused(tmp_path, r"x\.xml: this link leads nowhere\. Remove it")


def test_image_sets_without_training_are_refused(tmp_path):
    write_sets(write_voc(tmp_path), val=[7, 8], test=[9])
    refused(tmp_path, r"no file lists images for training\. Expected one of train\.txt")


@pytest.mark.skipif(not BCCD.is_dir(), reason="the data is not there")
def test_bccd_is_read_whole():
    parts, notes = read(BCCD)
    for part, name in zip(parts, ("train", "val", "test"), strict=True):
        ids = (BCCD / f"ImageSets/Main/{name}.txt").read_text().split()
        text = "".join((BCCD / f"Annotations/{stem}.xml").read_text() for stem in ids)
        names = re.findall(r"<object>\s*<name>(\w+)</name>", text)
        assert stems(part) == ids
        assert {label: names.count(label) for label in part.names} == {
            label: int((part.flat().classes == k).sum()) for k, label in enumerate(part.names)
        }
        lefts = [float(x) - 1 for x in re.findall(r"<xmin>(\d+)", text)]
        rights = [float(x) for x in re.findall(r"<xmax>(\d+)", text)]
        assert sorted(part.flat().boxes[:, 0].tolist()) == sorted(lefts)
        assert sorted(part.flat().boxes[:, 2].tolist()) == sorted(rights)
    assert parts[0].names == ("Platelets", "RBC", "WBC")
    assert len(notes) == 1
    assert "boxes of a single pixel, which are ignored: 2" in notes[0]
