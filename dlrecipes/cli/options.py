"""Options that verbs share, and the options that a recipe's settings become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlrecipes.errors import UsageError
from dlrecipes.export.version import version_folders
from dlrecipes.recipe import RecipeConfig
from dlrecipes.recipe.config import Setting, settings, spelled

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

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
host = click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all.")


def check_models(models: Path) -> None:
    """Refuses a folder of published models that is not there, before TensorFlow is loaded.

    Raises:
        UsageError: If it is not; what is no folder `served_models` refuses.
    """
    if not models.is_dir():
        raise UsageError(
            f"--models {models}: there is no such folder.",
            "Publish a model first: dlrecipes run RECIPE",
        )
    if any((path / "saved_model.pb").is_file() for path in version_folders(models).values()):
        raise UsageError(
            f"--models {models}: this is one model's folder.",
            f"Give the folder that holds it: --models {models.resolve().parent}",
        )


def published_recipe(
    recipe: str, models: Path, version: int | None, data: str | None = None
) -> tuple[Any, ModelVersion]:
    """Returns a recipe with the configuration of its published version, and the version.

    Args:
        recipe: As the user typed it: a name, or a folder.
        models: The folder of published models.
        version: Which version; `None` for the latest.
        data: Other data than the version's own.
    """
    from dlrecipes.export.version import find_version
    from dlrecipes.recipe.registry import find

    source = find(recipe)
    published = find_version(models, source.name, version, typed=recipe)
    config = source.config()
    values = config.from_yaml(published.config_file)
    if data is not None:
        values["data"] = data
    settings = config.parse(values, str(published.config_file)).located()
    return source.make(settings), published


def setting_options(config: type[RecipeConfig]) -> list[click.Option]:
    """Returns an option for each setting; values stay text, the configuration checks them."""
    return [_option(about) for about in settings(config)]


def _option(about: Setting) -> click.Option:
    details = f"[default: {spelled(about.default)}"
    if about.bounds:
        details += f"; {about.bounds}"
    return click.Option(
        [about.written.replace(" ", "")],
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
    """Returns the settings typed on the command line, with all that is no setting among them.

    Args:
        values: What click parsed; `None` where nothing was typed.
        unknown: What click did not know: `--name`, `--name=value`, values.
    """
    found = {name: value for name, value in values.items() if value is not None}
    words = list(unknown)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            found[word] = None
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and words and not words[0].startswith("--"):
            value = words.pop(0)
        found[name.replace("-", "_")] = value
    return found


class RecipeCommands(click.Group):
    """A verb whose sub-commands are the recipes, each with its own settings as options.

    Args:
        make: From a recipe's source to its command.
    """

    def __init__(self, *args: Any, make: Callable[[Any], click.Command], **attributes: Any):
        super().__init__(*args, subcommand_metavar="RECIPE|FOLDER [OPTIONS]", **attributes)
        self.make = make

    def list_commands(self, context: click.Context) -> list[str]:
        """Returns the recipes' names."""
        from dlrecipes.recipe.registry import sources

        return [source.name for source in sources()]

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """Returns the command of the recipe of that name or in that folder."""
        from dlrecipes.recipe.registry import find

        return self.make(find(name))
