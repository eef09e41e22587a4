"""A new recipe: small, and it runs as it is."""

import json

import numpy as np
import pytest

from dlrecipes.errors import UsageError


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


def test_a_new_recipe_trains_publishes_and_predicts(dlrecipes, my_task, tmp_path):
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
    # An output follows links, fills an empty file, and has the usual mode.
    target, link = tmp_path / "target.jsonl", tmp_path / "link.jsonl"
    target.touch()
    link.symlink_to(target)
    assert dlrecipes("predict", my_task, "[0, 1]", "--output", link).code == 0
    assert link.is_symlink()
    assert "classes" in json.loads(target.read_text())
    assert target.stat().st_mode & 0o044
    assert dlrecipes("predict", my_task, "[0, 1]", "--output", "/dev/null").code == 0


def test_a_new_recipe_reads_data_of_ones_own(dlrecipes, my_task, tmp_path):
    rows = "".join(f"{k % 2},{k / 100},{k % 2}\n" for k in range(100))
    (tmp_path / "mine.csv").write_text(rows)
    data = ("--data", tmp_path / "mine.csv", "--epochs", 1)
    assert dlrecipes("run", my_task, *data).code == 0
    for line in ("1,x,0", "1,nan,0", "inf,1,0", "1,2,0.5", "1,2,-1", "1,2"):
        (tmp_path / "bad.csv").write_text(f"1,2,0\n{line}\n")
        answer = dlrecipes("run", my_task, "--data", tmp_path / "bad.csv")
        assert answer.code == 1
        assert "expected a CSV file with lines x,y,class from 0." in answer.err, line


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


@pytest.mark.parametrize("name", ["splits", "none", "data_error"])
def test_a_name_that_the_template_uses_does_not_clash(
    dlrecipes, empty_directory, monkeypatch, name
):
    monkeypatch.setattr("dlrecipes.runner.rehearsal.rehearse", lambda *given: [])
    assert dlrecipes("new", name).code == 0
    assert dlrecipes("validate", f"./{name}").code == 0


def test_a_run_that_fails_after_training_is_kept(dlrecipes, my_task, forget):
    path = my_task / "recipe.py"
    broken = """
    def evaluate(self, model, splits, part):
        \"\"\"Fails.\"\"\"
        raise DataError("test.csv:7: bad line.", "Fix it.")
"""
    path.write_text(path.read_text() + broken)
    answer = dlrecipes("run", my_task, "--epochs", 1, "--name", "kept", "--models-dir", "own")
    assert answer.code == 1
    resume = "--resume --name kept --models-dir own"
    assert f"Fix it. The run is kept: resume with {resume}." in answer.err
    path.write_text(path.read_text().replace(broken, ""))
    forget(my_task)
    assert dlrecipes("run", my_task, *resume.split()).code == 0


@pytest.mark.parametrize("text", ["[1, null]", "[NaN, 1]", '["a", 1]', "[true, 1e999]"])
def test_an_input_that_is_not_a_number_is_refused(text):
    from dlrecipes.export.version import TensorInfo
    from dlrecipes.recipe.prediction import _array

    with pytest.raises(UsageError, match="points is not an array of float32"):
        _array(1, "points", json.loads(text), TensorInfo("float32", (None, 2)))


@pytest.mark.parametrize("value", [[1.5, 2], [True, False], [1, 3_000_000_000]])
def test_ids_are_not_rounded(value):
    from dlrecipes.export.version import TensorInfo
    from dlrecipes.recipe.prediction import _array

    with pytest.raises(UsageError, match="ids is not an array of int32"):
        _array(1, "ids", value, TensorInfo("int32", (None, 2)))


def test_a_name_of_several_words_becomes_the_class_name(dlrecipes, empty_directory):
    assert dlrecipes("new", "my-leaf counter").code == 0
    text = (empty_directory / "my-leaf counter" / "recipe.py").read_text()
    assert "class MyLeafCounter(Recipe):" in text
    assert dlrecipes("validate", "./my-leaf counter").code == 0
