"""A run that begins with the weights of a published version (`--start`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.recipe.config import NO_START, RecipeConfig
from dlrecipes.recipe.options import spelled
from dlrecipes.recipe.versions import located, made_by, split_checksum

if TYPE_CHECKING:
    import keras

    from dlrecipes.recipe import Recipe, Splits

START_FILE = "start.json"


def begin(recipe: Recipe, splits: Splits, folder: Path) -> None:
    """Saves the weights that a new run begins with as the checkpoint before its first epoch.

    Does nothing for a run without `start`, and for one with a checkpoint, which no longer needs
    the version. Builds a model of its own: the caller resumes from the checkpoint.

    Args:
        recipe: The recipe, with `start` as from `located`.
        splits: Its data.
        folder: The run's folder.

    Raises:
        UsageError: If the version does not fit the data or the settings.
        PublishError: If the version is damaged.
    """
    from dlrecipes.runner.recipe_checkpoints import recipe_checkpoints
    from dlrecipes.training.callbacks.checkpoints import saved_epochs

    checkpoints = recipe_checkpoints(recipe, folder)
    if recipe.config.start == NO_START or saved_epochs(checkpoints.folder):
        return
    model = recipe.build(splits)
    facts = initialize(recipe, model, splits)
    print(f"{recipe.name}: begins with {facts['version']}: {facts['weights']}")
    atomic_write(folder / START_FILE, json.dumps(facts, ensure_ascii=False))
    checkpoints.save_initial(model)


def initialize(recipe: Recipe, model: keras.Model, splits: Splits) -> dict[str, str]:
    """Copies the weights of the version that a recipe begins with into its model.

    Args:
        recipe: The recipe, with `start`.
        model: The model that `build` returned.
        splits: The data.

    Returns:
        The version, its checksum, and what was copied.

    Raises:
        UsageError: If the version does not fit the data or the settings.
        PublishError: If the version is damaged.
    """
    config = located(recipe.config, Path(), recipe.name)
    path, digest = split_checksum(config.start)
    version = ModelVersion(Path(path))
    source = version.keras_model(compile=False)
    # Another recipe's version lends layers to a network with inputs of its own.
    if made_by(version) not in config.start_recipes:
        _check_inputs(model, source, version, recipe.config)
    transfer = recipe.initialize(model, source)
    if not transfer.useful:
        differing = _differing(recipe, splits, model, version)
        taken = f"--start {path}: {transfer.taken} of {transfer.total} weights fit"
        if not differing:
            raise UsageError(
                f"{taken}; all others would be new: {', '.join(transfer.new)}.",
                "Begin with a version of the same network, classes or words.",
            )
        reasons = "; ".join(f"{name} {there} there, {here} here" for name, here, there in differing)
        raise UsageError(
            f"{taken}: the network is another one ({reasons}).",
            f"Add {' '.join(f'{name} {there}' for name, _, there in differing)}.",
        )
    return {"version": path, "sha256": digest, "weights": str(transfer)}


def record(folder: Path) -> dict[str, Any]:
    """Returns what a run began with, for `metrics.json`; empty for a run without `start`."""
    path = folder / START_FILE
    return {"start": json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def _check_inputs(
    model: keras.Model, source: keras.Model, version: ModelVersion, config: RecipeConfig
) -> None:
    from dlrecipes.recipe.transfer import input_shapes

    here, there = input_shapes(model), input_shapes(source)
    for name, shape in here.items():
        if name in there and there[name] != shape:
            settings = _settings(config, version)
            options = ", ".join(
                f"{option} {own} here, {other} there" for option, own, other in settings
            )
            raise UsageError(
                f"--start {version.folder}: its network takes {name} of {_spelled(there[name])}, "
                f"this run's of {_spelled(shape)}.",
                f"The settings differ: {options}." if settings else "",
            )


def _spelled(shape: tuple[int | None, ...]) -> str:
    return "x".join("any" if size is None else str(size) for size in shape) or "one number"


def _settings(config: RecipeConfig, version: ModelVersion) -> list[tuple[str, str, str]]:
    """Returns the recipe's own settings that differ: option, value here, value there."""
    here = config.model_dump(mode="json")
    there: Mapping[str, Any] = type(config).from_yaml(version.config_file)
    return [
        (f"--{name.replace('_', '-')}", spelled(here[name]), spelled(there[name]))
        for name in here
        if name not in RecipeConfig.model_fields and name in there and here[name] != there[name]
    ]


def _differing(
    recipe: Recipe, splits: Splits, model: keras.Model, version: ModelVersion
) -> list[tuple[str, str, str]]:
    """Returns the settings that differ and change the network's weights; all if none does alone."""
    all_settings = _settings(recipe.config, version)
    stored = type(recipe.config).from_yaml(version.config_file)
    shapes = [tuple(weight.shape) for weight in model.weights]
    changing = []
    for option, here, there in all_settings:
        name = option[2:].replace("-", "_")
        try:
            values = {**recipe.config.model_dump(mode="json"), name: stored[name]}
            other = type(recipe)(type(recipe.config).parse(values), recipe.name).build(splits)
        except Exception:  # A setting that does not fit the others names nothing.
            continue
        if [tuple(weight.shape) for weight in other.weights] != shapes:
            changing.append((option, here, there))
    return changing or all_settings
