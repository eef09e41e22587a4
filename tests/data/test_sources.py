from pathlib import Path

import pytest

from dlrecipes.data.sources import existing_folder, load_source, source_name
from dlrecipes.errors import DataError, UsageError

READERS = {
    "builtin": lambda: "built in",
    "folder": lambda path: ("folder", path),
    "tfds": lambda name: ("tfds", name),
}


@pytest.mark.parametrize(
    ("data", "examples"),
    [
        ("builtin", "built in"),
        ("tfds:emnist/digits", ("tfds", "emnist/digits")),
        ("./builtin", ("folder", Path("builtin"))),
        ("some/folder", ("folder", Path("some/folder"))),
    ],
)
def test_each_source_is_read_by_its_own_function(data, examples):
    assert load_source(data, **READERS) == examples


def test_home_folders_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_source("~/mine", **READERS) == ("folder", tmp_path / "mine")
    assert existing_folder("~", "a folder of images") == tmp_path
    with pytest.raises(DataError, match="~no user/images: there is no such folder"):
        existing_folder("~no user/images", "a folder of images")


def test_recipes_without_tfds_datasets_name_what_they_read():
    readers = READERS | {"tfds": None}
    with pytest.raises(UsageError) as caught:
        load_source("tfds:mnist", **readers, recipe="pix2pix", expected="a folder of images")
    assert str(caught.value) == (
        "--data tfds:mnist: pix2pix does not support TFDS datasets. "
        "Give 'builtin' or a folder of images."
    )


def test_tfds_datasets_need_a_name():
    with pytest.raises(UsageError, match="--data tfds:: the name of a TFDS dataset is missing"):
        load_source("tfds:", **READERS)


def test_only_builtin_data_has_a_name_of_its_own():
    names = [source_name(data, "digits, seed 1") for data in ("builtin", "tfds:mnist", "~/mine")]
    assert names == ["digits, seed 1", "tfds:mnist", "~/mine"]


def test_missing_folders_and_files_are_rejected_with_what_is_expected(tmp_path):
    assert existing_folder(str(tmp_path), "a folder of images") == tmp_path
    with pytest.raises(DataError, match=r"none: there is no such folder\. Give a folder of images"):
        existing_folder(tmp_path / "none", "a folder of images")
    with pytest.raises(DataError, match="File name too long"):
        existing_folder(tmp_path / ("a" * 300), "a folder of images")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"file: expected a folder, got a file\. Give a folder of images"
    ):
        existing_folder(tmp_path / "file", "a folder of images")
