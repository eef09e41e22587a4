"""`dlrecipes validate` runs one step of everything, and names the line that is wrong."""

import pytest

from dlrecipes.recipe import registry
from dlrecipes.recipe.scaffold import new_recipe
from dlrecipes.runner import rehearsal
from dlrecipes.runner.rehearsal import rehearse


@pytest.fixture
def rehearsed(tmp_path, forget):
    """Rehearses a new recipe after a change of its code; returns the problems and the code."""

    def call(old="", new=""):
        folder = tmp_path / "my_task"
        if not folder.exists():
            new_recipe(folder)
        path = folder / "recipe.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else text + new)
        forget(folder)
        source = registry.find(str(folder))
        notes = []
        problems = rehearse(source, source.config()(), notes)
        return problems, notes, path

    return call


@pytest.mark.slow
def test_a_new_recipe_has_no_problems_and_leaves_no_files(rehearsed, empty_directory):
    assert rehearsed()[:2] == ([], [])
    assert list(empty_directory.iterdir()) == []


SPLIT = "Splits(*np.split(rows, [int(0.7 * len(rows)), int(0.85 * len(rows))]))"
EVALUATE = """
    def evaluate(self, model, splits, part):
        return {"accuracy": sum(splits.missing)}
"""
FIGURES = """
    def figures(self, model, splits):
        yield "figure", splits.test[:2]
        raise RuntimeError("no ink")
"""
OBJECTIVE = """
    objective = ("acuracy", "max")
"""
PREDICT = """
    def predict(self, version, inputs, options=None):
        return [float(text) for text in inputs]

    def example_inputs(self, splits):
        return ["0,1"]
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        (SPLIT, "Splits(iter(rows), rows, rows)", "Splits(iter", "have no length"),
        ("(2,), name", "(3,), name", "def build", "input shape to have value 3"),
        ("return array_batches(points,", "return array_batches(points / 0,", "", "NaN or infinite"),
        ("", EVALUATE, "splits.missing", "AttributeError: 'Splits' object has no attribute"),
        pytest.param(
            "",
            OBJECTIVE,
            "def build",
            "Did you mean 'accuracy'?",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(rehearsed, old, new, place, message):
    problems, _, path = rehearsed(old, new)
    assert len(problems) == 1, problems
    where = f"{path}:"
    if place:
        lines = path.read_text().splitlines()
        where += f"{next(n for n, line in enumerate(lines, start=1) if place in line)}"
    assert problems[0].startswith(where)
    assert message in problems[0]


def test_figures_and_predictions_are_tried(rehearsed, monkeypatch):
    # Otherwise all is tried again with all examples.
    monkeypatch.setattr(rehearsal, "EXAMPLES", 1000)
    (prediction, figure), _, path = rehearsed("", FIGURES + PREDICT)
    lines = path.read_text().splitlines()
    places = (
        f"{path}:{next(n for n, line in enumerate(lines, start=1) if part in line)}: "
        for part in ("float(text)", "no ink")
    )
    assert prediction == (f"{next(places)}ValueError: could not convert string to float: '0,1'.")
    assert figure == f"{next(places)}RuntimeError: no ink."


@pytest.mark.slow
def test_predictions_that_need_files_are_not_tried(rehearsed):
    problems, notes, path = rehearsed("", PREDICT.replace('"0,1"', '"photo.png"'))
    assert problems == []
    assert notes == [f"{path.parent}: predict was not tried: there is no file photo.png."]
