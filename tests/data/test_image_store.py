"""Decoded images are kept in memory and in a file, within limits, and come back unchanged."""

import gc
import tempfile

import numpy as np
import pytest

from dlrecipes.data import image_store
from dlrecipes.data.image_store import ImageStore

SHAPE, EACH = (2, 3, 3), 18


@pytest.fixture
def limits(monkeypatch, tmp_path):
    """Room for two images in memory and three in a file."""
    gc.collect()
    monkeypatch.setattr(image_store, "MEMORY", 2 * EACH + ImageStore.reserved_memory)
    monkeypatch.setattr(image_store, "DISK", 3 * EACH + ImageStore.reserved_disk)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def images(*values):
    return np.stack([np.full(SHAPE, value, "uint8") for value in values])


def read(store, places):
    received = np.zeros((len(places), *SHAPE), "uint8")
    is_read = store.read(np.array(places), received)
    return is_read.tolist(), received[:, 0, 0, 0].tolist()


def test_images_come_back_from_memory_and_file_in_any_order(limits):
    store = ImageStore(9, SHAPE)
    assert store.add(images(10)).tolist() == [0]
    # One fits into memory, two go into the file.
    assert store.add(images(11, 12, 13)).tolist() == [1, 2, 3]
    assert not store.is_full
    assert store.add(images(14, 15)).tolist() == [4]
    assert store.is_full
    assert store.add(images(16)).tolist() == []
    assert read(store, [3, -1, 0, 4, 2, 1]) == (
        [True, False, True, True, True, True],
        [13, 0, 10, 14, 12, 11],
    )


def test_a_full_disk_ends_the_keeping_and_loses_nothing(limits):
    store = ImageStore(9, SHAPE)
    store.add(images(10, 11, 12))

    class FullDisk:
        def seek(self, place):
            pass

        def write(self, data):
            raise OSError("No space left on device")

    opened, store._file._opened = store._file._opened, FullDisk()
    assert store.add(images(13)).tolist() == []
    assert store.is_full
    store._file._opened = opened
    assert read(store, [0, 1, 2]) == ([True] * 3, [10, 11, 12])


def test_a_file_that_cannot_be_read_leaves_its_images_to_be_decoded_again(limits):
    store = ImageStore(9, SHAPE)
    store.add(images(10, 11, 12))
    store._file._opened.truncate(0)
    assert read(store, [2, 1])[0] == [False, True]


def test_stores_share_the_limits_and_return_their_room(limits):
    before = ImageStore.reserved_memory, ImageStore.reserved_disk
    first, second = ImageStore(9, SHAPE), ImageStore(9, SHAPE)
    assert second.is_full
    del first
    gc.collect()
    assert (ImageStore.reserved_memory, ImageStore.reserved_disk) == before
    assert not ImageStore(1, SHAPE).is_full


@pytest.mark.parametrize(
    ("count", "notes"),
    [(2, []), (4, ["2 decoded images are kept"]), (9, ["3 decoded", "4 images are decoded again"])],
)
def test_what_does_not_fit_into_memory_is_noted(limits, capsys, tmp_path, count, notes):
    ImageStore(count, SHAPE)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(notes)
    for line, note in zip(lines, notes, strict=True):
        assert line.startswith(f"Note: {note}")
        assert str(tmp_path) in line


def test_the_file_is_deleted_with_its_store_and_spares_half_of_the_disk(
    limits, monkeypatch, tmp_path
):
    usage = type("Usage", (), {"free": 4 * EACH})
    monkeypatch.setattr(image_store.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(image_store, "DISK", 100 * EACH)
    store = ImageStore(9, SHAPE)
    # Two in memory, and half of the four for which the disk has room.
    assert store.add(images(*range(9))).tolist() == [0, 1, 2, 3]
    del store
    gc.collect()
    assert list(tmp_path.iterdir()) == []
