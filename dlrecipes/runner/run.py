"""A run: seed, data, build, fit, evaluate, figures, publish."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import matplotlib
import tensorflow as tf

from dlrecipes._utils.cpu import available_cpus
from dlrecipes._utils.files import atomic_write, try_lock
from dlrecipes._utils.memory import release_memory
from dlrecipes._utils.quiet import suppress_stderr
from dlrecipes._utils.stages import Stages, stage
from dlrecipes._utils.wording import counted
from dlrecipes.errors import RecipeError, UsageError, reason
from dlrecipes.export import Exports, publish
from dlrecipes.export.version import CONFIG_FILE, METRICS_FILE, ModelVersion
from dlrecipes.figures import learning_curves, save
from dlrecipes.recipe import versions
from dlrecipes.recipe.base import Part, Recipe, Splits
from dlrecipes.recipe.config import NO_START
from dlrecipes.recipe.example_files import Command
from dlrecipes.recipe.guard import blame
from dlrecipes.recipe.published import model_name
from dlrecipes.runner import extension, model_card, tensorboard
from dlrecipes.runner import start as start_version
from dlrecipes.runner.example_inputs import keep_examples
from dlrecipes.runner.fitting import SNAPSHOTS, fit, fit_on_all
from dlrecipes.runner.recipe_checkpoints import recipe_checkpoints
from dlrecipes.training._engine.precision import for_inference, is_mixed
from dlrecipes.training.callbacks import snapshots
from dlrecipes.training.callbacks.checkpoints import Checkpoints, saved_epochs

PRETRAINING = "pretraining"


@dataclass(frozen=True)
class Result:
    """Result of a run.

    Args:
        folder: The run's folder.
        version: The published version.
        metrics: Contents of `metrics.json`.
        examples: Arguments of commands to suggest for `dlrecipes predict`. Defaults to none.
        metric_groups: The recipe's nested metrics to show. Defaults to none.
    """

    folder: Path
    version: ModelVersion
    metrics: Mapping[str, Any]
    examples: Sequence[Command] = ()
    metric_groups: Sequence[str] = ()


def run(
    recipe: Recipe,
    folder: Path,
    models: Path,
    strategy: tf.distribute.Strategy | None = None,
    say: Callable[[str], None] = print,
) -> Result:
    """Trains, evaluates and publishes a recipe; resumes the folder's unfinished run.

    Args:
        recipe: The recipe, configured.
        folder: The run's folder, which exists.
        models: The folder of published models.
        strategy: Strategy of this process to train under. Defaults to `None`, one device.
        say: Called with the name of the published model, if it is not the recipe's, and with a
            line about each stage that ends. Defaults to `print`.

    Raises:
        RecipeError: If data, training or publishing fail in a way the user can fix.
    """
    with try_lock(folder) as alone:
        if not alone:
            raise UsageError(f"{folder}: in use by another process.", "Wait for it to end.")
        with Stages(say).active() as stages:
            return _run(recipe, folder, models, strategy, stages, say)


def _run(
    recipe: Recipe,
    folder: Path,
    models: Path,
    strategy: tf.distribute.Strategy | None,
    stages: Stages,
    say: Callable[[str], None],
) -> Result:
    start, name = time.monotonic(), model_name(recipe.name, recipe.config)

    def announce() -> None:
        if name != recipe.name:
            say(f"{recipe.name}: its model will be published as {name}")

    model, splits, checkpoints, metrics = train(recipe, folder, strategy, begun=announce)
    earlier = checkpoints.seconds - checkpoints.seconds_here
    recipe.snapshots = snapshots.read(folder / SNAPSHOTS, checkpoints.epochs)
    release_memory()
    with stage("figures") as done:
        draw(recipe, model, splits, checkpoints, folder / "figures")
        tensorboard.write_figures(folder, checkpoints.epochs)
        done(f"Drew {counted(len(list((folder / 'figures').iterdir())), 'figure')}")
    metrics["date"] = time.strftime("%Y-%m-%d")
    release_memory()
    with stage("publish"):
        published = _publish(recipe, model, splits, metrics, models / name)
    metrics["seconds"]["total"] = round(earlier + time.monotonic() - start, 1)
    metrics["stages"] = stages.to_dict()
    metrics["published"] = str(published)
    atomic_write(folder / METRICS_FILE, _json(metrics))
    version = ModelVersion(published)
    examples = keep_examples(recipe, splits, version, folder)
    return Result(folder, version, metrics, examples, recipe.metric_groups)


def load_exports(recipe: Recipe, version: ModelVersion) -> tuple[keras.Model, Exports]:
    """Returns the model of a version and its exports, whose examples are read from the data again.

    Args:
        recipe: The recipe, with the version's configuration.
        version: The version.

    Raises:
        RecipeError: If the data or the model cannot be loaded.
    """
    make_deterministic(recipe.config.seed)
    splits = _load(recipe)
    model = version.keras_model()
    return model, recipe.signatures(model, splits)


def _publish(
    recipe: Recipe, model: keras.Model, splits: Splits, metrics: Mapping[str, Any], folder: Path
) -> Path:
    exports = recipe.signatures(model, splits)
    # One example suffices to compare the reloaded Keras file.
    few = dataclasses.replace(splits, test=splits.test[:1])
    extras = {CONFIG_FILE: recipe.config.to_yaml(), METRICS_FILE: _json(metrics)}
    with blame(recipe, "signatures", "build"):
        return publish(
            model,
            folder,
            dataclasses.replace(exports, files={**exports.files, **extras}),
            lambda usage: model_card.model_card(
                recipe, splits, metrics, environment(), usage, name=folder.name
            ),
            rebuild=lambda again: recipe.signatures(again, few),
            # A recipe's contract: a run whose model LiteRT cannot run publishes nothing.
            litert=True,
        )


def train(
    recipe: Recipe,
    folder: Path,
    strategy: tf.distribute.Strategy | None = None,
    parts: Sequence[Part] = ("test", "validation"),
    check: Callable[[keras.Model, Splits], None] = lambda model, splits: None,
    begun: Callable[[], None] = lambda: None,
) -> tuple[keras.Model, Splits, Checkpoints, dict[str, Any]]:
    """Trains and evaluates a recipe without publishing it.

    Args:
        recipe: The recipe, configured.
        folder: The run's folder; training resumes from its checkpoints.
        strategy: Strategy of this process to train under. Defaults to `None`, one device.
        parts: Splits to evaluate. Defaults to test and validation.
        check: Called with the untrained model and the data; may raise. Defaults to nothing.
        begun: Called when the data and the version to begin with are read. Defaults to nothing.

    Returns:
        Model of the best epoch, on one device; its data; its checkpoints; and the contents of
        `metrics.json`.
    """
    splits = _begun(recipe, folder)
    begun()
    here = 0.0
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        here = fit_on_all(recipe, splits, folder, strategy).seconds_here
        # One device does the rest, with the layer names of a first model.
        keras.utils.clear_session()
        make_deterministic(recipe.config.seed)
    with stage("build") as done:
        model = recipe.build(splits)
        done(f"Built the network with {counted(model.count_params(), 'parameter')}")
    check(model, splits)
    checkpoints = recipe_checkpoints(recipe, folder)
    checkpoints.resume(model)
    extension.note_schedule(model, folder, checkpoints.epochs)
    fit(recipe, model, splits, folder, checkpoints)
    checkpoints.seconds_here += here
    release_memory()
    precision = "mixed_bfloat16" if is_mixed(model) else "float32"
    if hasattr(recipe.config, "precision") and is_mixed(model):
        # First, because the graphs of a training take memory.
        del model
        checkpoints.set_model(None)
        model = _in_float32(recipe, splits)
    checkpoints.restore_best(model)
    recipe.set_thresholds(model, splits)
    metrics: dict[str, Any] = {
        "recipe": recipe.name,
        "data": str(splits.description.get("name", recipe.config.data)),
        "objective": recipe.objective[0],
        "test_set": model_card.test_set(recipe, splits),
        **_evaluate(recipe, model, splits, parts),
        "seconds": {"train": round(checkpoints.seconds, 1)},
        "best_epoch": checkpoints.best,
        "epochs": checkpoints.epochs,
        "parameters": model.count_params(),
        **({"trained_in": precision} if hasattr(recipe.config, "precision") else {}),
        **start_version.record(folder),
        **versions.record(recipe.config, recipe.name),
        **({"extensions": extensions} if (extensions := extension.read(folder)) else {}),
        **recipe.describe(model, splits),
    }
    # Before anything is drawn or published: a full disk later loses no result.
    atomic_write(folder / METRICS_FILE, _json(metrics))
    tensorboard.write_results(folder, recipe, splits, metrics)
    return model, splits, checkpoints, metrics


def _in_float32(recipe: Recipe, splits: Splits) -> keras.Model:
    """Returns a recipe's model for evaluation and export."""
    # The layers have the names of a first model.
    keras.utils.clear_session()
    make_deterministic(recipe.config.seed)
    release_memory()
    with for_inference():
        return recipe.build(splits)


def _begun(recipe: Recipe, folder: Path) -> Splits:
    """Returns the data of a run, after writing its settings and its first checkpoint."""
    atomic_write(folder / CONFIG_FILE, recipe.config.to_yaml())
    atomic_write(folder / "environment.json", json.dumps(environment(), indent=2))
    make_deterministic(recipe.config.seed)
    splits = _load(recipe)
    begin(recipe, splits, folder)
    return splits


def _evaluate(
    recipe: Recipe, model: keras.Model, splits: Splits, parts: Sequence[Part]
) -> dict[str, Any]:
    with stage("evaluate") as done:
        scores: dict[str, Any] = {part: recipe.evaluate(model, splits, part) for part in parts}
        done(f"Evaluated on {' and '.join(reversed(parts))} examples")
    return scores


def begin(recipe: Recipe, splits: Splits, folder: Path) -> None:
    """Writes the first checkpoint of a new run that begins with trained weights.

    They are those of a published version, or of the recipe's pre-training.

    Args:
        recipe: The recipe, configured.
        splits: Its data.
        folder: The run's folder.
    """
    if recipe.config.start != NO_START:
        start_version.begin(recipe, splits, folder)
    elif recipe.pretrains:
        _pretrain(recipe, splits, folder)
    else:
        return
    # The run's own model has the layer names and the seeds of a first one.
    keras.utils.clear_session()
    make_deterministic(recipe.config.seed)


def _pretrain(recipe: Recipe, splits: Splits, folder: Path) -> None:
    checkpoints = recipe_checkpoints(recipe, folder)
    if saved_epochs(checkpoints.folder):
        return
    start = time.monotonic()
    model = recipe.build(splits)
    with blame(recipe, "pretrain"), stage("pretrain"):
        array = recipe.pretrain(model, splits, folder / PRETRAINING)
    if array is not None:
        snapshots.write(folder / SNAPSHOTS, 0, array)
    checkpoints.seconds = time.monotonic() - start
    checkpoints.save_initial(model)
    shutil.rmtree(folder / PRETRAINING, ignore_errors=True)


def _load(recipe: Recipe) -> Splits:
    """Returns the data, and prints how it was read."""
    with stage("data") as done:
        splits = recipe.load_data()
        train, validation, test = (
            f"{len(part):,}" for part in (splits.train, splits.validation, splits.test)
        )
        done(f"Read {train} training, {validation} validation and {test} test examples")
    for note in (*splits.notes, *splits.training_notes):
        print(f"Note: {note}", file=sys.stderr)
    return splits


def _json(metrics: Mapping[str, Any]) -> str:
    return json.dumps(metrics, indent=2, ensure_ascii=False)


def make_deterministic(seed: int) -> None:
    """Makes training reproducible: the same seed gives the same weights bit for bit."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def draw(
    recipe: Recipe, model: keras.Model, splits: Splits, checkpoints: Checkpoints, folder: Path
) -> None:
    """Draws the learning curves and the recipe's own figures.

    A figure that fails is reported and left out: it must not cost the trained model.
    """
    folder.mkdir(exist_ok=True)

    def figures() -> Iterator:
        yield "learning_curves", learning_curves(checkpoints.history, checkpoints.best)
        yield from recipe.figures(model, splits)

    try:
        # Words and names are the user's: "$" does not begin a formula.
        with suppress_stderr(), matplotlib.rc_context({"text.parse_math": False}):
            for name, figure in figures():
                save(folder, name, figure)
    except OSError:
        raise
    except Exception as error:
        why = error.message if isinstance(error, RecipeError) else reason(error)
        print(f"Note: not all figures could be drawn: {why}", file=sys.stderr)


def environment() -> dict[str, Any]:
    """Returns what a result depends on besides its configuration."""
    packages = ("dlrecipes", "tensorflow", "keras", "numpy", "ai-edge-litert")
    return {
        **{name: version(name) for name in packages},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {counted(available_cpus(), 'core')}",
        "system": platform.system(),
    }
