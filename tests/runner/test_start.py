"""`--start`: a run begins with published weights, and refuses those that do not fit."""

import json
import re
import shutil

import keras
import numpy as np
import pytest

from dlrecipes import runner
from dlrecipes.errors import PublishError, RecipeError, UsageError
from dlrecipes.export import checksums
from dlrecipes.recipe import RecipeConfig, registry, versions
from dlrecipes.runner import start
from dlrecipes.training.callbacks.checkpoints import Checkpoints

# The network of `run_once`.
SIZES = {"examples": 100, "units": 8, "word_units": 8, "ngram_units": 8, "min_steps_per_epoch": 1}
TINY = {**SIZES, "cell": "feed_forward", "epochs": 1}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Published models without models: only the files that are read before data are."""
    root = tmp_path_factory.mktemp("saved_models")
    for name, recipe in (("slot_filling", "slot_filling"), ("my_slots", "my_slots")):
        for number in (2, 10):
            folder = root / name / str(number)
            (folder / "assets.extra").mkdir(parents=True)
            (folder / "saved_model.pb").write_text("graph")
            (folder / "model.keras").write_text(f"weights {number}")
            (folder / "assets.extra" / "metrics.json").write_text(json.dumps({"recipe": recipe}))
            checksums.write(folder)
    (root / "plain" / "1" / "assets.extra").mkdir(parents=True)
    (root / "plain" / "1" / "saved_model.pb").write_text("graph")
    return root


def located(models, text, recipe="slot_filling"):
    return versions.located(RecipeConfig(start=text), models, recipe).start


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("slot_filling", 10),
        ("slot_filling:2", 2),
        ("{}/slot_filling/2", 2),
        ("{}/slot_filling", 10),
    ],
)
def test_a_version_is_named_by_folder_or_by_name(models, text, version):
    path, _, digest = located(models, text.format(models)).partition("@sha256:")
    assert path == str(models / "slot_filling" / str(version))
    assert digest == checksums.check_file(models / "slot_filling" / str(version), "model.keras")
    # The stored text stands for the same weights in every folder.
    assert located(models / "elsewhere", f"{path}@sha256:{digest}") == f"{path}@sha256:{digest}"


def test_a_run_without_start_stays_as_it_is(models):
    assert located(models, "") == ""


@pytest.mark.parametrize("recipe", ["slot_filling", "my_slots"])
def test_a_recipe_of_ones_own_may_begin_with_the_version_of_another(models, recipe):
    assert located(models, "my_slots", recipe)
    assert located(models, "slot_filling", "my_slots")


def test_a_recipe_takes_the_versions_of_the_recipes_that_it_names(models):
    class Config(RecipeConfig):
        start_recipes = ("slot_filling",)

    begun = versions.located(Config(start="slot_filling:2"), models, "digit_recognition")
    assert begun.start.startswith(str(models / "slot_filling" / "2"))
    with pytest.raises(UsageError, match="by slot_filling, not by dcgan or facenet"):
        versions._check_recipe(
            versions._find("--start", "slot_filling", models), "--start", ("dcgan", "facenet")
        )


@pytest.mark.parametrize(
    ("text", "recipe", "problem"),
    [
        ("slot_filling:3", "slot_filling", "there is no version 3"),
        ("slot_fillin", "slot_filling", "no model is published there"),
        ("/no/such/place", "slot_filling", "no model is published there"),
        ("slot_filling", "digit_recognition", "was published by slot_filling, not by digit_recog"),
        ("plain", "slot_filling", "was published without a recipe"),
        ("slot_filling@sha256:123", "slot_filling", "is not the file with the checksum 123"),
    ],
)
def test_what_is_not_a_version_of_the_recipe_is_refused(models, text, recipe, problem):
    with pytest.raises(UsageError, match=problem) as error:
        located(models, text, recipe)
    assert error.value.message.startswith(f"--start {text.partition('@')[0]}: ")
    assert "\n" not in error.value.message
    assert error.value.hint or recipe == "slot_filling"
    assert ("Did you mean 'slot_filling'?" in error.value.hint) == (text == "slot_fillin")


def test_a_version_without_weights_or_with_others_is_refused(models, tmp_path):
    copy = shutil.copytree(models, tmp_path / "models")
    file = copy / "slot_filling" / "2" / "model.keras"
    file.write_text("other weights")
    with pytest.raises(PublishError, match=r"model\.keras was changed after it was published"):
        located(copy, "slot_filling:2")
    file.unlink()
    with pytest.raises(PublishError, match=r"this version has no model\.keras"):
        located(copy, "slot_filling:2")


def recipe(folder, name="slot_filling", **settings):
    source = registry.find(name)
    values = {**TINY, **settings}
    return source.recipe()(source.config().parse(values), source.name)


def weights(model):
    return [np.array(weight) for weight in model.network.weights]


@pytest.fixture(scope="module")
def first(run_once):
    """The path of a published version of slot filling, as it is stored."""
    return versions.located(RecipeConfig(start=str(run_once[0].version.folder)), "", "slot_filling")


@pytest.fixture(scope="module")
def trained(first, tmp_path_factory):
    """A run that began with the version, on other sentences."""
    folder = tmp_path_factory.mktemp("run")
    model, _, _, metrics = runner.train(recipe(folder, start=first.start, seed=1), folder)
    return folder, weights(model), metrics


def test_a_run_records_its_start(trained, first, run_once):
    folder, _, metrics = trained
    path, _, digest = first.start.partition("@sha256:")
    facts = metrics["start"]
    assert (facts["version"], facts["sha256"]) == (path, digest)
    assert first.start in (folder / "config.yaml").read_text()
    # The sentences of another seed have other words; those that both have are taken.
    layers, _ = facts["weights"].split("; by name: ")
    # A few sentences may lack a tag that these have, but no weight is new.
    taken, total = re.fullmatch(r"(\d+) of (\d+) weights", layers).groups()
    assert taken == total


def test_the_same_start_gives_the_same_weights_and_a_cut_run_needs_no_version(
    trained, first, tmp_path, monkeypatch
):
    class KilledError(Exception):
        """The process ends in the first epoch."""

    def kill(*arguments, **options):
        raise KilledError

    again = recipe(tmp_path, start=first.start, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr("dlrecipes.training.SequenceTagger.fit", kill)
        with pytest.raises(KilledError):
            runner.train(again, tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch-0000"]
    monkeypatch.setattr(start, "located", kill)  # The version is gone.
    model, _, _, metrics = runner.train(again, tmp_path)
    assert metrics["start"] == trained[2]["start"]
    for ours, theirs in zip(weights(model), trained[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_training_begins_with_the_published_weights_and_a_fresh_optimizer(
    first, tmp_path, run_once
):
    task = recipe(tmp_path, start=first.start)
    splits = task.load_data()
    start.begin(task, splits, tmp_path)
    model = task.build(splits)
    checkpoints = Checkpoints(tmp_path / "checkpoints", task.monitor, task.mode)
    checkpoints.resume(model)
    published = run_once[0].version.keras_model(compile=False)
    for ours, theirs in zip(weights(model), weights(published), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert int(model.optimizer.iterations) == 0
    assert checkpoints.epochs == 0


def test_another_network_names_the_setting_that_differs(first, tmp_path):
    with pytest.raises(UsageError) as error:
        runner.train(recipe(tmp_path, start=first.start, units=9, learning_rate=0.1), tmp_path)
    assert "(--units 8 there, 9 here)." in error.value.message
    assert error.value.hint == "Add --units 8."
    assert not (tmp_path / "checkpoints").exists()


def test_a_network_with_other_inputs_is_refused(models, monkeypatch):
    def network(side):
        x = keras.Input((side, side, 1), name="images")
        return keras.Model(x, keras.layers.GlobalAveragePooling2D()(x))

    version = start.ModelVersion(models)
    monkeypatch.setattr(start, "_settings", lambda *both: [])
    with pytest.raises(RecipeError, match="takes images of 8x8x1, this run's of 9x9x1"):
        start._check_inputs(network(9), network(8), version, RecipeConfig())
