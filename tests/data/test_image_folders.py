"""Folders of classes and parts are recognized as people have them, and the rest is named."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from dlrecipes.data import image_folders
from dlrecipes.data.image_decoding import READS_HEIF
from dlrecipes.data.image_folders import classes, find_data, has_classes, list_images, parts
from dlrecipes.errors import DataError

PIXELS = Image.fromarray(np.zeros((2, 2), "uint8"))


def images(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIXELS.save(folder / name)
    return folder


def read(function, *args, **kwargs):
    """Returns the result and the notes of a function of folders."""
    notes = []
    return function(*args, note=notes.append, **kwargs), notes


def test_classes_are_folders_in_natural_order(tmp_path):
    for name in ("10", "9", "数字"):
        images(tmp_path / name, "b.PNG")
    images(tmp_path / "9", "a10.png", "a9.jpg")
    files = classes(tmp_path)
    assert list(files) == ["9", "10", "数字"]
    assert [path.name for path in files["9"]] == ["a9.jpg", "a10.png", "b.PNG"]


@pytest.mark.parametrize("name", ["_unknown", "_background_", "_"])
def test_folders_that_begin_with_an_underscore_are_classes(tmp_path, name):
    images(tmp_path, "a/1.png", f"{name}/1.png")
    assert set(classes(tmp_path)) == {"a", name}


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git", "$RECYCLE.BIN"]
)
def test_hidden_and_system_folders_are_ignored_silently(tmp_path, name):
    images(tmp_path, "a/1.png", "b/1.png", f"{name}/1.png", f"a/{name}/2.png")
    files, notes = read(classes, tmp_path)
    assert (list(files), notes) == (["a", "b"], [])
    assert len(files["a"]) == 1


@pytest.mark.parametrize("name", ["Thumbs.db", ".DS_Store", "desktop.ini", "._1.jpg", "readme.txt"])
def test_system_files_and_documents_are_ignored_silently(tmp_path, name):
    images(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / name).touch()
    (tmp_path / "a" / name).touch()
    files, notes = read(classes, tmp_path)
    assert [path.name for path in files["a"]] == ["1.jpg"]
    assert notes == []


def test_empty_folders_and_those_of_documents_are_not_classes_and_named(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.xml").touch()
    files, notes = read(classes, tmp_path)
    assert list(files) == ["a", "b"]
    assert notes == [
        f"{tmp_path / name} has no images and is not a class." for name in ("c", "docs")
    ]


def test_a_stray_image_next_to_class_folders_is_named(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png", "cat.png")
    files, notes = read(classes, tmp_path)
    assert list(files) == ["a", "b"]
    assert notes == [
        f"{tmp_path}: 1 image lies next to the class folders: cat.png. They are not read."
    ]


def test_more_images_next_to_class_folders_than_in_them_are_refused(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png", "1.png", "2.png")
    with pytest.raises(DataError, match=r"2 images lie next to the class folders: 1\.png, 2\.png"):
        classes(tmp_path)


def test_files_of_types_that_are_not_read_are_counted_and_named(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png")
    for name in ("2.psd", "3.psd", "4"):
        (tmp_path / "a" / name).touch()
    _, notes = read(classes, tmp_path)
    assert notes == [
        f"Not read: 2 .psd files, such as {tmp_path / 'a' / '2.psd'}.",
        f"Not read: 1 files without an extension, such as {tmp_path / 'a' / '4'}.",
    ]
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(
        DataError, match=r"a: the class has no images that can be read, but 3 files"
    ):
        classes(tmp_path)


@pytest.mark.skipif(READS_HEIF, reason="pillow-heif is installed")
def test_heic_files_are_named_with_what_to_install(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "2.HEIC").touch()
    assert read(classes, tmp_path)[1] == [
        f"Not read: 1 .heic files, such as {tmp_path / 'a' / '2.HEIC'}. "
        "To read them: pip install pillow-heif."
    ]
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(DataError, match="no images that can be read") as raised:
        classes(tmp_path)
    assert "pip install pillow-heif" in raised.value.hint


def test_images_deeper_than_their_class_are_refused_or_named(tmp_path):
    images(tmp_path, "a/1.png", "a/more/2.png", "b/1.png")
    files, notes = read(classes, tmp_path)
    assert len(files["a"]) == 1
    assert notes == [
        f"The images in folders of {tmp_path / 'a'} are not read, such as those in "
        f"{tmp_path / 'a' / 'more'}."
    ]
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(DataError, match=r"a: the images are in its folders, such as more\. Give"):
        classes(tmp_path)


def test_classes_that_differ_in_case_alone_are_noted(tmp_path):
    if (tmp_path / "x").touch() or (tmp_path / "X").exists():
        pytest.skip("The file system ignores case.")
    images(tmp_path, "Cat/1.png", "cat/1.png", "dog/1.png")
    files, notes = read(classes, tmp_path)
    assert len(files) == 3
    assert notes == ["The class names Cat and cat differ in upper and lower case alone."]


def test_class_names_of_macos_equal_those_of_other_systems(tmp_path):
    images(tmp_path / "train", "caf\u00e9/1.png", "b/1.png")
    images(tmp_path / "test", "cafe\u0301/1.png", "b/1.png")
    assert list(classes(tmp_path / "train")) == list(classes(tmp_path / "test"))


def test_a_class_that_the_training_part_lacks_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"the class 'cat' does not .* Rename it Cat\."):
        image_folders.match_classes(["cat"], ["Cat", "dog"], tmp_path)
    with pytest.raises(
        DataError, match=r"'x' does not occur in the training data \(and 1 more\)\."
    ):
        image_folders.match_classes(["x", "y", "dog"], ["Cat", "dog"], tmp_path)
    _, notes = read(image_folders.match_classes, ["dog"], ["Cat", "dog"], tmp_path)
    assert notes == [f"{tmp_path} lacks 1 of the classes: Cat."]


def test_folders_without_two_classes_of_images_are_rejected(tmp_path):
    with pytest.raises(DataError, match="no class folders"):
        classes(tmp_path)
    images(tmp_path, "a/1.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="one class folder"):
        classes(tmp_path)
    assert list(classes(tmp_path, least=1)) == ["a"]
    with pytest.raises(DataError, match="no such folder"):
        classes(tmp_path / "c")


def test_what_is_there_instead_of_class_folders_is_named(tmp_path):
    (tmp_path / "mnist_train.csv").write_text("label")
    with pytest.raises(DataError, match=r"not read: one file, such as mnist_train\.csv\."):
        classes(tmp_path)
    images(tmp_path, "img_align_celeba/1.png")
    (tmp_path / "identity_CelebA.txt").write_text("1.png 1")
    with pytest.raises(DataError, match="one class folder, img_align_celeba; not read: 2 files"):
        classes(tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "val", "test"), {"train": "train", "validation": "val", "test": "test"}),
        (("Training", "Testing"), {"train": "Training", "test": "Testing"}),
        (("seg_train", "seg_test"), {"train": "seg_train", "test": "seg_test"}),
        (("a", "b"), {}),
    ],
)
def test_parts_are_found_by_their_usual_names(tmp_path, names, expected):
    for name in names:
        images(tmp_path / name, "a/1.png")
    assert {part: path.name for part, path in parts(tmp_path).items()} == expected


def test_two_folders_for_one_part_and_parts_without_train_are_refused(tmp_path):
    images(tmp_path / "test", "a/1.png")
    with pytest.raises(DataError, match="expected a folder train next to test"):
        parts(tmp_path)
    for name in ("train", "valid", "val"):
        images(tmp_path / name, "a/1.png")
    with pytest.raises(DataError, match="both val and valid hold the validation part"):
        parts(tmp_path)


def test_empty_and_other_folders_next_to_parts_are_named(tmp_path):
    images(tmp_path, "train/a/1.png", "unlabelled/1.png", "overview.png")
    (tmp_path / "test").mkdir()
    folders, notes = read(parts, tmp_path)
    assert list(folders) == ["train"]
    assert notes == [
        f"{tmp_path}: parts read: train; not read: unlabelled.",
        f"{tmp_path}: 1 image not read, such as overview.png.",
    ]


@pytest.mark.parametrize("wrapping", ["lfw", "archive/lfw-deepfunneled/lfw-deepfunneled"])
def test_wrapped_data_are_found_and_named(tmp_path, wrapping):
    images(tmp_path / wrapping, "Ann/1.png", "Bob/1.png")
    (tmp_path / "people.csv").touch()
    images(tmp_path, "__MACOSX/lfw/Ann/1.png", "preview.png")
    folder, notes = read(find_data, tmp_path, has_classes)
    assert folder == tmp_path / wrapping
    assert notes == [f"The data was found in {folder}."]
    assert read(find_data, folder, has_classes) == (folder, [])


def test_several_wrapped_data_sets_are_refused_with_their_names(tmp_path):
    for name in ("MNIST", "KMNIST"):
        images(tmp_path / name, "0/1.png", "1/1.png")
    with pytest.raises(DataError, match="several folders hold data: KMNIST, MNIST"):
        find_data(tmp_path, has_classes)


def test_folders_of_a_class_are_not_taken_for_the_data(tmp_path):
    images(tmp_path, "cat/day/1.png", "cat/night/1.png", "dog/1.png")
    assert find_data(tmp_path, has_classes) == tmp_path
    with pytest.raises(DataError, match=r"cat: the images are in its folders"):
        classes(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Links need privileges on Windows.")
def test_links_are_followed_loops_end_and_broken_links_are_named(tmp_path):
    images(tmp_path / "elsewhere", "1.png")
    data = images(tmp_path / "data", "a/1.png")
    (data / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (data / "a" / "up").symlink_to(data, target_is_directory=True)
    assert list(classes(data)) == ["a", "b"]
    (tmp_path / "wrapped").mkdir()
    (tmp_path / "wrapped" / "loop").symlink_to(tmp_path / "wrapped", target_is_directory=True)
    assert find_data(tmp_path / "wrapped", has_classes) == tmp_path / "wrapped"
    (data / "a" / "2.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(DataError, match=r"a/2\.png: this link leads nowhere"):
        list_images(data / "a")
    (data / "a" / "2.png").unlink()
    (data / "a" / "2.png").symlink_to(data / "a" / "2.png")
    with pytest.raises(DataError, match=r"a/2\.png: this link leads nowhere"):
        list_images(data / "a")


def test_links_that_lead_back_up_are_not_classes(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "all").symlink_to(".", target_is_directory=True)
    (tmp_path / "a" / "up").symlink_to("..", target_is_directory=True)
    assert read(classes, tmp_path) == ({name: [tmp_path / name / "1.png"] for name in "ab"}, [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    images(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "b" / "2.png")
    with pytest.raises(DataError, match=r"b/2\.png: this is neither a file nor a folder\."):
        classes(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="not a name on Windows")
def test_class_names_with_line_breaks_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"the name 'b\\nc' cannot be printed\."):
        classes(images(tmp_path, "a/1.png", "b\nc/1.png"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_without_permission_is_one_line(tmp_path):
    (images(tmp_path, "a/1.png", "b/1.png") / "a").chmod(0)
    try:
        with pytest.raises(DataError, match=r"a: the folder cannot be read: Permission denied\."):
            classes(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(DataError, match=r"the folder cannot be read: Permission denied\."):
        classes(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="Other systems refuse such names themselves.")
def test_names_that_are_not_utf8_are_refused(tmp_path):
    images(tmp_path, "a/1.png")
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(DataError, match=r"the name caf\\xe9 is not UTF-8\. Rename it\."):
        classes(tmp_path)
