"""`dlrecipes export RECIPE`: adds formats to a published version."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.options import (
    OPEN,
    model_version,
    models_dir,
    published_recipe,
    typed_settings,
)
from dlrecipes.errors import UsageError

QUANTIZE = ("none", "float16", "dynamic", "int8")


@click.command(
    name="export",
    short_help="Add formats to a version: smaller files, or ONNX.",
    context_settings=OPEN,
)
@click.argument("recipe")
@click.option(
    "--quantize",
    multiple=True,
    type=click.Choice(QUANTIZE),
    help="Smaller format of model.tflite to add; may be repeated. none leaves them out.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["onnx"]),
    help="Format to add: onnx writes the function of model.tflite as model.onnx.",
)
@click.option("--no-litert", is_flag=True, help="Leave out all LiteRT files.")
@click.option("--data", help="Data, if it was moved since the version was published.")
@model_version
@models_dir
def command(
    recipe: str,
    quantize: tuple[str, ...],
    formats: tuple[str, ...],
    no_litert: bool,
    data: str | None,
    model_version: int | None,
    models_dir: Path,
) -> None:
    """Add formats to a published version of RECIPE, as the next version.

    RECIPE is a name, or your own folder. All other files of the version stay as they are;
    where the disk allows it, they are not even copied. New files are compared with the model.
    The size, latency and test metric of smaller LiteRT files are measured on the recipe's
    data; a file whose metric decreases more than the recipe allows is left out, with a note.
    The settings of 'dlrecipes run RECIPE' that say how data are read, such as --data-dir, are
    options as well.

    \b
    Examples:
      dlrecipes export slot_filling --quantize float16 --quantize dynamic
      dlrecipes export digit_recognition --quantize none
      dlrecipes export digit_recognition --format onnx
      dlrecipes export digit_recognition --no-litert
    """
    _check(quantize, formats, no_litert)
    reading = typed_settings({}, click.get_current_context().args)
    smaller = None if not quantize else [kind for kind in dict.fromkeys(quantize) if kind != "none"]
    from dlrecipes.export import change as changes
    from dlrecipes.recipe.published import published_source

    version = published_source(recipe, models_dir, model_version)[1]
    change = changes.plan(version.folder, smaller, "onnx" in formats, not no_litert)
    task: Any = None
    if reading or change.needs_model(version.folder):
        task = published_recipe(recipe, models_dir, model_version, data, reading)[0]
    if change.needs_model(version.folder):
        split = " and the training split, which calibrates int8" if "int8" in change.add else ""
        click.echo(f"Reading the data ({task.config.data}): the test split{split}.")

    def load() -> Any:
        from dlrecipes import runner

        return runner.load_exports(task, version)

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    folder = changes.apply(version.folder, change, load)
    click.echo(f"Published  {folder}  (from {version.folder}; new files match the model)")
    _print_files(folder)


def _check(quantize: tuple[str, ...], formats: tuple[str, ...], no_litert: bool) -> None:
    """Refuses options that contradict one another, or need a package that is missing."""
    if "none" in quantize and len(quantize) > 1:
        raise UsageError(
            "--quantize none cannot be combined with other formats.", "Leave one of them out."
        )
    if no_litert and set(quantize) - {"none"}:
        raise UsageError(
            f"--no-litert cannot be combined with --quantize {quantize[0]}.",
            "Leave one of them out.",
        )
    if formats and importlib.util.find_spec("tf2onnx") is None:
        raise UsageError(
            "ONNX files require the package tf2onnx.", "Install it: pip install 'dlrecipes[onnx]'"
        )


def _print_files(folder: Path) -> None:
    """Prints sizes and measurements of a version's LiteRT and ONNX files."""
    from dlrecipes.export.change import measurements
    from dlrecipes.export.version import ONNX_FILE

    for name, row in measurements(folder).items():
        others = {key: value for key, value in row.items() if not isinstance(value, str)}
        sizes = f"{others.pop('bytes'):>12,} bytes, {others.pop('gzip_bytes'):,} compressed"
        listed = ", ".join(f"{key} {value:.4g}" for key, value in others.items())
        click.echo(f"  {name:<22} {sizes}, {listed}")
    if (folder / ONNX_FILE).is_file():
        click.echo(f"  {ONNX_FILE:<22} {(folder / ONNX_FILE).stat().st_size:>12,} bytes")
