"""A run keeps its promises: the same seed, the same weights, whatever happens on the way."""

import csv
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import yaml

from dlrecipes import runner
from dlrecipes._utils.files import try_lock
from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, registry
from dlrecipes.runner import model_card, run_folder
from dlrecipes.runner.run import train
from dlrecipes.training._engine.precision import is_mixed

NAME = "slot_filling"
TINY = {
    NAME: {"examples": 100, "units": 8, "word_units": 8, "ngram_units": 8},
    "object_detection": {
        **{"images": 100, "size": 64, "width": 0.25, "filters": 8, "units": 16, "batch_size": 10},
        **{"proposals": 20, "training_proposals": 30, "sampled_regions": 8, "mosaic": 0.5},
    },
}
SHORT = {"epochs": 3, "min_steps_per_epoch": 1}


def tiny_recipe(name=NAME, **settings):
    source = registry.find(name)
    return source.recipe()(source.config().parse({**TINY[name], **SHORT, **settings}), source.name)


def run(folder, name=NAME, **settings):
    target = run_folder.new_folder(folder / "runs" / name, None)
    return runner.run(tiny_recipe(name, **settings), target, folder / "models")


def weights(published):
    model = keras.saving.load_model(published / "model.keras")
    return [np.asarray(w).tobytes() for w in model.weights]


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory):
    """Runs that nothing interrupted, by recipe."""
    return functools.cache(lambda name: run(tmp_path_factory.mktemp("whole"), name))


@pytest.fixture(scope="module")
def whole(whole_of):
    """A run that nothing interrupted, with the recipe's own kind of cell."""
    return whole_of(NAME)


@pytest.fixture(scope="module")
def finished(run_once):
    """A run of three epochs, which other files read as well."""
    return run_once[0]


def test_a_model_trained_in_mixed_precision_is_evaluated_in_float32(tmp_path, monkeypatch):
    # On any CPU.
    monkeypatch.setattr("dlrecipes.training._engine.precision._is_slow", lambda: False)
    recipe = tiny_recipe(precision="mixed_bfloat16", epochs=2)
    model, splits, checkpoints, _ = train(recipe, tmp_path, parts=("validation",))
    assert not is_mixed(model)
    # The weights are those that were trained, of the best epoch.
    trained = recipe.build(splits)
    assert is_mixed(trained)
    checkpoints.restore_best(trained)
    pairs = zip(trained.network.get_weights(), model.network.get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


# A run that is killed and resumed is compared byte for byte as well.
@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_byte_for_byte(whole, tmp_path):
    assert weights(run(tmp_path).version.folder) == weights(whole.version.folder)


@pytest.mark.slow
def test_another_seed_gives_other_weights(whole, tmp_path):
    assert weights(run(tmp_path, seed=1, epochs=1).version.folder) != weights(whole.version.folder)


def test_the_card_begins_with_what_hubs_read(finished):
    text = (finished.version.folder / "README.md").read_text(encoding="utf-8")
    nothing, front, rest = text.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert nothing == ""
    assert rest.startswith("\n# slot_filling\n")
    assert (facts["license"], facts["library_name"]) == ("apache-2.0", "keras")
    assert (facts["pipeline_tag"], facts["datasets"]) == ("token-classification", ["builtin"])
    assert {"span_f1", "intent_accuracy"} <= set(facts["metrics"])


def test_the_card_says_what_the_test_set_is(finished):
    text = (finished.version.folder / "README.md").read_text(encoding="utf-8")
    assert "held-out examples of the built-in data" in text
    assert finished.metrics["test_set"] in text


@pytest.mark.parametrize(
    ("name", "settings", "fact"),
    [
        ("slot_filling", {"examples": 100}, "templates"),
        ("slot_filling", {"examples": 100, "language": "chinese"}, "templates"),
        ("digit_recognition", {}, "scikit-learn"),
        ("image_classification", {"images": 100, "size": 32}, "drawn cats and dogs"),
        ("image_classification", {"images": 100, "subject": "x_or_o"}, "letters"),
        ("facenet", {"people": 90, "size": 32}, "drawn faces of 40 people"),
        ("pix2pix", {"examples": 8, "size": 32}, "drawn facades"),
        ("poem_generation", {"examples": 100}, "a program composes"),
        ("dcgan", {}, "scikit-learn"),
        ("autoencoder", {}, "scikit-learn"),
        ("autoencoder", {"subject": "faces", "size": 16}, "drawn faces"),
        pytest.param("dcgan", {"subject": "faces"}, "drawn faces", marks=pytest.mark.slow),
        pytest.param("dcgan", {"subject": "facades"}, "drawn facades", marks=pytest.mark.slow),
    ],
)
def test_each_recipe_says_what_its_built_in_test_set_is(name, settings, fact):
    source = registry.find(name)
    recipe = source.make(source.config().parse(settings))
    text = model_card.test_set(recipe, recipe.load_data())
    assert fact in text
    assert "They are made as the training data are." not in text


def test_every_built_in_recipe_says_what_its_test_set_is():
    for source in registry.sources():
        assert "test_set=" in (source.folder / "data.py").read_text(), source.name


def test_other_data_are_not_described_as_the_built_in_ones(tmp_path):
    (tmp_path / "data.txt").write_text("to O\nRome B-city\n\n" * 20)
    recipe = tiny_recipe(data=str(tmp_path / "data.txt"))
    text = model_card.test_set(recipe, recipe.load_data())
    assert "no training step saw" in text
    assert "templates" not in text


def test_a_recipe_of_ones_own_may_describe_its_test_set(tmp_path):
    (tmp_path / "data.txt").write_text("to O\nRome B-city\n\n" * 20)
    recipe = tiny_recipe(data=str(tmp_path / "data.txt"))
    splits = dataclasses.replace(recipe.load_data(), test_set="They are letters of 1890.")
    assert model_card.test_set(recipe, splits).endswith(" They are letters of 1890.")


def test_metrics_json_holds_the_names_that_stay(finished):
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    for split in ("test", "validation"):
        for name in ("span_f1", "token_accuracy", "intent_accuracy"):
            assert 0 <= metrics[split][name] <= 1
    assert 0 < metrics["seconds"]["train"] <= metrics["seconds"]["total"]
    took = {name: stage["seconds"] for name, stage in metrics["stages"].items()}
    wanted = ["data", "build", "trace", "train", "evaluate", "figures", "publish", "check"]
    assert list(took) == wanted
    # Each is rounded to a tenth of a second.
    assert sum(took.values()) <= metrics["seconds"]["total"] + 0.1 * len(took)
    assert metrics["published"] == str(finished.version.folder)


def test_history_has_a_row_for_each_epoch(finished):
    with (finished.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = max(rows, key=lambda row: float(row["val_span_f1"]))
    assert int(best["epoch"]) == finished.metrics["best_epoch"]


def test_what_is_published_is_the_best_epoch_as_evaluated(finished):
    source = registry.find("slot_filling")
    stored = RecipeConfig.from_yaml(finished.folder / "config.yaml")
    recipe = source.recipe()(source.config().parse(stored), source.name)
    model = keras.saving.load_model(finished.version.folder / "model.keras")
    again = recipe.evaluate(model, recipe.load_data(), "test")
    assert again == finished.metrics["test"]


def test_figures_and_logs_are_there(finished):
    names = {path.name for path in (finished.folder / "figures").iterdir()}
    assert {"learning_curves.png", "f1_by_slot.png", "confusion.png", "sentences.png"} == names
    assert all((finished.folder / "figures" / n).read_bytes()[:4] == b"\x89PNG" for n in names)
    assert list((finished.folder / "tensorboard").rglob("events*"))


def test_a_run_that_another_process_is_at_is_refused(tmp_path):
    folder = run_folder.new_folder(tmp_path, "one")
    with try_lock(folder) as alone:
        assert alone
        with pytest.raises(UsageError, match="another process"):
            runner.run(tiny_recipe(), folder, tmp_path / "models")


def test_two_runs_at_the_same_second_get_folders_of_their_own(tmp_path):
    made = {run_folder.new_folder(tmp_path, None) for _ in range(5)}
    assert len(made) == 5


# tests/conformance has a quick test that kills training alone.
@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_killed_twice_and_resumed_ends_with_the_weights_of_the_whole_run(name, whole_of, tmp_path):
    whole = whole_of(name)
    options = [
        f"--{key.replace('_', '-')}={value}" for key, value in {**TINY[name], **SHORT}.items()
    ]
    command = [sys.executable, "-m", "dlrecipes", "run", name]
    awaited = tmp_path / "runs" / name / "cut" / "checkpoints"
    kill_when(tmp_path, [*command, *options, "--name=cut"], awaited / "epoch-0001")
    kill_when(tmp_path, [*command, "--resume"], awaited / "epoch-0002")
    done = subprocess.run(
        [*command, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cut = tmp_path / "saved_models" / name / "1"
    assert weights(cut) == weights(whole.version.folder)
    assert not (tmp_path / "saved_models" / name / "2").exists()


def kill_when(folder, command, awaited):
    """Starts a run and kills it with SIGKILL as soon as a path exists."""
    with subprocess.Popen(
        command, cwd=folder, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while not awaited.exists():
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)


def test_nothing_is_left_to_resume_after_a_run(finished):
    with pytest.raises(UsageError, match="nothing to resume"):
        run_folder.unfinished_folder(finished.folder.parent, None)
