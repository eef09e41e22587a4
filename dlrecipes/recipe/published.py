"""Names of published models, and what is known of them: recipe, data, date and score."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrecipes._utils.file_names import slug
from dlrecipes._utils.files import missing_folders
from dlrecipes.errors import UsageError, nearest, reason
from dlrecipes.export.version import CONFIG_FILE, EXTRAS, METRICS_FILE, ModelVersion
from dlrecipes.export.version_folders import subfolders, version_folders, version_number
from dlrecipes.recipe.config import AUTO_NAME, RecipeConfig
from dlrecipes.recipe.registry import Source, find, sources


def model_name(recipe: str, config: RecipeConfig) -> str:
    """Returns the name that a run publishes its model under.

    Args:
        recipe: Name of the recipe.
        config: Settings of the run.

    Example:

    >>> from dlrecipes.recipe import RecipeConfig
    >>> from dlrecipes.recipe.published import model_name
    >>> model_name("digits", RecipeConfig()), model_name("digits", RecipeConfig(data="My shapes"))
    ('digits', 'digits-my-shapes')
    """
    if config.publish_as != AUTO_NAME:
        return config.publish_as
    data = config.data_name()
    return f"{recipe}-{slug(data)}" if data else recipe


def check_folder(models: Path) -> None:
    """Refuses a folder of published models that cannot be made or written.

    Args:
        models: Folder of published models; it need not exist.

    Raises:
        UsageError: If it cannot be made, or no file can be written there.
    """
    made = missing_folders(models)
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=models):
            pass
    except OSError as error:
        raise UsageError(
            f"{models}: models cannot be published here: {reason(error)}",
            "Give another folder: --models-dir FOLDER",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def check_name(models: Path, recipe: str, config: RecipeConfig) -> None:
    """Refuses a name under which a run would replace a model of other data.

    Servers and commands use the latest version of a name. `publish_as` permits it.

    Args:
        models: Folder of published models.
        recipe: Name of the recipe.
        config: Settings of the run.

    Raises:
        UsageError: If the name is not a folder's name or another recipe's, or if the latest
            version of the name has another recipe or other data.
    """
    name = model_name(recipe, config)
    if config.publish_as != AUTO_NAME:
        _check_given(name, recipe)
        return
    folders = version_folders(models / name)
    if not folders:
        return
    latest = ModelVersion(folders[max(folders)])
    there = _trained_on(latest, config)
    here = (recipe, config.data, config.data_name())
    if there == here:
        return
    what = "was published without a recipe"
    if there is not None:
        kind = f" ({there[2]})" if there[1] == config.data and there[2] else ""
        by = f"by {there[0]}" if there[0] != recipe else f"on {there[1]}{kind}"
        what = f"was trained {by}"
    raise UsageError(
        f"{latest.folder}: this version {what}; the run is on {config.data}, and would replace it.",
        f"Choose another name: --publish-as NAME; --publish-as {name} makes a new version of it.",
    )


def _check_given(name: str, recipe: str) -> None:
    is_folder = Path(name).name == name and name == name.strip() and name.isprintable()
    # Servers separate names by these characters, and take a number for a version.
    if not is_folder or name.startswith(".") or set(name) & set(':\\@"') or name.isdigit():
        raise UsageError(
            f"--publish-as {name!r}: expected a folder's name, not a number, without /, : and @."
        )
    known = {source.name for source in sources()}
    if name in known and recipe in known and name != recipe:
        raise UsageError(
            f"--publish-as {name}: this is the name of another recipe.",
            f"Such as --publish-as {recipe}-mine.",
        )


def _trained_on(version: ModelVersion, config: RecipeConfig) -> tuple[str, str, str] | None:
    """Returns recipe, data and name of the data of a version; `None` without a recipe."""
    file = version.folder / EXTRAS / CONFIG_FILE
    recipe = _metrics(version).get("recipe")
    if not file.is_file() or not isinstance(recipe, str):
        return None
    values = type(config).from_yaml(file)
    try:
        stored = type(config).parse(values)
    except UsageError:  # Settings of an older or of another recipe.
        return recipe, str(values.get("data", "builtin")), ""
    return recipe, stored.data, stored.data_name()


def _metrics(version: ModelVersion) -> dict[str, Any]:
    try:
        facts = json.loads((version.folder / EXTRAS / METRICS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def recipe_of(version: ModelVersion) -> Source | None:
    """Returns the recipe that published a version, if it is known or in this folder."""
    name = _metrics(version).get("recipe")
    known = {source.name: source for source in sources()}
    if name in known or not isinstance(name, str):
        return known.get(name or "")
    try:
        return find(name) if (Path(name) / "recipe.py").is_file() else None
    except UsageError:
        return None


def published_source(
    name: str, models: Path, version: int | None = None
) -> tuple[Source | None, ModelVersion]:
    """Returns a published version with its recipe, `None` for one without.

    Args:
        name: Name or folder of a recipe or of a published model, as the user typed it.
        models: Folder of published models.
        version: Number of the version. Defaults to `None`: the latest.

    Raises:
        UsageError: If there is no such recipe and no such model, or no such version.
    """
    from dlrecipes.export.version import find_version, locate_version

    try:
        source = find(name)
    except UsageError as error:
        if not is_published(name, models):
            raise unknown_model(name, models, error) from None
        published = locate_version(name, models, version)
        return recipe_of(published), published
    return source, find_version(models, source.name, version, recipe=name)


def unknown_model(name: str, models: Path, error: UsageError) -> UsageError:
    """Returns the error for a name that neither a recipe nor a published model has.

    Args:
        name: Name or folder, as the user typed it.
        models: Folder of published models.
        error: Error that says that no recipe has it.
    """
    model, _, number = name.rpartition(":")
    if model and version_number(number) is not None and is_published(model, models):
        verbs = "'predict', 'evaluate' and 'export' take"
        hint = f"Give the name alone: {model}. {verbs} --model-version {number}."
        return UsageError(f"{name}: expected a name without a version.", hint)
    known = [*(path.name for path in subfolders(models)), *(s.name for s in sources())]
    return UsageError(error.message, nearest(name, known) or error.hint)


def is_published(name: str, models: Path) -> bool:
    """Returns whether a published model has this name, or lies in this folder.

    Args:
        name: Name or folder, as the user typed it.
        models: Folder of published models.
    """
    path = Path(name).expanduser()
    folders = version_folders(models / name) or version_folders(path)
    return bool(folders) or (path / "saved_model.pb").is_file()


@dataclass(frozen=True)
class Facts:
    """Recipe, data, date and score of a published version.

    Args:
        name: Name of the model.
        version: Number of the version.
        recipe: Name of the recipe; empty for a model published without one.
        data: Name of its training data; empty if unknown.
        date: Day on which it was published, such as `"2026-05-01"`.
        score: Its score on its own test data, such as `"accuracy 0.9713"`; empty without one.
    """

    name: str
    version: str
    recipe: str
    data: str
    date: str
    score: str

    def __str__(self) -> str:
        data = f"trained on {self.data}" if self.data else "published without a recipe"
        score = f"test {self.score}" if self.score else ""
        return ", ".join(part for part in (data, self.date, score) if part)


def facts(version: ModelVersion) -> Facts:
    """Returns what the files of a version say about it."""
    metrics = _metrics(version)
    file = version.folder / EXTRAS / CONFIG_FILE
    data = metrics.get("data", "")
    if not data and file.is_file():
        try:
            data = str(RecipeConfig.from_yaml(file).get("data", ""))
        except UsageError:
            data = ""
    written = (version.folder / "saved_model.pb").stat().st_mtime
    return Facts(
        version.folder.parent.name,
        version.folder.name,
        str(metrics.get("recipe", "")),
        str(data),
        str(metrics.get("date") or time.strftime("%Y-%m-%d", time.localtime(written))),
        _score(metrics),
    )


def _score(metrics: dict[str, Any]) -> str:
    test = metrics.get("test")
    if not isinstance(test, dict):
        return ""
    numbers = {name: value for name, value in test.items() if isinstance(value, int | float)}
    name = metrics.get("objective")
    name = name if name in numbers else next(iter(numbers), None)
    return f"{name} {numbers[name]:.4f}" if name is not None else ""


def published_models(models: Path) -> list[Facts]:
    """Returns the facts of the latest version of each published model, sorted by name."""
    latest = [
        folders[max(folders)]
        for folder in subfolders(models)
        if not folder.name.startswith(".") and (folders := version_folders(folder))
    ]
    return [facts(ModelVersion(path)) for path in latest if (path / "saved_model.pb").is_file()]
