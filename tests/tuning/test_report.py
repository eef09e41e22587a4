"""Reports of a search: states, tables, the front, and commands."""

import csv
import json
import shlex
from types import SimpleNamespace

import pytest
import yaml

from dlrecipes.recipe import RecipeConfig, Search, setting
from dlrecipes.tuning import report, trial
from dlrecipes.tuning.spec import DEFAULTS, SearchSpec


class Config(RecipeConfig):
    network: str = setting("cnn", "N.", search=Search(choices=("cnn", "softmax")))
    width: float = setting(1.0, "W.", gt=0, search=Search(0.5, 2.0, "log"))

    def without_effect(self):
        return {"width": "no hidden layers"} if self.network == "softmax" else {}


@pytest.fixture
def search(tmp_path):
    """A search of five trials, padded as keras-tuner does for `--trials 10`."""
    spec = SearchSpec("r", Config, objective=("accuracy", "max"), max_epochs=3)
    trials, reports = {}, {
        0: ("COMPLETED", 0.9, {DEFAULTS: 1, "width": 0.5}, {"macs": 5000}),
        1: ("COMPLETED", 0.8, {"network": "softmax", "width": 2.0}, {"macs": 100}),
        2: ("FAILED", None, {"network": "cnn", "width": 2.0}, {"error": "out of memory"}),
        3: ("FAILED", None, {"network": "cnn", "width": 1.5}, {"error": "big", "over_limit": True}),
        4: ("COMPLETED", 0.7, {"network": "cnn", "width": 0.75}, {"macs": 4000}),
    }  # fmt: skip
    for number, (status, score, values, about) in reports.items():
        folder = tmp_path / "trials" / str(number)
        folder.mkdir(parents=True)
        (folder / "trial.json").write_text(json.dumps({"parameters": 7, "epochs": 3, **about}))
        trials[f"{number:02d}"] = SimpleNamespace(
            status=status,
            score=score,
            message=None,
            hyperparameters=SimpleNamespace(values=values),
        )
    rows = report.rows(spec, SimpleNamespace(trials=trials), tmp_path)
    return spec, rows, tmp_path


def test_trials_have_numbers_states_and_the_settings_that_have_an_effect(search):
    _, rows, _ = search
    assert [row.name for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row.state for row in rows] == ["done", "done", "failed", "over limit", "done"]
    assert [row.problem for row in rows] == ["", "", "out of memory", "big", ""]
    # The first has the defaults, not the values that stand in for them in keras-tuner.
    assert rows[0].values == {"network": "cnn", "width": 1.0}
    assert rows[1].values == {"network": "softmax"}
    assert [row.has_defaults for row in rows] == [True, False, False, False, False]


def test_the_tables_give_trials_the_same_numbers_and_commands_run_them(search):
    spec, rows, folder = search
    report.write(spec, rows, folder)
    report.write_front(spec, rows, folder, "my recipe")
    table = list(csv.DictReader((folder / "trials.csv").open()))
    assert [row["trial"] for row in table] == ["0", "1", "2", "3", "4"]
    assert [row["macs"] for row in table] == ["5000", "100", "", "", "4000"]
    assert [row["width"] for row in table] == ["1", "", "2", "1.5", "0.75"]
    front = list(csv.DictReader((folder / "pareto_front.csv").open()))
    # Trial 4 costs more than trial 1 and is worse.
    assert [row["trial"] for row in front] == ["1", "0"]
    assert shlex.split(front[0]["command"]) == [
        "dlrecipes", "run", "my recipe", "--config", str(folder / "trials" / "1" / "config.yaml")
    ]  # fmt: skip
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert (best["width"], best["epochs"]) == (1.0, 3)


def test_the_summary_names_the_front_and_the_defaults(search):
    spec, rows, folder = search
    lines = report.summary(spec, rows, folder, "r").splitlines()
    assert "r: 3 trials finished, 1 failed, 1 over the limit." in lines
    assert any("0  (defaults) network=cnn width=1" in line for line in lines)
    (start,) = [k for k, line in enumerate(lines) if line.startswith("Pareto front, accuracy")]
    assert lines[start + 1].split()[:4] == ["0.8", "1", "100", "dlrecipes"]
    assert lines[start + 2].split()[:4] == ["0.9", "0", "5", "k"]
    assert lines[start + 3] == ""


def test_the_front_is_drawn_only_if_trials_differ_in_cost(search):
    spec, rows, folder = search
    report.draw(spec, rows, folder / "figures")
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"objective.png", "parallel_coordinates.png", "pareto_front.png"}
    report.draw(spec, rows[:1], folder / "one")
    assert {path.name for path in (folder / "one").iterdir()} == names - {"pareto_front.png"}
    report.write_front(spec, rows[:1], folder / "one", "r")
    assert "Pareto" not in report.summary(spec, rows[:1], folder, "r")


def costs(macs=None):
    """Returns a recipe and a model of 100 parameters."""
    described = {} if macs is None else {"macs": macs}
    recipe = SimpleNamespace(name="r", describe=lambda model, splits: described)
    return recipe, SimpleNamespace(count_params=lambda: 100)


@pytest.mark.parametrize("limits", [{}, {"macs": 10e6}, {"macs": 1e9, "parameters": 100}])
def test_networks_within_the_limits_are_trained(limits):
    recipe, model = costs(10_000_000)
    trial._check_limits(recipe, limits, model, None)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"macs": 9_999_999}, "10,000,000 macs exceed --max-macs 9999999"),
        ({"macs": 1e9, "parameters": 99}, "100 parameters exceed --max-parameters 99"),
    ],
)
def test_networks_over_a_limit_are_refused(limits, message):
    recipe, model = costs(10_000_000)
    with pytest.raises(trial.OverLimit, match=message.replace("+", r"\+")):
        trial._check_limits(recipe, limits, model, None)


def test_a_limit_of_an_unknown_cost_ends_the_search():
    recipe, model = costs()
    with pytest.raises(trial.UnknownMetric, match="--max-macs: r does not report macs"):
        trial._check_limits(recipe, {"macs": 1e6}, model, None)
