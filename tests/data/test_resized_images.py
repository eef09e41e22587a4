"""Images of one size from folders and TFDS; tests/recipes/test_autoencoder.py has other layouts."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import tfds
from dlrecipes.data.resized_images import (
    LARGEST,
    NO_CLASS,
    check_resized_images,
    read_resized_images,
    tfds_resized_images,
)
from dlrecipes.errors import DataError


def images_in(folder, *sizes):
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (10 * number, 0, 0)).save(folder / f"{number}.png")


def test_large_images_are_limited_unless_a_size_is_given(tmp_path):
    images_in(tmp_path, (200, 100), (200, 100))
    notes = []
    parts = read_resized_images(tmp_path, 0, 3, notes.append)
    assert parts["train"].images.shape == (2, LARGEST, LARGEST, 3)
    assert notes == [
        f"{tmp_path}: the images, of 200x100 pixels, are resized to {LARGEST}x{LARGEST} (--size)."
    ]
    assert read_resized_images(tmp_path, 100, 1)["train"].images.shape == (2, 100, 100, 1)


def test_images_that_have_the_size_are_read_as_they_are(tmp_path):
    images_in(tmp_path, (16, 16), (16, 16))
    notes = []
    part = read_resized_images(tmp_path, 0, 3, notes.append)["train"]
    assert (part.images[1] == [10, 0, 0]).all()
    assert (part.names, notes) == ((NO_CLASS,), [])


def test_parts_have_the_classes_of_the_training_images(tmp_path):
    for part in ("train", "test"):
        for name in ("a", "b"):
            images_in(tmp_path / part / name, (16, 16))
    parts = read_resized_images(tmp_path, 0, 1)
    assert set(parts) == {"train", "test"}
    assert parts["test"].labels.tolist() == [0, 1]
    images_in(tmp_path / "val", (16, 16))
    with pytest.raises(DataError, match="in both train and validation, or in neither"):
        read_resized_images(tmp_path, 0, 1)


def test_a_report_is_on_images_and_not_on_idx_files(tmp_path):
    images_in(tmp_path / "photos", (16, 16), (16, 16))
    report = check_resized_images(tmp_path / "photos", "mine")
    assert (report.name, report.problems) == ("mine", [])
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").touch()
    assert check_resized_images(tmp_path / "idx", "mine") is None
    with pytest.raises(DataError, match="there is no such folder"):
        check_resized_images(tmp_path / "none", "mine")


def test_a_dataset_of_tfds_keeps_its_parts(monkeypatch):
    rows = [
        {"image": np.full((20, 10, 3), number, "uint8"), "label": number % 2} for number in range(4)
    ]
    features = {
        "image": SimpleNamespace(shape=(None, None, 3)),
        "label": SimpleNamespace(names=["a", "b"]),
    }
    builder = SimpleNamespace(
        info=SimpleNamespace(features=features, splits={"train": None, "test": None}),
        as_dataset=lambda split: SimpleNamespace(
            as_numpy_iterator=lambda: rows if split == "train" else rows[:1]
        ),
    )
    monkeypatch.setattr(tfds, "prepared", lambda *_: contextlib.nullcontext(builder))
    parts = tfds_resized_images("two", "folder", 0, colour=True)
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (4, 20, 20, 3),
        "test": (1, 20, 20, 3),
    }
    assert parts["train"].labels.tolist() == [0, 1, 0, 1]
    assert set(tfds_resized_images("two", "folder", 8, colour=False, parts=["train"])) == {"train"}
    del features["image"]
    with pytest.raises(DataError, match="tfds:two: expected images"):
        tfds_resized_images("two", "folder", 0, colour=True)
