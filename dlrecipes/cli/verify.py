"""`dlrecipes verify FOLDER...`: whether published versions are still what they were."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dlrecipes.errors import PublishError, UsageError


@click.command(name="verify", short_help="Check published versions again, checksums included.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(folders: tuple[Path, ...]) -> None:
    """Check published versions: checksums, and what SavedModel and LiteRT answer.

    FOLDER is a version's, or a model's with its versions. A SavedModel of anyone's will
    do; of one that kept no checksums and examples, it is checked that it loads.

    \b
    Examples:
      dlrecipes verify saved_models/slot_filling/1
      dlrecipes verify saved_models/*
    """
    for folder in folders:
        if not folder.is_dir():
            said = "this is no folder" if folder.exists() else "there is no such folder"
            raise UsageError(f"{folder}: {said}.", "Name a version's folder, or a model's.")

    from dlrecipes._utils.quiet import load_tensorflow, suppress_stderr

    load_tensorflow()
    from dlrecipes.export import verification

    wrong = 0
    for folder in folders:
        for version in verification.found_in(folder):
            try:
                with suppress_stderr():
                    lines = list(verification.check(version))
            except PublishError as error:
                # The others are looked at, too.
                click.echo(f"Error: {error}", err=True)
                wrong += 1
                continue
            click.echo(f"{version}: in order")
            for line in lines:
                click.echo(f"  {line}")
    if wrong:
        sys.exit(1)
