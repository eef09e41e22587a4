"""A recipe's declared ranges as keras-tuner's, and what a trial's settings are."""

import json
from typing import Literal

import pytest

from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, Search, registry, setting
from dlrecipes.recipe.options import spelled
from dlrecipes.tuning.conditions import conditions
from dlrecipes.tuning.oracles import make_oracle
from dlrecipes.tuning.spec import (
    DEFAULTS,
    SearchSpec,
    effective,
    hyperparameters,
    open_folder,
    settings_of,
)


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
    # The default where it lies in the range, else the range's closest value.
    assert found.values == {"units": 64, "dropout": 0.5, "cell": "b", "depth": 1, "tied": True}
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


class Choices(RecipeConfig):
    """Settings that have an effect only with certain others."""

    network: Literal["cnn", "mlp", "softmax"] = setting(
        "cnn", "Network.", search=Search(choices=("cnn", "mlp", "softmax"))
    )
    width: float = setting(1.0, "Width.", gt=0, search=Search(0.5, 2.0, "log"))
    kernel: int = setting(3, "Kernel.", ge=1, search=Search(choices=(3, 5)))
    encoding: tuple[Literal["a", "b"], ...] = setting(
        ("a", "b"), "Encodings.", search=Search(choices=("a", "b", "a,b"))
    )
    units: int = setting(8, "Units of a.", ge=1, search=Search(4, 16))
    decay: float = setting(0.0, "Decay.", ge=0, search=Search(1e-5, 1e-2, "log"))
    warm_up: int = setting(0, "Needs a decay.", ge=0, search=Search(0, 4))
    either: int = setting(0, "Needs mlp or b.", ge=0, search=Search(0, 4))
    batch: int = setting(8, "Batch.", ge=1, search=Search(choices=(2, 8)))

    def without_effect(self):
        idle = {}
        if self.network == "softmax":
            idle["width"] = "no hidden layers"
        if self.network != "cnn":
            idle["kernel"] = "no convolution"
        if "a" not in self.encoding:
            idle["units"] = "no a"
        if not self.decay:
            idle["warm_up"] = "no decay"
        if self.network != "mlp" and "b" not in self.encoding:
            idle["either"] = "neither"
        return idle

    def contradictions(self):
        small = self.network == "mlp" and self.batch == 2
        return [("a small batch for an mlp.", "Give 8.")] if small else []


def test_conditions_are_the_choices_that_give_a_setting_an_effect():
    found = conditions(Choices, {}, SearchSpec("r", Choices).space)
    assert {name: needed for name, needed in found.items() if needed} == {
        "width": {"network": ["cnn", "mlp"]},
        "kernel": {"network": ["cnn"]},
        "units": {"encoding": ["a", "a,b"]},
    }


def test_a_setting_that_never_has_an_effect_is_not_searched():
    assert "width" not in SearchSpec("r", Choices, {"network": "softmax"}).space
    assert "kernel" not in SearchSpec("r", Choices, {"network": "mlp"}).space
    assert "warm_up" not in SearchSpec("r", Choices, {"decay": 0.0}).space
    # With the default decay of 0 it has none either, but the decay is searched.
    assert "warm_up" in SearchSpec("r", Choices).space


def test_many_combinations_are_sampled(monkeypatch):
    exact = conditions(Choices, {}, SearchSpec("r", Choices).space)
    monkeypatch.setattr("dlrecipes.tuning.conditions.COMBINATIONS", 2_000)
    assert conditions(Choices, {}, SearchSpec("r", Choices).space) == exact


class Circle(RecipeConfig):
    left: Literal["on", "off"] = setting("on", "L.", search=Search(choices=("on", "off")))
    right: Literal["on", "off"] = setting("on", "R.", search=Search(choices=("on", "off")))

    def without_effect(self):
        return ({"left": ""} if self.right == "off" else {}) | (
            {"right": ""} if self.left == "off" else {}
        )


def test_settings_that_depend_on_one_another_are_both_searched():
    found = hyperparameters(SearchSpec("r", Circle))
    assert {one.name for one in found.space} == {"left", "right"}


def started(spec, folder, number, score=lambda k: float(k)):
    """Returns the values of an oracle's first trials, resumed from its files after each."""
    values = []
    for k in range(number):
        oracle = make_oracle(spec)
        oracle._set_project_dir(str(folder), "o")
        oracle.verbose = 0
        if k:
            oracle.reload()
        trial = oracle.create_trial("t")
        if trial.status != "RUNNING":
            break
        values.append(trial.hyperparameters.values)
        oracle.update_trial(trial.trial_id, {"val_loss": score(k)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        # keras-tuner writes its state before it drops the trial that ended.
        oracle.save()
    return values


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_trial_0_has_the_defaults_and_no_other_has_settings_without_effect(tuner, tmp_path):
    number = 4 if tuner == "bayesian" else 7  # Its regression takes seconds.
    spec = SearchSpec("r", Choices, {"seed": 3}, tuner=tuner, trials=number, max_epochs=3)
    first, *others = started(spec, tmp_path, number)
    defaults = Choices(seed=3, epochs=settings_of(spec, first)["epochs"])
    # The decay of 0 is outside of its logarithmic range.
    assert settings_of(spec, first) == defaults.model_dump(mode="json")
    # Hyperband chooses its own number.
    assert len(others) == number - 1 or (tuner == "hyperband" and len(others) >= 3)
    for values in others:
        encoding = values["encoding"]
        assert ("kernel" in values) == (values["network"] == "cnn")
        assert ("width" in values) == (values["network"] != "softmax")
        assert ("units" in values) == ("a" in encoding)
        assert tuner in ("grid", "hyperband") or DEFAULTS not in values


def test_a_grid_has_each_combination_with_an_effect_once(tmp_path):
    fixed = {"units": 8, "decay": 0.0, "either": 0, "width": 1.0, "batch": 8}
    spec = SearchSpec("r", Choices, fixed, tuner="grid", trials=100)
    found = [effective(spec, settings_of(spec, values)) for values in started(spec, tmp_path, 50)]
    # Two kernels of the cnn, and two networks without; three encodings each.
    assert len(found) == len({str(one) for one in found}) == (2 + 1 + 1) * 3


def test_random_trials_have_settings_that_can_be_combined(tmp_path):
    for values in started(SearchSpec("r", Choices, trials=30), tmp_path, 30):
        assert (values["network"], values["batch"]) != ("mlp", 2)


def test_settings_that_cannot_be_combined_are_refused():
    spec = SearchSpec("r", Choices)
    with pytest.raises(UsageError, match="a small batch for an mlp"):
        settings_of(spec, {"network": "mlp", "batch": 2})


@pytest.mark.parametrize("name", [source.name for source in registry.sources()])
def test_defaults_of_built_in_recipes_are_choices_of_their_ranges(name):
    config = registry.find(name).config()
    for setting_name, search in config.search_space().items():
        default = config.model_fields[setting_name].default
        if search.choices:
            assert spelled(default) in map(spelled, search.choices)
        else:
            assert search.low <= default <= search.high


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
        # The first trial has the default.
        assert 0 <= settings["dropout"] <= 0.5 or (k, settings["dropout"]) == (0, 0.6)
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
