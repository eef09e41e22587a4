"""The published versions that settings such as `start` name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlrecipes.errors import UsageError, nearest
from dlrecipes.export import checksums
from dlrecipes.export.version import EXTRAS, KERAS_FILE, METRICS_FILE, ModelVersion, locate_version
from dlrecipes.export.version_folders import subfolders, version_number
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.registry import sources

_DIGEST = "@sha256:"


def located(config: RecipeConfig, models: Path, recipe: str) -> RecipeConfig:
    """Returns the configuration with its versions, such as `start`, as paths and checksums.

    A stored configuration must name the same weights in every working directory.

    Args:
        config: Configuration of a new run.
        models: Folder of published models, for names.
        recipe: Name of the recipe.

    Raises:
        UsageError: If there is no such version, or it is another recipe's.
        PublishError: If its weights are missing or damaged.
    """
    named = {name: text for name in config.versions if (text := getattr(config, name))}
    if not named:
        return config
    return config.model_copy(
        update={
            name: _located(name, text, models, _recipes(config, name, recipe))
            for name, text in named.items()
        }
    )


def _recipes(config: RecipeConfig, setting: str, recipe: str) -> tuple[str, ...]:
    """Returns the names of the recipes whose versions a setting may name."""
    return (recipe, *(config.start_recipes if setting == "start" else ()))


def find_version(text: str, models: Path, recipe: str, setting: str) -> ModelVersion:
    """Returns the version that a setting names, after checking its recipe and its weights.

    Args:
        text: Value of the setting, as typed or as from `located`.
        models: Folder of published models, for names.
        recipe: Name of the recipe.
        setting: Name of the setting, for error messages.

    Raises:
        UsageError: If there is no such version, or it is another recipe's.
        PublishError: If its weights are missing or damaged.
    """
    path, _, _ = _located(setting, text, models, (recipe,)).partition(_DIGEST)
    return ModelVersion(Path(path))


def _located(setting: str, text: str, models: Path, recipes: Sequence[str]) -> str:
    option = f"--{setting.replace('_', '-')}"
    text, _, expected = text.partition(_DIGEST)
    version = _find(option, text, models)
    _check_recipe(version, f"{option} {text}", recipes)
    digest = checksums.check_file(version.folder, KERAS_FILE)
    if expected and digest != expected:
        raise UsageError(
            f"{option} {text}: {KERAS_FILE} is not the file with the checksum {expected[:12]}....",
            "Leave the checksum out to use this version.",
        )
    return f"{version.folder.absolute()}{_DIGEST}{digest}"


def _find(option: str, text: str, models: Path) -> ModelVersion:
    name, colon, number = text.rpartition(":")
    try:
        if colon and not Path(text).exists() and (version := version_number(number)) is not None:
            return locate_version(name, models, version)
        return locate_version(text, models)
    except UsageError as error:
        near = nearest(text, [path.name for path in subfolders(models)])
        names = f"{near} Name a version: its folder, NAME or NAME:3.".lstrip()
        hint = error.hint if "Published versions" in error.hint else names
        raise UsageError(f"{option} {text}: {error.message}", hint) from None


def made_by(version: ModelVersion) -> str | None:
    """Returns the name of the recipe that published a version; `None` without a recipe."""
    file = version.folder / EXTRAS / METRICS_FILE
    facts = checksums.read_json(file) if file.is_file() else {}
    return facts.get("recipe") if isinstance(facts, dict) else None


def _check_recipe(version: ModelVersion, where: str, recipes: Sequence[str]) -> None:
    """Refuses a version of another recipe; a recipe of one's own may be a copy of any."""
    recipe = made_by(version)
    if recipe is None:
        raise UsageError(f"{where}: {version.folder} was published without a recipe.")
    known = {source.name for source in sources()}
    if recipe not in recipes and {recipe, recipes[0]} <= known:
        raise UsageError(
            f"{where}: {version.folder} was published by {recipe}, not by {' or '.join(recipes)}.",
            f"Name a version of {' or '.join(recipes)}.",
        )


def record(config: RecipeConfig, recipe: str) -> dict[str, dict[str, str]]:
    """Returns path and checksum of the versions that settings name, for `metrics.json`.

    Args:
        config: Configuration of a run.
        recipe: Name of the recipe.

    Returns:
        `version` and `sha256` by setting, without `start`, which is recorded when it is copied.
    """
    facts = {}
    for name in config.versions:
        if name == "start" or not (text := getattr(config, name)):
            continue
        path, digest = split_checksum(text)
        if not digest:
            path, digest = split_checksum(_located(name, text, Path(), (recipe,)))
        facts[name] = {"version": path, "sha256": digest}
    return facts


def split_checksum(text: str) -> tuple[str, str]:
    """Returns path and checksum of a setting from `located`."""
    path, _, digest = text.partition(_DIGEST)
    return path, digest
