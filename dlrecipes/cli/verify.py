"""`dlrecipes verify FOLDER...`: checks published versions again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dlrecipes.errors import PublishError, UsageError


@click.command(
    name="verify", short_help="Check published versions again, including their checksums."
)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(folders: tuple[Path, ...]) -> None:
    """Check the checksums of published versions and the outputs of their files.

    FOLDER is the folder of a version, or of a model with its versions. Any other SavedModel
    is accepted as well: without stored checksums and examples, it only has to load.

    \b
    Examples:
      dlrecipes verify saved_models/slot_filling/1
      dlrecipes verify saved_models/*
    """
    for folder in folders:
        if not folder.is_dir():
            problem = "this is not a folder" if folder.exists() else "there is no such folder"
            raise UsageError(f"{folder}: {problem}.", "Name the folder of a version or of a model.")

    from dlrecipes._utils.quiet import load_tensorflow, suppress_stderr

    load_tensorflow()
    from dlrecipes.export import verification

    failures = 0
    for folder in folders:
        for version in verification.found_in(folder):
            try:
                with suppress_stderr():
                    lines = list(verification.check(version))
            except PublishError as error:
                # The other versions are checked as well.
                click.echo(f"Error: {error}", err=True)
                failures += 1
                continue
            click.echo(f"{version}: ok")
            for line in lines:
                click.echo(f"  {line}")
    if failures:
        sys.exit(1)
