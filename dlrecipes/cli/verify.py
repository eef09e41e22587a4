"""`dlrecipes verify FOLDER...`: checks published versions again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dlrecipes.cli.options import models_dir
from dlrecipes.errors import UsageError


@click.command(
    name="verify", short_help="Check published versions again, including their checksums."
)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@models_dir
def command(folders: tuple[Path, ...], models_dir: Path) -> None:
    """Check the files of published versions, their checksums and their outputs.

    FOLDER is the folder of a version, of a model with its versions, or a model's name. A
    version is in order if no file was changed, removed or added, if SavedModel, LiteRT and
    ONNX files give the stored outputs, and if the .keras file has the SavedModel's weights.
    Any other SavedModel is accepted as well: without stored checksums and examples, it only
    has to load.

    \b
    Examples:
      dlrecipes verify saved_models/slot_filling/1
      dlrecipes verify saved_models/*
    """
    from dlrecipes.export.version_checks import check_versions, versions_in

    failures, versions = 0, []
    for folder in folders:
        try:
            named = models_dir / folder
            versions += versions_in(named if not folder.exists() and named.is_dir() else folder)
        except UsageError as error:
            if len(folders) == 1:
                raise
            # The other folders are checked as well.
            click.echo(f"Error: {error}", err=True)
            failures += 1
    for result in check_versions(versions):
        if result.error:
            click.echo(f"Error: {result.error}", err=True)
            failures += 1
            continue
        click.echo(f"{result.folder}: ok")
        for line in result.lines:
            click.echo(f"  {line}")
    if failures:
        sys.exit(1)
