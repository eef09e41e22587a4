"""A new recipe: small, and it runs as it is."""

import json

import numpy as np
import pytest


@pytest.fixture
def my_task(dlrecipes, empty_directory):
    answer = dlrecipes("new", "my_task")
    assert (answer.code, answer.err) == (0, "")
    commands = answer.out.splitlines()[1:]
    assert commands == ["  dlrecipes validate ./my_task", "  dlrecipes run ./my_task"]
    return empty_directory / "my_task"


def test_a_new_recipe_is_at_most_60_lines_and_follows_the_contract(dlrecipes, my_task):
    lines = [line for path in my_task.glob("*.py") for line in path.read_text().splitlines()]
    assert len(lines) <= 60
    assert dlrecipes("validate", my_task).code == 0
    assert dlrecipes("info", my_task).out.startswith("my_task: My task: classify points")


def test_a_new_recipe_trains_publishes_and_predicts(dlrecipes, my_task):
    answer = dlrecipes("run", my_task, "--epochs", 8, "--name", "first")
    assert answer.code == 0, answer.err
    metrics = json.loads((my_task.parent / "runs/my_task/first/metrics.json").read_text())
    # Guessing is right for half of the points.
    assert metrics["test"]["accuracy"] > 0.8
    assert (my_task.parent / "runs/my_task/first/figures/learning_curves.png").is_file()
    # Points far out on either half-circle, as the data have them.
    answer = dlrecipes("predict", my_task, "[0, 1]", "[1, -0.5]", "--json")
    upper, lower = [json.loads(line)["classes"] for line in answer.out.splitlines()]
    assert np.argmax(upper) == 0
    assert np.argmax(lower) == 1
    assert dlrecipes("evaluate", my_task).code == 0
    assert dlrecipes("predict", my_task, "[0]").err.startswith("Error: Input 1: points has shape")
    assert dlrecipes("predict", my_task, "one").err.startswith("Error: Input 1 is not JSON: 'one'")


def test_a_new_recipe_reads_data_of_ones_own(dlrecipes, my_task, tmp_path):
    rows = "".join(f"{k % 2},{k / 100},{k % 2}\n" for k in range(100))
    (tmp_path / "mine.csv").write_text(rows)
    data = ("--data", tmp_path / "mine.csv", "--epochs", 1)
    assert dlrecipes("run", my_task, *data).code == 0
    (tmp_path / "bad.csv").write_text("1,x,0\n")
    answer = dlrecipes("run", my_task, "--data", tmp_path / "bad.csv")
    assert answer.code == 1
    assert "Give a CSV file with lines x,y,class." in answer.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "a recipe's name must begin with a letter"),
        ("missing/mine", "missing: there is no such folder."),
        ("123", "a recipe's name must begin with a letter"),
    ],
)
def test_what_cannot_be_made_is_one_line(dlrecipes, empty_directory, name, message):
    answer = dlrecipes("new", name)
    assert answer.code == 2
    assert message in answer.err
    assert list(empty_directory.iterdir()) == []


def test_a_name_of_several_words_becomes_the_class_name(dlrecipes, empty_directory):
    assert dlrecipes("new", "my-leaf counter").code == 0
    text = (empty_directory / "my-leaf counter" / "recipe.py").read_text()
    assert "class MyLeafCounter(Recipe):" in text
    assert dlrecipes("validate", "./my-leaf counter").code == 0
