"""A recipe's declared ranges as keras-tuner's, and what a trial's settings are."""

import json
from typing import Literal

import pytest

from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, Search, setting
from dlrecipes.tuning.oracles import make_oracle
from dlrecipes.tuning.spec import SearchSpec, hyperparameters, open_folder, settings_of


class Config(RecipeConfig):
    units: int = setting(64, "Units.", ge=1, le=1000, search=Search(16, 256, "log"))
    dropout: float = setting(0.6, "Share.", ge=0, lt=1, search=Search(0.0, 0.5))
    cell: Literal["a", "b"] = setting("b", "Cell.", search=Search(choices=("a", "b")))
    depth: int = setting(1, "Layers.", ge=1, search=Search(choices=(1, 2)))
    tied: bool = setting(True, "Tied.", search=Search(choices=(True, False)))
    width: int = setting(3, "Not searched.", ge=1)


def test_ranges_choices_and_defaults():
    found = hyperparameters(SearchSpec("r", Config))
    kinds = {one.name: type(one).__name__ for one in found.space}
    assert kinds == {
        "units": "Int",
        "dropout": "Float",
        "cell": "Choice",
        "depth": "Choice",
        "tied": "Choice",
    }
    # The default where it lies in the range, else the range's least.
    assert found.values == {"units": 64, "dropout": 0.0, "cell": "b", "depth": 1, "tied": True}
    units = next(one for one in found.space if one.name == "units")
    assert (units.min_value, units.max_value, units.sampling) == (16, 256, "log")


def test_what_is_given_is_not_looked_for():
    spec = SearchSpec("r", Config, {"units": 32, "cell": "a"})
    assert set(spec.space) == {"dropout", "depth", "tied"}
    settings = settings_of(spec, {"dropout": 0.123456789, "depth": 2, "tied": False})
    assert (settings["units"], settings["cell"], settings["depth"]) == (32, "a", 2)
    # Four digits: a configuration is read by people.
    assert settings["dropout"] == 0.1235


def test_epochs_are_bounded():
    spec = SearchSpec("r", Config, max_epochs=7)
    assert settings_of(spec, {})["epochs"] == 7
    assert settings_of(spec, {"tuner/epochs": 3, "tuner/bracket": 1})["epochs"] == 3


def test_bayesian_trials_are_random_for_a_third_of_them_alone():
    assert (
        make_oracle(SearchSpec("r", Config, tuner="bayesian", trials=30)).num_initial_points == 10
    )
    # keras-tuner's own number for five settings, where there are more trials than that.
    assert (
        make_oracle(SearchSpec("r", Config, tuner="bayesian", trials=99)).num_initial_points == 15
    )


class Edges(RecipeConfig):
    epochs: int = setting(10, "Epochs.", ge=1, search=Search(5, 40))
    momentum: float = setting(0.9, "M.", ge=0, lt=1, search=Search(choices=(0.9, 0.123456789)))
    dropout: float = setting(0.5, "D.", ge=0, lt=1, search=Search(0.0, 0.99999))


def test_epochs_may_be_searched_unless_they_are_bounded():
    assert settings_of(SearchSpec("r", Edges), {"epochs": 33})["epochs"] == 33
    for spec in (SearchSpec("r", Edges, max_epochs=7), SearchSpec("r", Edges, tuner="hyperband")):
        assert "epochs" not in spec.space
    assert settings_of(SearchSpec("r", Edges, max_epochs=7), {})["epochs"] == 7


def test_rounding_leaves_choices_alone_and_stays_in_the_range():
    settings = settings_of(SearchSpec("r", Edges), {"momentum": 0.123456789, "dropout": 0.99998})
    assert settings["momentum"] == 0.123456789
    assert settings["dropout"] == 0.99999


def test_a_state_is_written_whole(tmp_path, monkeypatch):
    found = make_oracle(SearchSpec("r", Config))
    found._set_project_dir(str(tmp_path), "o")
    found.verbose = 0
    trial = found.create_trial("t")
    before = (tmp_path / "o" / "oracle.json").read_text()

    def killed(*_):
        raise KeyboardInterrupt

    # The last thing that is done: until then the old state stays.
    monkeypatch.setattr("os.replace", killed)
    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        found.save()
    assert (tmp_path / "o" / "oracle.json").read_text() == before
    assert json.loads(before)["ongoing_trials"] == {"t": trial.trial_id}


def test_a_search_without_settings_is_refused():
    fixed = {"units": 1, "dropout": 0.1, "cell": "a", "depth": 1, "tied": True}
    with pytest.raises(UsageError, match="Nothing is left"):
        hyperparameters(SearchSpec("r", Config, fixed))


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_every_tuner_draws_within_the_ranges(tuner, tmp_path):
    spec = SearchSpec("r", Config, tuner=tuner, trials=20)
    found = make_oracle(spec)
    found._set_project_dir(str(tmp_path), "o")
    found.verbose = 0
    seen = []
    for k in range(6):
        one = found.create_trial(f"t{k}")
        seen.append(one.hyperparameters.values)
        settings = settings_of(spec, one.hyperparameters.values)
        assert 16 <= settings["units"] <= 256
        assert 0 <= settings["dropout"] <= 0.5
        assert settings["width"] == 3
        found.update_trial(one.trial_id, {"val_loss": float(k)})
        one.status = "COMPLETED"
        found.end_trial(one)
    assert len({str(sorted(values.items())) for values in seen}) == 6


def test_a_search_of_that_name_for_something_else_is_refused(tmp_path):
    folder = tmp_path / "s"
    open_folder(folder, SearchSpec("r", Config, {"units": 3}))
    # More trials, more workers: the same search.
    open_folder(folder, SearchSpec("r", Config, {"units": 3}, trials=99, workers=2, seconds=3.0))
    with pytest.raises(UsageError, match="there is another search of that name"):
        open_folder(folder, SearchSpec("r", Config, {"units": 4}))
