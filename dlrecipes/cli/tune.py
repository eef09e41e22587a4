"""`dlrecipes tune RECIPE`: search its hyperparameters."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from dlrecipes._utils.files import missing_folders, remove_folder, try_lock
from dlrecipes.cli.options import (
    FOLDER,
    NumberRange,
    RecipeCommands,
    models_dir,
    runs_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.errors import INTERRUPTED, UsageError
from dlrecipes.recipe import published, versions
from dlrecipes.recipe.registry import Source
from dlrecipes.tuning.conditions import searched

TUNERS = ("random", "bayesian", "hyperband", "grid")


@dataclass(frozen=True)
class Options:
    """Values of the command's own options; HELP and `make` explain them."""

    tuner: str
    trials: int
    time_limit: float | None
    objective: str | None
    max_epochs: int | None
    max_macs: float | None
    max_parameters: float | None
    workers: int
    threads: int | None
    name: str
    searches_dir: Path
    publish: bool
    runs_dir: Path
    models_dir: Path


RESERVED = tuple(field.name for field in fields(Options))

HELP = """Search the hyperparameters of RECIPE in the ranges that its settings declare.

Settings on the command line are fixed, the others are tuned. The same command, typed
again after Ctrl-C or a crash, resumes, even in the middle of a trial.

\b
Examples:
  dlrecipes tune slot_filling
  dlrecipes tune slot_filling --tuner bayesian --trials 30 --time-limit 60
  dlrecipes tune digit_recognition --network cnn --workers 2 --publish
  dlrecipes tune digit_recognition --max-macs 2e6
"""


def make(source: Source) -> click.Command:
    """Returns the command that searches one recipe's settings."""

    def callback(**values: Any) -> None:
        options = Options(**{name: values.pop(name) for name in RESERVED})
        named = {name.removeprefix("recipe_"): value for name, value in values.items()}
        _tune(source, typed_settings(named, click.get_current_context().args), options)

    own = [
        click.Option(
            ["--tuner"],
            type=click.Choice(TUNERS),
            default="random",
            show_default=True,
            help="Method that chooses the trials.",
        ),
        click.Option(
            ["--trials"],
            type=click.IntRange(1, 100_000),
            default=10,
            show_default=True,
            help="Maximum number of trials; hyperband chooses its own.",
        ),
        click.Option(
            ["--time-limit"],
            type=click.FloatRange(min=0, min_open=True),
            help="Time limit of the search, in minutes.",
        ),
        click.Option(
            ["--objective"],
            metavar="NAME[:min|:max]",
            help="Validation metric or logged value to optimize; by default the recipe's.",
        ),
        click.Option(
            ["--max-epochs"], type=click.IntRange(1, 100_000), help="Maximum epochs per trial."
        ),
        click.Option(
            ["--max-macs"],
            type=NumberRange(min=0, min_open=True),
            help="Largest number of multiply-accumulates; a larger network is not trained.",
        ),
        click.Option(
            ["--max-parameters"],
            type=NumberRange(min=0, min_open=True),
            help="Largest number of parameters; a larger network is not trained.",
        ),
        click.Option(
            ["--workers"],
            type=click.IntRange(1, 64),
            default=1,
            show_default=True,
            help="Trials that run at the same time; they divide the cores.",
        ),
        click.Option(["--threads"], type=click.IntRange(1, 1024), help="Threads per trial."),
        click.Option(["--name"], default="search", show_default=True, help="Name of the search."),
        click.Option(
            ["--searches-dir"],
            type=FOLDER,
            default="searches",
            show_default=True,
            help="Folder of all searches.",
        ),
        click.Option(
            ["--publish"], is_flag=True, help="Run and publish the best configuration at the end."
        ),
    ]
    command = click.Command(
        source.name,
        callback=callback,
        help=f"Search the hyperparameters of {source.name}: {source.summary}",
        short_help=source.summary,
        params=[*own, *setting_options(source.config(), RESERVED)],
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    return runs_dir(models_dir(command))


command = RecipeCommands(name="tune", help=HELP, make=make, no_args_is_help=True)


def _tune(source: Source, typed: dict[str, Any], options: Options) -> None:
    checked, fixed = _fixed_settings(source, typed, options)
    direction = _direction(options.objective) if options.objective else None

    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.tuning import report
    from dlrecipes.tuning.search import search
    from dlrecipes.tuning.spec import SearchSpec, open_folder
    from dlrecipes.tuning.trial import UnknownMetric

    limits = {"macs": options.max_macs, "parameters": options.max_parameters}
    spec = SearchSpec(
        source.argument,
        source.config(),
        fixed,
        options.tuner,
        options.trials,
        direction or source.recipe().objective,
        options.max_epochs,
        None if options.time_limit is None else 60 * options.time_limit,
        options.threads,
        options.workers,
        checked.seed,
        {name: limit for name, limit in limits.items() if limit is not None},
    )
    folder = options.searches_dir / source.name / options.name
    made = missing_folders(folder.parent)
    if checked.data != "builtin" and not folder.exists():
        # Data that cannot be read would fail every trial.
        source.make(checked).load_data()
    new = open_folder(folder, spec)
    click.echo(f"{source.name}: searching for {' '.join(spec.objective)} in {folder}")
    seen: set[str] = set()

    def on_update(oracle: Any) -> None:
        trials = report.rows(spec, oracle, folder)
        report.write(spec, trials, folder)
        for row in trials:
            if row.state != "running" and row.name not in seen:
                seen.add(row.name)
                _print(spec, row)

    try:
        with try_lock(folder) as alone:
            if not alone and not os.environ.get("KERASTUNER_TUNER_ID"):
                raise UsageError(f"{folder}: in use by another process.", "Wait for it to end.")
            oracle = search(spec, folder, on_update)
    except UnknownMetric:
        if new:  # The corrected command starts a new search.
            remove_folder(folder, made)
        raise
    except KeyboardInterrupt:
        click.echo("\nInterrupted. The same command resumes the search.", err=True)
        sys.exit(INTERRUPTED)
    if oracle is None:
        click.echo(f"{source.name}: this worker is done; the chief has the table.")
        return
    _report(source, spec, oracle, folder)
    if options.publish:
        _publish(source, folder / report.BEST_FILE, options.runs_dir, options.models_dir)


def _fixed_settings(
    source: Source, typed: dict[str, Any], options: Options
) -> tuple[Any, dict[str, Any]]:
    """Returns the settings of all trials, and those that the search keeps, after all checks."""
    config = source.config()
    if options.max_epochs is not None and "epochs" in typed:
        raise UsageError("--epochs and --max-epochs are the same here.", "Give one of them.")
    _check_options(options.tuner, options.publish, "start" in typed)
    checked = config.parse(typed, source.name).located()
    checked.check_effect(typed, source.name)
    checked = versions.located(checked, options.models_dir, source.name)
    if options.publish:
        published.check_name(options.models_dir, source.name, checked)
    values = checked.model_dump(mode="json")
    fixed = {key: values[key] for key in sorted({*typed, "data"})}
    name = options.name
    if not name.strip() or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--name {name!r}: expected the name of a folder, without slashes.")
    space = config.search_space()
    if not searched(config, fixed, {key: space[key] for key in space.keys() - fixed.keys()}):
        raise UsageError(
            f"{source.name}: nothing is left to tune.",
            "Fix fewer settings" + ("." if space else ", or declare ranges."),
        )
    return checked, fixed


def _report(source: Source, spec: Any, oracle: Any, folder: Path) -> None:
    """Writes and prints the results of a search, and ends the command if no trial succeeded."""
    from dlrecipes.tuning import report

    rows = report.rows(spec, oracle, folder)
    report.write(spec, rows, folder)
    report.write_front(spec, rows, folder, source.argument)
    report.draw(spec, rows, folder / "figures")
    click.echo(report.summary(spec, rows, folder, source.argument))
    if report.best(spec, rows) is None:
        sys.exit(1)


def _check_options(tuner: str, publish: bool, reads_models: bool) -> None:
    """Refuses options that the others leave without effect."""
    context = click.get_current_context()
    given = {
        name
        for name in ("trials", "runs_dir", "models_dir")
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
    }
    if tuner == "hyperband" and "trials" in given:
        raise UsageError(
            "--trials has no effect: --tuner hyperband chooses the number of trials.",
            "Leave it out, or give --max-epochs or --time-limit.",
        )
    for name in ("runs_dir", "models_dir"):
        if name in given and not publish and not (name == "models_dir" and reads_models):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} has no effect without --publish: trials are kept in --searches-dir.",
                f"Add --publish, or leave {option} out.",
            )


def _print(spec: Any, row: Any) -> None:
    outcome = row.problem if row.score is None else f"{spec.objective[0]} {row.score:.5g}"
    click.echo(f"  trial {row.name}: {outcome}")


def _direction(objective: str) -> tuple[str, str]:
    name, _, direction = objective.partition(":")
    if not name or direction not in ("", "min", "max"):
        raise UsageError(
            f"--objective {objective}: expected NAME, NAME:min or NAME:max.",
            "Such as val_loss:min.",
        )
    # Errors and losses are minimized; everything else is maximized by default.
    small = ("loss", "error", "perplexity", "eer", "fid", "l1", "bits")
    minimized = any(name == x or name.endswith((f"_{x}", f".{x}")) for x in small)
    return name, direction or ("min" if minimized else "max")


def _publish(source: Source, best: Path, runs_dir: Path, models_dir: Path) -> None:
    from dlrecipes.cli.run import summary
    from dlrecipes.runner.launch import Launch, launch

    click.echo("\nThe best settings:")
    options = Launch(runs_dir=runs_dir, models_dir=models_dir, say=click.echo)
    result = launch(source, {}, best, options)
    if result is not None:
        click.echo(summary(source, result))
