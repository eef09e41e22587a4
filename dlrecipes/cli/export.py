"""`dlrecipes export RECIPE`: publishes a version again in other formats."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dlrecipes.cli.options import model_version, models_dir, published_recipe
from dlrecipes.errors import UsageError

QUANTIZE = ("none", "float16", "dynamic", "int8")


@click.command(name="export", short_help="Publish a version again: smaller, or as ONNX.")
@click.argument("recipe")
@click.option(
    "--quantize",
    multiple=True,
    type=click.Choice(QUANTIZE),
    help="Smaller format of model.tflite; may be repeated. Defaults to the recipe's formats.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["onnx"]),
    help="Additional format: onnx writes the function of model.tflite as model.onnx.",
)
@click.option("--no-litert", is_flag=True, help="Publish without LiteRT files.")
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
    """Publish the model of RECIPE (a name, or your own folder) as a new version.

    A fresh process loads each file and compares it with the model. The size, latency and
    test metric of smaller LiteRT files are measured; a file whose metric decreases more
    than the recipe allows is left out, with a note.

    \b
    Examples:
      dlrecipes export slot_filling --quantize float16 --quantize dynamic
      dlrecipes export digit_recognition --quantize none
      dlrecipes export digit_recognition --format onnx
      dlrecipes export digit_recognition --no-litert
    """
    if "none" in quantize and len(quantize) > 1:
        raise UsageError(
            "--quantize none cannot be combined with other formats.", "Leave one of them out."
        )
    if no_litert and set(quantize) - {"none"}:
        raise UsageError(
            f"--no-litert cannot be combined with --quantize {quantize[0]}.",
            "Leave one of them out.",
        )
    smaller = None if not quantize else [kind for kind in dict.fromkeys(quantize) if kind != "none"]
    task, version = published_recipe(recipe, models_dir, model_version, data)
    from dlrecipes import runner
    from dlrecipes.export import onnx
    from dlrecipes.export.version import EXTRAS, LITERT_FORMATS_FILE, ONNX_FILE

    if "onnx" in formats:
        onnx.check_installed()
    folder = runner.export(task, version, models_dir, smaller, "onnx" in formats, not no_litert)
    click.echo(f"Published  {folder}  (from {version.folder}; all files match the model)")
    measured = folder / EXTRAS / LITERT_FORMATS_FILE
    if measured.is_file():
        for name, row in json.loads(measured.read_text(encoding="utf-8")).items():
            sizes = f"{row.pop('bytes'):>12,} bytes, {row.pop('gzip_bytes'):,} compressed"
            del row["format"]
            listed = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
            click.echo(f"  {name:<22} {sizes}, {listed}")
    if (folder / ONNX_FILE).is_file():
        click.echo(f"  {ONNX_FILE:<22} {(folder / ONNX_FILE).stat().st_size:>12,} bytes")
