"""`dlrecipes tune RECIPE`: search its hyperparameters."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from dlrecipes._utils.files import try_lock
from dlrecipes.cli.options import (
    FOLDER,
    RecipeCommands,
    models_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.errors import INTERRUPTED, UsageError
from dlrecipes.recipe.registry import Source

TUNERS = ("random", "bayesian", "hyperband", "grid")
RESERVED = (
    "tuner",
    "trials",
    "time_limit",
    "objective",
    "max_epochs",
    "workers",
    "threads",
    "name",
    "searches_dir",
    "publish",
    "models_dir",
)

HELP = """Search the hyperparameters of RECIPE in the ranges that its settings declare.

Settings that are given are fixed, the others are looked for. The same command, typed
again after Ctrl-C or a crash, goes on with the trials it had.

\b
Examples:
  dlrecipes tune slot_filling
  dlrecipes tune slot_filling --tuner bayesian --trials 30 --time-limit 60
  dlrecipes tune digit_recognition --network cnn --workers 2 --publish
"""


def make(source: Source) -> click.Command:
    """Returns the command that searches one recipe's settings."""

    def callback(**values: Any) -> None:
        own = {name: values.pop(name) for name in RESERVED}
        _tune(source, typed_settings(values, click.get_current_context().args), **own)

    own = [
        click.Option(
            ["--tuner"],
            type=click.Choice(TUNERS),
            default="random",
            show_default=True,
            help="How trials are chosen.",
        ),
        click.Option(
            ["--trials"],
            type=click.IntRange(1, 100_000),
            default=10,
            show_default=True,
            help="How many, at most; hyperband makes its own number.",
        ),
        click.Option(
            ["--time-limit"],
            type=click.FloatRange(min=0, min_open=True),
            help="Minutes that the search may take.",
        ),
        click.Option(
            ["--objective"],
            metavar="NAME[:min|:max]",
            help="A validation metric, or a logged value; the recipe's by default.",
        ),
        click.Option(
            ["--max-epochs"], type=click.IntRange(1, 100_000), help="Epochs of a trial, at most."
        ),
        click.Option(
            ["--workers"],
            type=click.IntRange(1, 64),
            default=1,
            show_default=True,
            help="Trials at a time, each with its share of the cores.",
        ),
        click.Option(
            ["--threads"], type=click.IntRange(1, 1024), help="Threads a trial computes with."
        ),
        click.Option(["--name"], default="search", show_default=True, help="The search's name."),
        click.Option(
            ["--searches-dir"],
            type=FOLDER,
            default="searches",
            show_default=True,
            help="Where searches are kept.",
        ),
        click.Option(
            ["--publish"], is_flag=True, help="Run the best configuration at the end, and publish."
        ),
    ]
    command = click.Command(
        source.name,
        callback=callback,
        help=f"Search the hyperparameters of {source.name}: {source.summary}",
        short_help=source.summary,
        params=[*own, *setting_options(source.config())],
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    return models_dir(command)


command = RecipeCommands(name="tune", help=HELP, make=make, no_args_is_help=True)


def _tune(
    source: Source,
    typed: dict[str, Any],
    tuner: str,
    trials: int,
    time_limit: float | None,
    objective: str | None,
    max_epochs: int | None,
    workers: int,
    threads: int | None,
    name: str,
    searches_dir: Path,
    publish: bool,
    models_dir: Path,
) -> None:
    config = source.config()
    if max_epochs is not None and "epochs" in typed:
        raise UsageError("--epochs and --max-epochs are the same here.", "Give one of them.")
    checked = config.parse(typed, source.name).located()
    fixed = {key: checked.model_dump(mode="json")[key] for key in {*typed, "data"}}
    if not name.strip() or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--name {name!r}: a folder's name is wanted, without slashes.")
    if not config.search_space().keys() - fixed.keys():
        raise UsageError(
            f"{source.name}: nothing is left to search for.",
            "Fix fewer settings" + ("." if config.search_space() else ", or declare ranges."),
        )
    direction = _direction(objective) if objective else None

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.tuning import report
    from dlrecipes.tuning.search import search
    from dlrecipes.tuning.spec import SearchSpec, open_folder
    from dlrecipes.tuning.trial import UnknownObjective

    spec = SearchSpec(
        source.argument,
        config,
        dict(sorted(fixed.items())),
        tuner,
        trials,
        direction or source.recipe().objective,
        max_epochs,
        None if time_limit is None else 60 * time_limit,
        threads,
        workers,
        checked.seed,
    )
    folder = searches_dir / source.name / name
    new = open_folder(folder, spec)
    click.echo(f"{source.name}: searching for {' '.join(spec.objective)} in {folder}")
    seen: set[str] = set()

    def on_update(oracle: Any) -> None:
        found = report.rows(spec, oracle, folder)
        report.write(spec, found, folder)
        for row in found:
            if row.state in ("done", "failed") and row.name not in seen:
                seen.add(row.name)
                _tell(spec, row)

    try:
        with try_lock(folder) as alone:
            if not alone and not os.environ.get("KERASTUNER_TUNER_ID"):
                raise UsageError(f"{folder}: in use by another process.", "Wait for it to end.")
            oracle = search(spec, folder, on_update)
    except UnknownObjective:
        if new:  # The command that names it rightly begins anew.
            shutil.rmtree(folder)
        raise
    except KeyboardInterrupt:
        click.echo("\nInterrupted. The same command goes on with it.", err=True)
        sys.exit(INTERRUPTED)
    if oracle is None:
        click.echo(f"{source.name}: this worker has done its part; the chief has the table.")
        return
    found = report.rows(spec, oracle, folder)
    report.write(spec, found, folder)
    report.draw(spec, found, folder / "figures")
    click.echo(report.summary(spec, found, folder, source.argument))
    if report.best(spec, found) is None:
        sys.exit(1)
    if publish:
        _publish(source, folder / report.BEST_FILE, models_dir)


def _tell(spec: Any, row: Any) -> None:
    said = row.problem if row.score is None else f"{spec.objective[0]} {row.score:.5g}"
    click.echo(f"  trial {row.name}: {said}")


def _direction(objective: str) -> tuple[str, str]:
    name, _, direction = objective.partition(":")
    if not name or direction not in ("", "min", "max"):
        raise UsageError(
            f"--objective {objective}: this is not NAME, NAME:min or NAME:max.",
            "Such is val_loss:min.",
        )
    # What is an error is to be small; all else, if nothing is said, large.
    small = ("loss", "error", "perplexity", "eer", "fid", "l1", "bits")
    least = any(name == one or name.endswith((f"_{one}", f".{one}")) for one in small)
    return name, direction or ("min" if least else "max")


def _publish(source: Source, best: Path, models_dir: Path) -> None:
    from dlrecipes.cli.run import summary
    from dlrecipes.runner.launch import Launch, launch

    click.echo("\nThe best settings:")
    result = launch(source, {}, best, Launch(models_dir=models_dir, say=click.echo))
    if result is not None:
        click.echo(summary(source, result))
