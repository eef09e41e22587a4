"""Options that verbs share, and options from a recipe's settings."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlrecipes.errors import UsageError
from dlrecipes.export.version_folders import version_folders
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.options import Options, Setting, settings, spelled

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion


class NumberRange(click.FloatRange):
    """Numbers in a range; not-a-number, which is in no range, is refused as well."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Returns the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


# Before a setting whose name is an option of the command itself.
RECIPE_PREFIX = "--recipe-"
FOLDER = click.Path(path_type=Path, file_okay=False)

runs_dir = click.option(
    "--runs-dir", type=FOLDER, default="runs", show_default=True, help="Where runs are kept."
)
models_dir = click.option(
    "--models-dir",
    type=FOLDER,
    default="saved_models",
    show_default=True,
    help="Where models are published.",
)
model_version = click.option(
    "--model-version", type=click.IntRange(min=1), help="Which version; the latest by default."
)


served_models = click.option(
    "--models",
    "--models-dir",
    "models",
    type=FOLDER,
    default=Path("saved_models"),
    help="Folder of published models: NAME/VERSION/, each a SavedModel.",
)
# Settings of a recipe that a command takes without listing them: the recipe is an argument.
OPEN = {"ignore_unknown_options": True, "allow_extra_args": True}


host = click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all.")


def check_models(models: Path) -> None:
    """Checks the folder of published models before TensorFlow is loaded.

    Raises:
        UsageError: If the folder does not exist, or belongs to one model.
    """
    if not models.is_dir():
        raise UsageError(
            f"--models {models}: there is no such folder.",
            "Publish a model first: dlrecipes run RECIPE",
        )
    if any((path / "saved_model.pb").is_file() for path in version_folders(models).values()):
        raise UsageError(
            f"--models {models}: this is the folder of one model.",
            f"Give its parent: --models {models.resolve().parent}",
        )


def published_recipe(
    recipe: str,
    models: Path,
    version: int | None,
    data: str | None = None,
    reading: Mapping[str, Any] | None = None,
) -> tuple[Any, ModelVersion]:
    """Returns a recipe with the configuration of its published version, and the version.

    Args:
        recipe: Name or folder of a recipe or of a published model, as the user typed it.
        models: Folder of published models.
        version: Version number; `None` for the latest.
        data: Value of `--data`; `None` for the version's own data. Defaults to `None`.
        reading: Settings of the recipe that say how the data are read, as the user typed them.
            Defaults to none: the version's own.

    Raises:
        UsageError: If the model has no recipe, or a setting is unknown, wrong or without effect.
    """
    from dlrecipes.recipe.published import published_source

    source, published = published_source(recipe, models, version)
    if source is None:
        raise UsageError(
            f"{published.folder}: this model has no recipe, or one that is not known here.",
            "Name a model that 'dlrecipes list --published' shows with its recipe.",
        )
    config = source.config()
    reading = dict(reading or {})
    _check_reading(source.name, config, reading)
    values = config.from_yaml(published.config_file)
    values |= reading if data is None else {**reading, "data": data}
    where = source.name if reading else str(published.config_file)
    settings = config.parse(values, where).located()
    if reading:
        settings.check_effect(reading, source.name)
    return source.make(settings), published


def _check_reading(recipe: str, config: type[RecipeConfig], typed: Mapping[str, Any]) -> None:
    """Refuses settings that do not say how data are read: the model has its own."""
    known = config.data_options()
    wrong = [name for name in typed if name not in known]
    if not wrong:
        return
    options = ["--" + name.replace("_", "-") for name in (wrong[0], *known)]
    problem = f"{options[0]}: no such option."
    if wrong[0] in config.model_fields:
        why = config.unused_settings.get(wrong[0], "the model has its own")
        problem = f"{options[0]}: {why}."
    fits = f"{recipe} also takes {', '.join(options[1:])}." if known else ""
    raise UsageError(problem, f"{fits} See --help.".strip())


def setting_options(config: type[Options], reserved: Collection[str] = ()) -> list[click.Option]:
    """Returns an option for each setting; values stay text until they are validated.

    Args:
        config: Class of settings.
        reserved: Names of the command's own options. A setting of such a name, such as
            `objective`, is the option `--recipe-objective`. Defaults to none.
    """
    return [_option(about, about.name in reserved) for about in settings(config)]


def _option(about: Setting, is_reserved: bool) -> click.Option:
    details = f"[default: {spelled(about.default)}"
    if about.bounds:
        details += f"; {about.bounds}"
    written = about.written.replace(" ", "")
    return click.Option(
        [written.replace("--", RECIPE_PREFIX) if is_reserved else written],
        default=None,
        metavar=_metavar(about),
        help=f"{about.help} {details}]",
    )


def _metavar(about: Setting) -> str | None:
    if about.kind == "switch":
        return None
    if about.choices:
        return "|".join(about.choices) + (",..." if about.kind == "list" else "")
    return about.kind.upper()


def typed_settings(values: dict[str, Any], unknown: Iterable[str]) -> dict[str, Any]:
    """Returns the settings typed on the command line, including unknown ones.

    Args:
        values: Values that click parsed; `None` for options that were not typed.
        unknown: Arguments that click does not know: `--name`, `--name=value`, values.

    Raises:
        UsageError: If a value belongs to no name.
    """
    typed = {name: value for name, value in values.items() if value is not None}
    words, stray = list(unknown), []
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            stray.append(shlex.quote(word))
            continue
        if not word.startswith("--"):
            typed[word] = None
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and words and not words[0].startswith("--"):
            value = words.pop(0)
        typed[name.replace("-", "_")] = value
    if stray:
        raise UsageError(
            f"{' '.join(stray)}: not the value of an option.",
            "Settings are typed as --name value; a value with spaces needs quotes.",
        )
    return typed


class RecipeCommands(click.Group):
    """A verb whose sub-commands are the recipes, each with its own settings as options.

    Args:
        make: Function from a recipe's source to its command.
    """

    def __init__(self, *args: Any, make: Callable[[Any], click.Command], **attributes: Any):
        attributes["subcommand_metavar"] = "RECIPE|FOLDER [OPTIONS]"
        super().__init__(*args, **attributes)
        self.make = make

    def list_commands(self, context: click.Context) -> list[str]:
        """Returns the recipes' names."""
        from dlrecipes.recipe.registry import sources

        return [source.name for source in sources()]

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """Returns the command of the recipe of that name or in that folder."""
        from dlrecipes.recipe.registry import find

        return self.make(find(name))
