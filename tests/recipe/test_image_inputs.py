"""Files, folders and patterns as inputs of predictions, and their batches."""

import io

import numpy as np
import pytest
from PIL import Image

from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import RejectedInput
from dlrecipes.recipe import image_inputs
from dlrecipes.recipe.image_inputs import answer_images, expand_images
from dlrecipes.recipe.unanswered import IncompletePredictions, Unanswered, complete


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of images in two subfolders, with files of other kinds; the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats/10.png", "cats/9.png", "dogs/1.JPG", "cover.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 2), 7).save(path)
    (tmp_path / "photos" / "cats" / "notes.txt").write_text("notes")
    (tmp_path / "photos" / "Thumbs.db").write_text("system")
    return tmp_path / "photos"


ALL = ["photos/cover.png", "photos/cats/9.png", "photos/cats/10.png", "photos/dogs/1.JPG"]


@pytest.mark.parametrize(
    ("inputs", "files"),
    [
        (["photos"], ALL),
        (["photos/cover.png", "photos/dogs"], ["photos/cover.png", "photos/dogs/1.JPG"]),
        (["photos/cats/*"], ["photos/cats/9.png", "photos/cats/10.png"]),
        (["photos/c*"], ["photos/cats/9.png", "photos/cats/10.png", "photos/cover.png"]),
        (["photos/*/?.*"], ["photos/cats/9.png", "photos/dogs/1.JPG"]),
        # The user's order stays, and so does an image that is named twice.
        (["photos/dogs/1.JPG", "photos/dogs/1.JPG"], ["photos/dogs/1.JPG"] * 2),
        ([], []),
    ],
)
def test_folders_and_patterns_are_expanded_to_images(photos, inputs, files):
    assert expand_images(inputs) == files
    assert expand_images(files) == files


def test_a_recursive_pattern_names_each_image_once(photos):
    assert sorted(expand_images(["photos/**"])) == sorted(ALL)


def test_a_file_whose_name_is_a_pattern_is_that_file(photos):
    Image.new("L", (3, 2)).save("photos/cats/[9].png")
    assert expand_images(["photos/cats/[9].png"]) == ["photos/cats/[9].png"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("none.png", UsageError, "none.png: there is no such file or folder."),
        ("photos/*.gif", UsageError, "photos/*.gif: no file matches this pattern."),
        ("photos/empty", DataError, "photos/empty: the folder has no images; not read: one file"),
        (" ", UsageError, "Input 2 is empty."),
    ],
)
def test_inputs_that_name_no_image_are_one_line(photos, text, error, message):
    (photos / "empty").mkdir()
    (photos / "empty" / "notes.txt").write_text("notes")
    with pytest.raises(error) as caught:
        expand_images(["photos/cover.png", text])
    assert message in caught.value.message


def grey_levels(calls):
    """Returns a function that answers with the first pixel of each image, and counts batches."""

    def answer(names, contents):
        calls.append(len(names))
        return [int(np.asarray(Image.open(io.BytesIO(content)))[0, 0]) for content in contents]

    return answer


def test_many_images_are_answered_in_few_calls_and_in_order(tmp_path):
    names = [str(tmp_path / f"{level}.png") for level in range(70)]
    for level, name in enumerate(names):
        Image.new("L", (2, 2), level).save(name)
    calls = []
    assert answer_images(names, grey_levels(calls)) == list(range(70))
    # 70 images in batches of 32.
    assert calls == [32, 32, 6]


def test_large_images_are_answered_in_small_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(image_inputs, "BATCH_BYTES", 1000)
    rng = np.random.default_rng(0)
    names = [str(tmp_path / f"{k}.png") for k in range(4)]
    for name in names:
        # Noise of 20x20 bytes takes more than 400 bytes, so that two images fit and three do not.
        Image.fromarray(rng.integers(0, 256, (20, 20), "uint8")).save(name)
    calls = []
    answer_images(names, grey_levels(calls))
    assert calls == [2, 2]


def test_the_others_are_answered_if_one_of_several_images_is_unreadable(tmp_path):
    names = [str(tmp_path / f"{k}.png") for k in range(3)]
    for level, name in enumerate(names):
        Image.new("L", (2, 2), level).save(name)
    (tmp_path / "1.png").write_text("text")
    first, bad, last = answer_images(names, grey_levels([]))
    assert (first, last) == (0, 2)
    assert bad["file"] == names[1]
    assert bad["error"].startswith(f"{names[1]}: this is not an image")
    with pytest.raises(IncompletePredictions, match=r"1\.png: this is not an image") as caught:
        complete([first, bad, last])
    assert caught.value.predictions == [0, bad, 2]
    # A single input has its own error.
    with pytest.raises(DataError) as caught:
        complete([bad])
    assert not isinstance(caught.value, IncompletePredictions)


def test_an_image_that_the_model_rejects_is_named(tmp_path):
    names = [str(tmp_path / f"{k}.png") for k in range(3)]
    for level, name in enumerate(names):
        Image.new("L", (2, 2), level).save(name)

    def answer(batch, contents):
        if names[1] in batch:
            raise RejectedInput("too odd")
        return list(batch)

    first, bad, last = answer_images(names, answer)
    assert (first, last) == (names[0], names[2])
    assert isinstance(bad, Unanswered)
    assert names[1] in bad["error"]
    assert "too odd" in bad["error"]


@pytest.mark.parametrize("value", [np.zeros((3, 3), "uint8"), 3, None])
def test_an_input_that_is_not_a_path_is_one_short_line(value):
    with pytest.raises(UsageError) as caught:
        expand_images([value])
    kind = type(value).__name__
    assert caught.value.message == f"Input 1: expected paths of images, got {kind}."
