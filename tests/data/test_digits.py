import gzip
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data.digits import (
    LabelledImages,
    builtin_digits,
    described,
    fitted,
    read_digits,
    tfds_digits,
)
from dlrecipes.data.parts import stratified_split
from dlrecipes.errors import DataError, UsageError


def write_classes(folder, count=3, names=("3", "10"), size=(40, 30)):
    """Dark strokes on white: vertical for the first class, horizontal for the others."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = np.full(size, 255, "u1")
            stroke = (slice(8, 32), slice(12 + number, 15 + number))
            image[stroke if not place else (slice(15, 18), slice(5, 25))] = 0
            Image.fromarray(image).save(folder / name / f"{number}.png")


def write_idx(folder, count=24, marked=(), first=0):
    """Writes black images; the pixel at row and column `marked` is white."""
    for part, number in (("train", count), ("t10k", 4)):
        images = np.zeros((number, 28, 28), "u1")
        if marked:
            images[:, marked[0], marked[1]] = 255
        labels = (np.arange(number) % 2 + first).astype("u1")
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            shape = struct.pack(f">{array.ndim}I", *array.shape)
            content = bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))


def whole(counts):
    labels = np.repeat(np.arange(len(counts)), counts).astype("i4")
    images = np.arange(len(labels))[:, None, None] * np.ones((1, 28, 28), int)
    names = tuple("abcdefg"[: len(counts)])
    return LabelledImages(images.astype("u1"), labels, names)


def test_a_split_loses_nothing_and_is_stratified_by_class():
    data = whole([50, 100])
    parts = stratified_split(data, 0, (0.6, 0.2, 0.2), "here")
    seen = np.concatenate([part.images[:, 0, 0] for part in parts])
    assert sorted(seen) == list(range(150))
    assert [np.bincount(part.labels).tolist() for part in parts] == [[30, 60], [10, 20], [10, 20]]
    again = stratified_split(data, 0, (0.6, 0.2, 0.2), "here")
    other = stratified_split(data, 1, (0.6, 0.2, 0.2), "here")
    np.testing.assert_array_equal(parts[1].images, again[1].images)
    assert (parts[1].images != other[1].images).any()


def test_a_small_class_is_in_every_split_and_a_smaller_one_is_rejected():
    parts = stratified_split(whole([3, 100]), 0, (0.8, 0.1, 0.1), "here")
    assert [np.sum(part.labels == 0) for part in parts] == [1, 1, 1]
    with pytest.raises(DataError, match=r"here: the class 'a' has 2 images; .* at least 3"):
        stratified_split(whole([2, 100]), 0, (0.8, 0.1, 0.1), "here")


def test_all_built_in_digits_are_in_one_split_in_the_format_of_mnist():
    train, validation, test = builtin_digits(0)
    assert len(train) + len(validation) + len(test) == 1797
    assert test.names == tuple("0123456789")
    assert train.images.shape[1:] == (28, 28)
    assert train.images.dtype == np.uint8
    assert not train.images[:, :4].any()
    assert train.images[:, 4:24, 4:24].max() > 240
    assert not {x.tobytes() for x in test.images} & {x.tobytes() for x in train.images}


def test_small_images_fill_the_box_of_mnists_digits():
    assert fitted(np.full((2, 16, 8), 200, "u1"))[0].nonzero()[0].tolist()[0] == 4
    image = fitted(np.full((1, 16, 8), 200, "u1"))[0]
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 9, 18)
    assert set(image[4:24, 9:19].ravel()) == {200}
    assert fitted(np.full((1, 56, 56), 7, "u1")).tolist() == np.full((1, 28, 28), 7).tolist()


def test_idx_files_keep_their_test_split(tmp_path):
    write_idx(tmp_path)
    train, validation, test = read_digits(tmp_path, 0)
    assert (len(train), len(validation), len(test)) == (22, 2, 4)
    assert train.names == ("0", "1")


@pytest.mark.parametrize("given", ["", "MNIST", "MNIST/raw"])
def test_torchvisions_folders_of_mnist_are_found_and_named(tmp_path, given):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "processed").mkdir()
    (tmp_path / "MNIST" / "processed" / "training.pt").touch()
    write_idx(tmp_path / "MNIST" / "raw")
    notes = []
    assert [len(part) for part in read_digits(tmp_path / given, 0, notes.append)] == [22, 2, 4]
    found = f"The data was found in {tmp_path / 'MNIST' / 'raw'}."
    assert notes == ([] if given == "MNIST/raw" else [found])


def test_kaggles_folders_with_the_names_of_mnists_files_are_read(tmp_path):
    (tmp_path / "archive").mkdir()
    write_idx(tmp_path / "archive")
    for file in sorted((tmp_path / "archive").iterdir()):
        content = gzip.decompress(file.read_bytes())
        file.unlink()
        (file.with_suffix("")).mkdir()
        (file.with_suffix("") / file.stem).write_bytes(content)
    assert [len(part) for part in read_digits(tmp_path, seed=0)] == [22, 2, 4]
    # The archive holds two copies of each file.
    inner = tmp_path / "archive" / "t10k-labels-idx1-ubyte" / "t10k-labels-idx1-ubyte"
    (tmp_path / "archive" / "t10k-labels.idx1-ubyte").write_bytes(inner.read_bytes())
    assert [len(part) for part in read_digits(tmp_path / "archive", seed=0)] == [22, 2, 4]


def test_class_folders_are_split_and_dark_ink_is_inverted(tmp_path):
    write_classes(tmp_path, count=10)
    parts = read_digits(tmp_path, 0)
    assert [len(part) for part in parts] == [16, 2, 2]
    assert parts[0].names == ("3", "10")
    upright = parts[0].images[parts[0].labels == 0][0]
    # The stroke of 24x3 becomes 20 high, about 3 wide, in the middle, light on black.
    rows, columns = np.nonzero(upright > 128)
    assert (rows.min(), rows.max()) == (4, 23)
    assert 12 <= columns.min() <= columns.max() <= 15
    assert upright[0, 0] == 0


def test_existing_splits_are_kept_and_missing_ones_held_out(tmp_path):
    write_classes(tmp_path / "train", count=12)
    write_classes(tmp_path / "test", count=2)
    train, validation, test = read_digits(tmp_path, 0)
    assert [len(part) for part in (train, validation, test)] == [22, 2, 4]
    write_classes(tmp_path / "valid", count=1)
    assert [len(part) for part in read_digits(tmp_path, 0)] == [24, 2, 4]


def test_a_class_without_training_images_is_rejected(tmp_path):
    write_classes(tmp_path / "train", count=12)
    write_classes(tmp_path / "test", names=("3", "7"))
    with pytest.raises(DataError, match="the class '7' does not occur in the training data"):
        read_digits(tmp_path, 0)


def test_missing_folders_and_files_are_rejected(tmp_path):
    with pytest.raises(DataError, match=r"there is no such folder\. Give a folder of IDX"):
        read_digits(tmp_path / "none", 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a folder, got a file"):
        read_digits(tmp_path / "file", 0)


class Builder:
    """Stands in for a TFDS builder; the images of `emnist` are transposed in TFDS."""

    name = "emnist/digits"

    def __init__(self, splits=("train", "test")):
        features = {"image": None, "label": SimpleNamespace(names=["a", "b"])}
        self.info = SimpleNamespace(features=features, splits=splits)

    def download_and_prepare(self):
        pass

    def as_dataset(self, split):
        count = {"train": 24, "test": 4}[split]
        image = np.zeros((28, 28, 1), "u1")
        image[3, 20] = 255
        examples = [{"image": image, "label": number % 2} for number in range(count)]
        return SimpleNamespace(as_numpy_iterator=lambda: iter(examples))


def test_a_tfds_dataset_is_read_and_emnist_transposed(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Builder())
    train, validation, test = tfds_digits("emnist/digits", tmp_path, 0)
    assert [len(part) for part in (train, validation, test)] == [22, 2, 4]
    assert train.names == ("a", "b")
    assert np.argwhere(test.images[0]).tolist() == [[20, 3]]


def test_emnists_idx_files_are_transposed_as_in_tfds(tmp_path):
    write_idx(tmp_path, marked=(3, 20))
    assert np.argwhere(read_digits(tmp_path, 0)[2].images[0]).tolist() == [[3, 20]]
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / f"emnist-digits-{file.name.replace('t10k', 'test')}")
    train, validation, test = read_digits(tmp_path, 0)
    assert [np.argwhere(part.images[0]).tolist() for part in (train, validation, test)] == [
        [[20, 3]]
    ] * 3
    assert np.argwhere(read_digits(tmp_path, 0, orientation="upright")[2].images[0]).tolist() == [
        [3, 20]
    ]


def test_an_orientation_for_other_files_than_idx_is_a_usage_error(tmp_path):
    write_classes(tmp_path)
    with pytest.raises(UsageError, match=r"--orientation transposed: .* has no IDX files"):
        read_digits(tmp_path, 0, orientation="transposed")


def test_unsuitable_tfds_datasets_are_reported_in_one_line(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="tfds:no_such_set: there is no such dataset") as caught:
        tfds_digits("no_such_set", tmp_path, 0)
    assert "\n" not in str(caught.value)
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: Builder(splits=("train",)))
    with pytest.raises(DataError, match="expected images with a label, in the splits"):
        tfds_digits("mnist", tmp_path, 0)


def test_the_description_names_sizes_and_classes():
    parts = stratified_split(whole([50, 100]), 0, (0.6, 0.2, 0.2), "here")
    assert described(parts) == {
        "training images": "90",
        "validation images": "30",
        "test images": "30",
        "classes": "2: a, b",
    }


def emnist_letters(folder, mapping):
    """Writes IDX files of the labels 1 and 2 as EMNIST's, with a mapping file."""
    write_idx(folder, first=1)
    for file in list(folder.iterdir()):
        file.rename(folder / f"emnist-letters-{file.name.replace('t10k', 'test')}")
    (folder / "emnist-letters-mapping.txt").write_text(mapping)


def test_emnists_mapping_names_the_classes(tmp_path, capsys):
    emnist_letters(tmp_path, "1 65 97\r\n2 66 98\r\n3 67 99\r\n")
    train, validation, test = read_digits(tmp_path, 0)
    assert train.names == ("Aa", "Bb", "Cc")
    assert sorted([*train.labels, *validation.labels]) == [0] * 12 + [1] * 12
    assert set(test.labels) == {0, 1}
    assert "the classes are named as emnist-letters-mapping.txt says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("1 65\n", "no line for the label 2"),
        ("1 65\n2 B\n", r"mapping\.txt:2: expected a label and the codes"),
        ("1 65\n2 65\n", r"mapping\.txt:2: expected a label and the codes"),
        ("1 65\n\n1 66\n", r"mapping\.txt:3: expected a label and the codes"),
        ("1\n2 66\n", r"mapping\.txt:1: expected a label and the codes"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_line(tmp_path, mapping, message):
    emnist_letters(tmp_path, mapping)
    with pytest.raises(DataError, match=message):
        read_digits(tmp_path, 0)
