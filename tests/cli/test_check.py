"""`dlrecipes run RECIPE --check`: reads the data, reports, draws a sheet and trains nothing."""

import json

import numpy as np
import pytest
from PIL import Image

POINTS = """
import keras
import numpy as np
from dlrecipes.errors import DataError
from dlrecipes.recipe import Recipe, Splits
from .config import Config
class Mine(Recipe):
    Config = Config
    def load_data(self):
        if self.config.data == "bad":
            raise DataError("points.csv:3: expected two numbers.", "Correct the line.")
        if self.config.data == "slow":
            raise KeyboardInterrupt
        rows = np.arange(20.0).reshape(10, 2)
        return Splits(rows[:6], rows[6:8], rows[5:], notes=["Ten rows."])
    def build(self, splits):
        raise AssertionError("--check trains nothing")
    dataset = build
"""
SETTINGS = """
from dlrecipes.recipe import RecipeConfig
class Config(RecipeConfig):
    '''Settings.'''
"""


@pytest.fixture
def mine(own_recipe):
    return own_recipe(recipe=POINTS, config=SETTINGS)


@pytest.fixture
def photos(tmp_path):
    """Two classes of 12 images, with a name that is not ASCII."""
    root = tmp_path / "Fotos für alle"
    for k in range(24):
        path = root / f"{k % 2}" / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(k).integers(0, 255, (20, 24), "uint8")
        Image.fromarray(noise).save(path)
    return root


def test_a_recipe_of_ones_own_gets_a_report_without_writing_one(dlrecipes, mine, empty_directory):
    answer = dlrecipes("run", mine, "--check")
    assert answer.code == 0, answer.err
    assert "1 of 5 test examples is also in train" in answer.out
    assert "Ten rows." in answer.out
    (report,) = (empty_directory / "runs" / "mine" / "checks").glob("*/report.json")
    assert str(report.relative_to(empty_directory)) in answer.out
    assert json.loads(report.read_text())["usable"]


def test_nothing_but_json_is_printed(dlrecipes, mine, empty_directory):
    answer = dlrecipes("run", mine, "--check", "--json", "--name", "monday")
    assert json.loads(answer.out)["tables"]["Parts"][0]["examples"] == 6
    assert (empty_directory / "runs" / "mine" / "checks" / "monday" / "report.json").is_file()


def test_data_that_cannot_be_read_is_one_line_and_leaves_nothing(dlrecipes, mine, empty_directory):
    answer = dlrecipes("run", mine, "--data", empty_directory / "bad", "--check")
    assert answer.code == 0  # The recipe compares the whole value.
    answer = dlrecipes("run", "digit_recognition", "--data", empty_directory / "no", "--check")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[0].startswith("Error: ")
    assert not (empty_directory / "runs" / "digit_recognition").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--check", "--resume"), "--resume"),
        (("--check", "--strategy", "mirrored"), "--strategy"),
        (("--json",), "--check"),
        (("--check", "--name", "a/b"), "--name"),
        (("--check", "--epcohs", "3"), "epochs"),
    ],
)
def test_what_contradicts_a_check_is_refused(dlrecipes, mine, empty_directory, options, word):
    answer = dlrecipes("run", mine, *options)
    assert answer.code == 2 and word in answer.err
    assert list(empty_directory.iterdir()) == []


def test_settings_of_training_may_stay_in_the_command(dlrecipes, mine, empty_directory):
    assert dlrecipes("run", mine, "--check", "--epochs", "3").code == 0


def test_unreadable_images_are_counted_and_the_sheet_is_drawn(dlrecipes, photos, empty_directory):
    (photos / "0" / "bad.png").write_text("no image")
    answer = dlrecipes("run", "digit_recognition", "--data", photos, "--check")
    assert answer.code == 1
    assert "1 of 25 images cannot be used" in answer.out
    assert "Parts" in answer.out and "The data cannot be used" in answer.out
    (sheet,) = empty_directory.glob("runs/digit_recognition/checks/*/examples.png")
    assert Image.open(sheet).width > 500


@pytest.mark.parametrize("recipe", ["digit_recognition", "dcgan"])
@pytest.mark.parametrize("inside", [".", "deeper"])
def test_nothing_is_written_into_the_data(dlrecipes, photos, monkeypatch, recipe, inside):
    before = sorted(photos.rglob("*"))
    monkeypatch.chdir(photos)
    answer = dlrecipes("run", recipe, "--data", ".", "--check", "--runs-dir", inside)
    assert answer.code == 2 and "--runs-dir" in answer.err.splitlines()[1]
    assert sorted(photos.rglob("*")) == before


def test_a_check_cannot_be_resumed(dlrecipes, mine, empty_directory):
    assert dlrecipes("run", mine, "--check").code == 0
    answer = dlrecipes("run", mine, "--resume")
    assert "nothing to resume" in answer.err


def test_ctrl_c_leaves_nothing(dlrecipes, mine, empty_directory, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dlrecipes.figures.save", interrupt)
    monkeypatch.setattr("dlrecipes.runner.check.atomic_write", interrupt)
    answer = dlrecipes("run", mine, "--check")
    assert answer.code == 130
    assert list(empty_directory.iterdir()) == []


@pytest.mark.parametrize("recipe", ["slot_filling", "poem_generation", "digit_recognition"])
def test_the_built_in_data_has_no_problems(dlrecipes, empty_directory, recipe):
    options = ("--examples", "200") if recipe != "digit_recognition" else ()
    answer = dlrecipes("run", recipe, "--check", *options)
    assert answer.code == 0 and "The data can be used" in answer.out
