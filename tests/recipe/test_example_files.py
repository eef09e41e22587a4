"""Test inputs that a run keeps as files."""

import numpy as np
import pytest
from PIL import Image

from dlrecipes._utils.file_names import shorter_path
from dlrecipes.recipe.example_files import (
    ExampleFile,
    StandardInput,
    class_images,
    write_examples,
)


def test_files_are_written_and_their_paths_are_the_arguments(tmp_path):
    colour = np.arange(12, dtype="uint8").reshape(2, 2, 3)
    folder = tmp_path / "examples"
    commands = write_examples(
        [
            "a sentence",
            (ExampleFile("colour.png", colour), ExampleFile("grey.png", colour[..., :1])),
            ExampleFile("lines.txt", "one\ntwo\n"),
            ExampleFile("sound.wav", b"RIFF"),
        ],
        folder,
    )
    assert commands == [
        ("a sentence",),
        (folder / "colour.png", folder / "grey.png"),
        (StandardInput(folder / "lines.txt"),),
        (folder / "sound.wav",),
    ]
    np.testing.assert_array_equal(Image.open(folder / "colour.png"), colour)
    np.testing.assert_array_equal(Image.open(folder / "grey.png"), colour[..., 0])
    assert (folder / "lines.txt").read_text() == "one\ntwo\n"


def test_without_files_there_is_no_folder(tmp_path):
    assert write_examples([("--count", "5")], tmp_path / "examples") == [("--count", "5")]
    assert not (tmp_path / "examples").exists()


def test_names_of_classes_cannot_leave_the_folder():
    files = class_images(lambda row: np.zeros((2, 2)), [2, 0, 2, 1], ["a/b", "..", "猫"], count=2)
    assert [file.name for file in files] == ["猫-0.png", "a-b-1.png"]


@pytest.mark.parametrize(
    ("path", "shown"), [("runs/x.png", "runs/x.png"), ("/elsewhere/x", "/elsewhere/x")]
)
def test_paths_are_relative_where_that_is_shorter(tmp_path, monkeypatch, path, shown):
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert shorter_path(folder / path) == shown
