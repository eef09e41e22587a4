"""A run goes on for more epochs than it had; what cannot be trained is refused."""

import json

import numpy as np
import pytest

from dlrecipes import api, runner
from dlrecipes.errors import UsageError
from dlrecipes.recipe import RecipeConfig, registry
from dlrecipes.runner import extension, run_folder

SIZES = {"examples": 100, "units": 8, "word_units": 8, "ngram_units": 8, "min_steps_per_epoch": 1}
TINY = {**SIZES, "cell": "feed_forward", "monitor": "loss"}


@pytest.fixture
def run(tmp_path):
    """Writes the files of a run of 4 epochs with a patience of 2."""

    def write(done, stopped=False, published=True):
        root = tmp_path / "runs" / "one"
        root.mkdir(parents=True)
        (root / "config.yaml").write_text(RecipeConfig(epochs=4, patience=2).to_yaml())
        if published:
            (root / "metrics.json").write_text('{"published": "saved_models/x/1"}')
        if done:
            folder = root / "checkpoints" / f"epoch-{done:04d}"
            folder.mkdir(parents=True)
            state = {"history": [{}] * done, "seconds": 1.0, "stopped": stopped}
            (folder / "state.json").write_text(json.dumps(state))
        return root

    return write


def extend(folder, **changes):
    return extension.extend(folder, RecipeConfig(epochs=4, patience=2), changes)


@pytest.mark.parametrize(
    ("done", "stopped", "changes"),
    [
        (4, False, {"epochs": 6}),
        (3, True, {"patience": 5}),
        (3, True, {"patience": 3, "epochs": 9}),
    ],
)
def test_a_finished_run_becomes_an_unfinished_one(run, done, stopped, changes):
    folder = run(done, stopped)
    assert run_folder.is_trained(folder)
    assert run_folder.is_finished(folder)
    config = extend(folder, **changes)
    assert not run_folder.is_trained(folder)
    assert not run_folder.is_finished(folder)
    stored = RecipeConfig.parse(RecipeConfig.from_yaml(folder / "config.yaml"))
    assert stored == config == RecipeConfig(**{"epochs": 4, "patience": 2, **changes})
    (record,) = extension.read(folder)
    assert (record["after"], record["epochs_before"], record["patience_before"]) == (done, 4, 2)


@pytest.mark.parametrize(
    ("done", "stopped", "changes", "problem", "hint"),
    [
        (4, False, {"epochs": 4}, "4 epochs are trained already", "--epochs 8"),
        (4, False, {"patience": 9}, "4 epochs are trained already", "--epochs 8"),
        (3, False, {"epochs": 2}, "3 epochs are trained already", "--epochs 6"),
        (3, True, {"epochs": 9}, "stopped after epoch 3 of 4", "--patience 4"),
        (3, True, {"patience": 2}, "stopped after epoch 3 of 4", "--patience 4"),
        (4, False, {"epochs": 0}, "1 setting is wrong", ""),
        (0, False, {"epochs": 9}, "its checkpoints are gone", "--start"),
    ],
)
def test_nothing_to_train_is_refused_and_nothing_changes(
    run, done, stopped, changes, problem, hint
):
    folder = run(done, stopped)
    before = {
        path: path.read_text() for path in folder.rglob("*.*") if path.suffix in (".json", ".yaml")
    }
    with pytest.raises(UsageError, match=problem) as error:
        extend(folder, **changes)
    assert hint in error.value.hint
    assert {path: path.read_text() for path in before} == before
    assert run_folder.is_finished(folder)


def test_patience_of_a_recipe_that_does_not_stop_early_is_refused(run):
    class Config(RecipeConfig):
        unused_settings = {"patience": "the last epoch is kept"}  # noqa: RUF012

    folder = run(done=4)
    before = (folder / "config.yaml").read_text()
    with pytest.raises(UsageError, match="no effect: --patience: the last epoch is kept"):
        extension.extend(folder, Config(epochs=4, patience=2), {"patience": 9})
    assert (folder / "config.yaml").read_text() == before


def test_an_unfinished_run_may_get_fewer_epochs(run):
    folder = run(2, published=False)
    assert extend(folder, epochs=3).epochs == 3
    assert extension.read(folder)[0]["epochs"] == 3


def test_the_latest_finished_run_is_found_only_with_a_change(run):
    folder = run(4)
    with pytest.raises(UsageError, match="nothing to resume"):
        run_folder.unfinished_folder(folder.parent, None)
    assert run_folder.unfinished_folder(folder.parent, None, finished=True) == folder
    with pytest.raises(UsageError, match="for resume=True"):
        api.run("slot_filling", epochs=3)


def train(folder, **settings):
    source = registry.find("slot_filling")
    recipe = source.recipe()(source.config().parse({**TINY, **settings}), source.name)
    model, _, _, metrics = runner.train(recipe, folder)
    return recipe, [np.array(weight) for weight in model.weights], metrics


@pytest.mark.slow
def test_more_epochs_at_a_constant_rate_give_the_weights_of_a_run_of_all(tmp_path, capsys):
    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    _, expected, _ = train(whole, epochs=2, lr_schedule="constant")
    recipe, shorter, _ = train(part, epochs=1, lr_schedule="constant")
    longer = extension.extend(part, recipe.config, {"epochs": 2})
    _, weights, metrics = train(part, **longer.model_dump(exclude=set(TINY)))
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any((a != b).any() for a, b in zip(weights, shorter, strict=True))
    assert metrics["extensions"][0]["after"] == 1
    assert "learning rates" not in capsys.readouterr().err
    # A schedule: the rates of the next epoch are those of a schedule over all epochs.
    cosine = longer.model_copy(update={"lr_schedule": "cosine"})
    task = type(recipe)(cosine, recipe.name)
    splits = task.load_data()
    model = task.build(splits)
    extension.note_schedule(model, part, 1)
    line = capsys.readouterr().err
    assert "from epoch 2 on" in line
    assert "over 2 epochs; until now it was one over 1" in line
    steps_per_epoch = -(-len(splits.train) // cosine.batch_size)
    assert model.optimizer._learning_rate.decay_steps == 2 * steps_per_epoch
