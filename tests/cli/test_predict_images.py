"""Predictions for several images and of several poems; wrong inputs are reported at once."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from dlrecipes.cli import predict as command
from dlrecipes.export import version
from dlrecipes.export.version import CONFIG_FILE, EXTRAS, ModelVersion
from dlrecipes.recipe import registry

CLASSES = [b"dark", b"light"]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Makes folders of published versions, without models; the working directory has images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("L", (4, 4), 100 * number).save(tmp_path / "photos" / f"{number}.png")

    def publish(recipe, **files):
        extras = tmp_path / "saved_models" / recipe / "1" / EXTRAS
        extras.mkdir(parents=True)
        (extras / CONFIG_FILE).write_text(registry.find(recipe).config()().to_yaml())
        for name, content in files.items():
            path = extras / name.replace("__", ".")
            path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    return publish


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Fails the command where it loads TensorFlow."""

    def loaded():
        raise AssertionError("TensorFlow is loaded")

    monkeypatch.setattr(registry, "load_tensorflow", loaded)
    monkeypatch.setattr(version, "load_tensorflow", loaded)


POEMS = {
    "tables__json": {
        "form": "quatrains",
        "defaults": {},
        "associations": {"moonlight": [], "明": []},
    },
    "characters__txt": ["", "明"],
}
TEXT = {"tables__json": {"form": "text"}, "characters__txt": ["a"]}


@pytest.mark.parametrize(
    ("recipe", "args", "code", "message"),
    [
        ("image_classification", ["none.jpg"], 2, "none.jpg: there is no such file"),
        ("image_classification", ["photos/0.png", "*.gif"], 2, "no file matches this pattern"),
        ("image_classification", ["photos", "--explain", "a/b"], 2, "--explain a/b: there is no"),
        ("image_classification", ["saved_models"], 1, "saved_models: the folder has no images"),
        ("image_classification", ["photos", "--output", "a/b"], 2, "a: there is no such folder"),
        ("digit_recognition", ["none.png"], 2, "none.png: there is no such file"),
        ("digit_recognition", [" "], 2, "Input 1 is empty."),
        ("facenet", ["photos/0.png", "none.png"], 2, "none.png: there is no such file"),
        ("facenet", ["photos/0.png"], 2, "A single image cannot be compared."),
        ("facenet", ["--gallery", "photos", "--enrol", "photos/0.png"], 2, "the file exists, and"),
        ("facenet", ["photos", "--gallery", "none"], 1, "none: there is no such folder or file."),
        ("pix2pix", ["none.png"], 2, "none.png: there is no such file"),
        ("pix2pix", ["photos", "--output-dir", "none"], 2, "--output-dir none: there is no"),
        ("dcgan", ["--sheet", "none/x.png"], 2, "--sheet none/x.png: there is no such folder."),
        ("dcgan", ["photos"], 2, "photos: dcgan takes no inputs."),
        ("slot_filling", ["to Rome", " "], 2, "Sentence 2 is empty."),
        ("poem_generation", ["moonlit"], 2, "'moonlit': No character of the theme"),
        ("poem_generation", ["明", "--length", "9"], 2, "--length does not apply to quatrains"),
    ],
)
def test_a_wrong_input_is_reported_before_tensorflow_is_loaded(
    dlrecipes, published, no_tensorflow, recipe, args, code, message
):
    published(recipe, **(POEMS if recipe == "poem_generation" else {}))
    answer = dlrecipes("predict", recipe, *args)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("Error: ")
    assert message in answer.err.splitlines()[0]


def test_an_output_that_exists_is_not_replaced(dlrecipes, published, no_tensorflow, tmp_path):
    published("image_classification")
    before = (tmp_path / "photos" / "0.png").read_bytes()
    answer = dlrecipes("predict", "image_classification", "photos", "--output", "photos/0.png")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        "Error: --output photos/0.png: the file exists, and is not replaced.",
        "  Delete it, or give another name.",
    ]
    assert (tmp_path / "photos" / "0.png").read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "args", "option"),
    [
        ("dcgan", ["--count", "4", "--output", "samples.png"], "--sheet"),
        ("facenet", ["--gallery", "photos", "--enrol", "a.npz", "--output", "./a.npz"], "--enrol"),
    ],
)
def test_an_output_and_another_file_of_the_same_name_are_refused(
    dlrecipes, published, no_tensorflow, tmp_path, recipe, args, option
):
    published(recipe)
    before = sorted(tmp_path.rglob("*"))
    answer = dlrecipes("predict", recipe, *args)
    assert (answer.code, answer.out) == (2, "")
    assert f"{option} names the same file." in answer.err.splitlines()[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_theme_lists_those_that_the_model_knows(dlrecipes, published, no_tensorflow):
    published("poem_generation", **POEMS)
    hint = dlrecipes("predict", "poem_generation", "moonlit").err.splitlines()[1]
    assert "Did you mean 'moonlight'?" in hint
    assert "Themes are moonlight, or Chinese characters." in hint


def test_unknown_characters_of_a_prompt_are_reported(dlrecipes, published, no_tensorflow):
    published("poem_generation", **TEXT)
    answer = dlrecipes("predict", "poem_generation", "abx")
    assert "The prompt has characters outside the vocabulary: bx." in answer.err


@pytest.fixture
def poet(published, monkeypatch):
    """Publishes a model whose poem depends on the theme and on the half of the seed."""
    published("poem_generation", **POEMS)

    def call(version, signature, /, **inputs):
        assert signature == "generate"
        pairs = zip(inputs["theme"], inputs["seed"], strict=True)
        lines = [[f"{theme}{min(seed // 2, 9)}".encode()] * 4 for theme, seed in pairs]
        count = len(lines)
        return {
            "lines": np.array(lines),
            "pattern": np.full((count, 4), b"PZ"),
            "rhyme": np.full(count, b""),
            "problem": np.full(count, b""),
        }

    monkeypatch.setattr(ModelVersion, "call", call)


def test_a_number_of_different_poems_is_written_for_each_theme(dlrecipes, poet):
    args = ("明", "moonlight", "--count", "5", "--json")
    answer = dlrecipes("predict", "poem_generation", *args)
    assert (answer.code, answer.err) == (0, "")
    poems = [json.loads(line) for line in answer.out.splitlines()]
    assert [poem["theme"] for poem in poems] == ["明"] * 5 + ["moonlight"] * 5
    # Seeds 0 and 1 write the same poem, and so on; each poem names the seed that writes it alone.
    assert [poem["seed"] for poem in poems] == [0, 2, 4, 6, 8] * 2
    assert len({poem["lines"][0] for poem in poems}) == 10
    alone = dlrecipes("predict", "poem_generation", "明", "--seed", "4", "--json")
    assert json.loads(alone.out) == poems[2]


def test_too_few_different_poems_are_reported(dlrecipes, poet):
    answer = dlrecipes("predict", "poem_generation", "明", "--count", "30", "--json")
    assert answer.code == 0
    # Seeds from 18 on write the tenth poem.
    assert len(answer.out.splitlines()) == 10
    assert "10 different of the 30 were found" in answer.err


@pytest.fixture
def classifier(published, monkeypatch):
    """Publishes a classifier that knows dark and light images; returns the sizes of its batches."""
    published("image_classification")
    batches = []

    def call(version, signature="serving_default", /, **inputs):
        images = [np.asarray(Image.open(io.BytesIO(file))) for file in inputs["image_bytes"]]
        batches.append(len(images))
        light = np.array([image.mean() / 255 for image in images])
        probabilities = np.stack([1 - light, light], axis=1)
        label = np.array(CLASSES)[probabilities.argmax(axis=1)]
        classes = np.tile(CLASSES, (len(images), 1))
        return {"label": label, "probabilities": probabilities, "classes": classes}

    monkeypatch.setattr(ModelVersion, "call", call)
    return batches


def test_images_are_compared_across_parts_of_the_command_line(dlrecipes, published, monkeypatch):
    published("facenet")
    monkeypatch.setattr(command, "ARGUMENTS", 2)

    def embed(version, *signature, **inputs):
        return {"embedding": np.eye(3)[: len(inputs["image_bytes"])]}

    monkeypatch.setattr(ModelVersion, "call", embed)
    answer = dlrecipes("predict", "facenet", "photos", "--threshold", "1", "--json")
    assert (answer.code, answer.err) == (0, "")
    # 3 images have 3 pairs; parts of 2 would have only the first.
    assert len(answer.out.splitlines()) == 3


@pytest.mark.parametrize("inputs", [["photos"], ["photos/*.png"], ["photos/0.png", "photos/[12]*"]])
def test_folders_and_quoted_patterns_are_answered_in_one_call(dlrecipes, classifier, inputs):
    answer = dlrecipes("predict", "image_classification", *inputs, "--json")
    assert (answer.code, answer.err) == (0, "")
    predictions = [json.loads(line) for line in answer.out.splitlines()]
    assert [prediction["file"] for prediction in predictions] == [
        "photos/0.png",
        "photos/1.png",
        "photos/2.png",
    ]
    # Levels of grey are 0, 100 and 200 of 255.
    assert [prediction["label"] for prediction in predictions] == ["dark", "dark", "light"]
    assert classifier == [3]


def test_only_as_many_classes_as_asked_are_printed(dlrecipes, classifier):
    answer = dlrecipes("predict", "image_classification", "photos/0.png", "--top", "1")
    assert answer.out == "photos/0.png: dark 100.0%\n"


def test_an_unreadable_image_is_named_and_the_others_are_answered(
    dlrecipes, classifier, tmp_path, monkeypatch
):
    # The last image is a part of its own.
    monkeypatch.setattr(command, "ARGUMENTS", 3)
    (tmp_path / "photos" / "0.png").write_text("text")
    (tmp_path / "photos" / "9.png").write_text("text")
    answer = dlrecipes("predict", "image_classification", "photos")
    assert answer.code == 1
    assert [line.partition(":")[0] for line in answer.out.splitlines()] == [
        "photos/1.png",
        "photos/2.png",
    ]
    errors = [line for line in answer.err.splitlines() if line.startswith("Error: ")]
    assert [error.split(":")[1].strip() for error in errors] == ["photos/0.png", "photos/9.png"]
    answer = dlrecipes("predict", "image_classification", "photos", "--output", "out.jsonl")
    assert (answer.code, answer.out) == (1, "out.jsonl: 2 predictions\n")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row.get("label") for row in rows] == [None, "dark", "light", None]
    assert rows[0]["error"].startswith("photos/0.png: this is not an image")


def test_predictions_of_names_from_standard_input_stay_in_step(
    dlrecipes, classifier, tmp_path, monkeypatch
):
    (tmp_path / "photos" / "1.png").write_text("text")
    lines = io.BytesIO(b"photos/0.png\n\nphotos/1.png\nphotos/2.png\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(lines, encoding="utf-8"))
    answer = dlrecipes("predict", "image_classification", "-")
    assert answer.code == 1
    starts = [line.partition(":")[0] for line in answer.out.splitlines()]
    assert starts == ["photos/0.png", "", "", "photos/2.png"]
