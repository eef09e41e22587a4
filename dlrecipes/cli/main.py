"""The entry point: finds the verb, and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

import click

from dlrecipes import __version__
from dlrecipes._utils import terminal
from dlrecipes.errors import INTERRUPTED, RecipeError, nearest

VERBS = (
    "list",
    "info",
    "run",
    "evaluate",
    "predict",
    "tune",
    "export",
    "verify",
    "serve",
    "demo",
    "new",
    "copy",
    "validate",
)

EPILOG = """\b
Examples:
  dlrecipes list
  dlrecipes run slot_filling
  dlrecipes predict slot_filling "leave Beijing on November 2nd"
  dlrecipes serve
"""


class Verbs(click.Group):
    """Imports a verb's module when the verb is used, so that `--help` is quick."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Returns the verbs in the order in which they are used."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Returns the verb's command."""
        if name not in VERBS:
            return None
        return importlib.import_module(f"dlrecipes.cli.{name}").command

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """Finds the verb, or suggests the nearest one."""
        if args and self.get_command(context, args[0]) is None:
            hint = nearest(args[0], VERBS) or "'dlrecipes --help' shows them."
            raise click.UsageError(f"Unknown command {args[0]!r}. {hint}")
        return super().resolve_command(context, args)


@click.command(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dlrecipes")
def cli() -> None:
    """Deep-learning recipes: train, evaluate and publish with one command."""


def main(args: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 the work failed, 2 wrong use, 130 Ctrl-C."""
    terminal.open_closed_streams()
    terminal.escape_unprintable()
    try:
        code = cli.main(args=args, prog_name="dlrecipes", standalone_mode=False)
    except RecipeError as error:
        code = _fail(error.message, error.hint, error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        code = _fail(error.format_message(), "", 2, prefix="")
    except click.ClickException as error:
        code = _fail(error.format_message(), "", 2)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted.", "", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone; without this Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        # Errors of reading and writing an open file have no name.
        where = error.filename or "a file or the output"
        code = _fail(f"{where}: {error.strerror or error}.", "", 1)
    except Exception as error:
        if os.environ.get("DLRECIPES_TRACEBACK"):
            raise
        code = _fail_unexpectedly(error)
    with contextlib.suppress(OSError):
        terminal.note_escapes()
    sys.exit(code if isinstance(code, int) else 0)


def _fail_unexpectedly(error: Exception) -> int:
    from dlrecipes.recipe.registry import explain_own_code

    if (mistake := explain_own_code(error)) is not None:
        return _fail(mistake.message, mistake.hint, mistake.exit_code)
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("dlrecipes"):
        # A device that predicts has only the packages of the extra `lite`.
        return _fail(f"{error.name} is not installed.", "Type: pip install dlrecipes", 1)
    first = (str(error).strip().splitlines() or [""])[0][:300]
    return _fail(
        f"this is a fault of dlrecipes: {type(error).__name__}: {first}",
        "DLRECIPES_TRACEBACK=1 shows where.",
        1,
    )


def _fail(message: str, hint: str, code: int, prefix: str = "Error: ") -> int:
    # A full disk or a reader that is gone changes neither the exit code nor the reason.
    with contextlib.suppress(OSError):
        click.echo(f"{prefix}{message}", err=True)
        if hint:
            click.echo(f"  {hint}", err=True)
    return code
