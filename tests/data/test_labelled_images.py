"""Labelled images are read from folders, CSV files and TFDS, and what is wrong is named."""

import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import labelled_images
from dlrecipes.data.labelled_images import (
    ImageExamples,
    read_labelled_images,
    tfds_labelled_images,
)
from dlrecipes.errors import DataError


def write(folder, name="cat", count=10, first=0, kind="png"):
    """Images whose colour is their number."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(folder / name / f"{number}.{kind}")
    return folder


def write_two(folder, count=10):
    return write(write(folder, "cat", count), "dog", count, first=100)


def read(path, seed=0):
    notes = []
    return read_labelled_images(path, seed, notes.append), notes


def shown(examples):
    """The number that each image shows."""
    return [int(examples.image(k)[0, 0, 0]) for k in range(len(examples))]


def test_a_folder_per_class_is_split_within_each_class(tmp_path):
    parts, notes = read(write_two(tmp_path))
    assert [len(part) for part in parts] == [16, 2, 2]
    assert sorted(number for part in parts for number in shown(part)) == [
        *range(10),
        *range(100, 110),
    ]
    for part in parts:
        assert part.names == ("cat", "dog")
        assert [number >= 100 for number in shown(part)] == part.labels.astype(bool).tolist()
    assert notes == [
        f"{tmp_path}: held out at random from the training images: 2 for validation and 2 for "
        "test (seed 0); 16 are left."
    ]
    assert [shown(part) for part in read(tmp_path)[0]] == [shown(part) for part in parts]
    assert shown(read(tmp_path, seed=1)[0][2]) != shown(parts[2])


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Training", "dev", "eval")])
def test_parts_are_kept_and_missing_ones_are_split_off_and_said(tmp_path, names):
    for name in names:
        write_two(tmp_path / name)
    parts, notes = read(tmp_path)
    assert ([len(part) for part in parts], notes) == ([20, 20, 20], [])
    for path in (tmp_path / names[1]).rglob("*.png"):
        path.unlink()
    parts, notes = read(tmp_path)
    assert [len(part) for part in parts] == [18, 2, 20]
    assert "2 for validation (seed 0); 18 are left" in notes[-1]


def test_a_selection_decodes_nothing(tmp_path, monkeypatch):
    (train, _, _), _ = read(write_two(tmp_path))
    monkeypatch.setattr(type(train.source), "read", None)
    assert train[2:5].labels.tolist() == train.labels[2:5].tolist()
    chosen = train[np.array([5, 1])]
    assert chosen.sources(1) == train.sources(1)
    assert chosen[train.labels[[5, 1]] == 0].labels.tolist() == [0, 0]
    assert chosen.image_bytes(0) == Path(chosen.sources(0)).read_bytes()


def test_images_are_upright_rgb_in_their_own_size(tmp_path):
    write_two(tmp_path)
    pixels = np.zeros((8, 16, 3), "uint8")
    pixels[:, 8:] = 255
    rotated = Image.Exif()
    rotated[274] = 6  # The top of the image is at its right.
    Image.fromarray(pixels).save(tmp_path / "cat/rotated.jpg", exif=rotated, quality=95)
    Image.new("LA", (3, 5), (0, 0)).save(tmp_path / "cat/clear.png")
    examples = ImageExamples.from_files(
        [tmp_path / "cat/rotated.jpg", tmp_path / "cat/clear.png"], [0, 0], ("cat", "dog")
    )
    upright = examples.image(0)
    assert upright.shape == (16, 8, 3)
    assert upright[:7].max() < 10
    assert upright[9:].min() > 245
    assert examples.image(1).tolist() == np.full((5, 3, 3), 255).tolist()


def test_arrays_are_examples_and_are_encoded_as_files():
    images = [np.full((5, 7, 3), 9, "uint8"), np.full((4, 4), 8, "uint8")]
    examples = ImageExamples.from_arrays(images, [1, 0], ("x", "o"))
    assert examples.labels.dtype == "int32"
    assert examples.image(1).shape == (4, 4, 3)
    decoded = np.asarray(Image.open(io.BytesIO(examples.image_bytes(0))))
    assert decoded.tolist() == images[0].tolist()


def test_system_files_are_ignored_silently_and_others_are_skipped_in_one_note(tmp_path):
    write_two(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/cat/._1.jpg"):
        (tmp_path / "cat" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cat" / name).write_bytes(b"system")
    assert len(read(tmp_path)[1]) == 1
    for number in range(4):
        (tmp_path / "cat" / f"page{number}.jpg").write_text("404")
    whole = (tmp_path / "dog/100.png").read_bytes()
    (tmp_path / "dog/cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (1, 1)).save(tmp_path / "dog/dot.png")
    huge = bytearray(whole)
    huge[16:24] = struct.pack(">II", 20_000, 20_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(huge[12:29]))
    (tmp_path / "dog/huge.png").write_bytes(huge)
    parts, notes = read(tmp_path)
    assert sum(map(len, parts)) == 20
    assert notes[0] == (
        f"{tmp_path}: Skipped 7 of 27 files: 4 not an image (cat/page0.jpg, cat/page1.jpg, "
        "cat/page2.jpg, ...); 1 truncated or damaged (dog/cut.png); 1 a side below 2 pixels "
        "(dog/dot.png); 1 more than 100,000,000 pixels (dog/huge.png)."
    )
    assert len(notes) == 2


def bad_folders(tmp_path):
    """Folders by the message that they are refused with."""

    def folder(message):
        path = tmp_path / str(len(cases))
        path.mkdir()
        cases[message] = path
        return path

    cases = {}
    folder("expected at least two class folders, got no class folders")
    write(folder("expected at least two class folders, got one class folder, cat"))
    write_two(folder("got no class folders and 10 images") / "x", 10)
    one = write_two(folder("'dog' has one image; training, validation and test .* at least 3"))
    for path in list((one / "dog").iterdir())[1:]:
        path.unlink()
    write(write_two(folder("'Cat' and 'cat' differ in case or spaces alone")), "Cat")
    write(write_two(folder("'cat' and 'cat ' differ in case or spaces alone")), "cat ")
    extra = folder("the class 'bird' does not occur in the training data")
    write(write_two(extra / "test"), "bird")
    write_two(extra / "train")
    texts = folder(r"no image of the class 'dog' can be used.*2 not an image \(dog/1\.jpg")
    write(texts)
    (texts / "dog").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (texts / "dog" / name).write_text("404")
    flat = cases["got no class folders and 10 images"]
    for path in list((flat / "x/cat").iterdir()):
        path.rename(flat / path.name)
    for path in list((flat / "x/dog").iterdir()):
        path.unlink()
    return cases


def test_folders_that_make_no_sense_are_refused_in_one_line(tmp_path):
    for message, folder in bad_folders(tmp_path).items():
        with pytest.raises(DataError, match=message) as caught:
            read(folder)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "nothing")
    (tmp_path / "data.zip").touch()
    with pytest.raises(DataError, match=r"expected a folder, got an archive\. Unpack it"):
        read(tmp_path / "data.zip")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("cat.png", None, "one image"),
        ("cat.jpg", None, "one image"),
        ("cat.csv", None, "one image"),
        ("cat.dat", bytes(range(256)), "a binary file"),
    ],
)
def test_one_image_in_place_of_many_is_named_as_such(tmp_path, name, content, kind):
    path = tmp_path / name
    if content is None:
        Image.new("RGB", (9, 9)).save(path, "JPEG" if name.endswith("jpg") else "PNG")
    else:
        path.write_bytes(content)
    message = f"expected many images, got {kind}. Give a folder with one folder of images per class"
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_single_letters_may_differ_in_case_alone(tmp_path):
    parts, _ = read(write(write(tmp_path, "a"), "A"))
    assert set(parts[0].names) == {"a", "A"}


def test_classes_are_in_natural_order_and_parts_may_lack_some(tmp_path):
    write(write(tmp_path / "train", "10"), "9")
    write(tmp_path / "test", "10", first=50)
    parts, notes = read(tmp_path)
    assert parts[0].names == parts[2].names == ("9", "10")
    assert set(parts[2].labels.tolist()) == {1}
    assert "test lacks 1 of the classes: 9" in notes[0]


@pytest.mark.parametrize("is_folder", [False, True])
def test_csv_files_are_read(tmp_path, is_folder):
    write_two(tmp_path / "images")
    lines = [
        f"images/{path.parent.name}/{path.name},{path.parent.name}\n"
        for path in sorted((tmp_path / "images").rglob("*.png"))
    ]
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(lines))
    parts, _ = read(tmp_path if is_folder else tmp_path / "labels.csv")
    assert [len(part) for part in parts] == [16, 2, 2]
    assert parts[0].names == ("cat", "dog")


def test_images_next_to_their_csv_file_are_read(tmp_path):
    write_two(tmp_path)
    for path in list(tmp_path.rglob("*.png")):
        path.rename(tmp_path / path.name)
    lines = [f"{path.name},{len(path.stem)}\n" for path in tmp_path.glob("*.png")]
    (tmp_path / "labels.csv").write_text("id,file,label\n" + "".join(f"0,{x}" for x in lines))
    parts, _ = read(tmp_path)
    assert [len(part) for part in parts] == [16, 2, 2]
    assert parts[0].names == ("1", "3")


class Builder:
    """Stands in for a TFDS builder."""

    def __init__(self, splits, names=("cat", "dog"), label=lambda number: number % 2):
        features = {"image": None, "label": SimpleNamespace(names=list(names))}
        self.info = SimpleNamespace(features=features, splits=splits)
        self.label = label

    def download_and_prepare(self):
        pass

    def as_dataset(self, split, decoders, shuffle_files):
        assert list(decoders) == ["image"]
        examples = []
        for number in range(self.info.splits[split]):
            file = io.BytesIO()
            Image.new("RGB", (6, 4), (number, 0, 0)).save(file, "PNG")
            examples.append({"image": file.getvalue(), "label": self.label(number)})
        return SimpleNamespace(as_numpy_iterator=lambda: iter(examples))


def read_tfds(monkeypatch, tmp_path, *args, **kwargs):
    import tensorflow_datasets

    monkeypatch.setattr(
        tensorflow_datasets, "builder", lambda name, data_dir: Builder(*args, **kwargs)
    )
    notes = []
    return tfds_labelled_images("pets", tmp_path, 0, notes.append), notes


@pytest.mark.parametrize(
    ("splits", "sizes"),
    [
        ({"train": 20}, [16, 2, 2]),
        ({"all": 20}, [16, 2, 2]),
        ({"train": 20, "test": 6}, [18, 2, 6]),
        ({"train": 20, "validation": 4}, [18, 4, 2]),
        ({"train": 20, "validation": 4, "test": 6, "extra": 9}, [20, 4, 6]),
    ],
)
def test_the_splits_of_tfds_are_kept_and_missing_ones_split_off(
    monkeypatch, tmp_path, splits, sizes
):
    parts, notes = read_tfds(monkeypatch, tmp_path, splits)
    assert [len(part) for part in parts] == sizes
    for part in parts:
        assert [number % 2 for number in shown(part)] == part.labels.tolist()
        assert part.names == ("cat", "dog")
    assert len(notes) == 1


def test_tfds_datasets_without_labels_are_refused_in_one_line(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="tfds:pets: the split train has images without a label"):
        read_tfds(monkeypatch, tmp_path, {"train": 4}, label=lambda number: -1)
    with pytest.raises(DataError, match="expected a split train, got one, two"):
        read_tfds(monkeypatch, tmp_path, {"one": 4, "two": 4})
    monkeypatch.setattr(labelled_images.tfds, "prepared", lambda *_: UnlabelledBuilder())
    with pytest.raises(DataError, match="expected images with a class each"):
        tfds_labelled_images("pets", tmp_path, 0)


class UnlabelledBuilder:
    """A builder of a dataset without labels."""

    def __enter__(self):
        return SimpleNamespace(info=SimpleNamespace(features={"image": None}, splits={"train": 1}))

    def __exit__(self, *_):
        return False
