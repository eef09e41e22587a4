"""`dlrecipes run RECIPE`: train, evaluate and publish."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.options import (
    RecipeCommands,
    given,
    models_dir,
    runs_dir,
    setting_options,
)
from dlrecipes.errors import INTERRUPTED, DataError, RecipeError, UsageError
from dlrecipes.registry import BUILT_IN, Source

RESERVED = ("config_file", "name", "resume", "runs_dir", "models_dir")

HELP = """Train RECIPE (a name, or a folder of your own), evaluate it and publish it.

'dlrecipes run RECIPE --help' shows its settings. Ctrl-C or a crash loses at most
the current epoch: --resume goes on, and ends where the run would have ended.

\b
Examples:
  dlrecipes run slot_filling
  dlrecipes run slot_filling --data my_sentences --cell gru --depth 2
  dlrecipes run slot_filling --config best.yaml --name best
  dlrecipes run slot_filling --resume
"""


def make(source: Source) -> click.Command:
    """Returns the command that runs one recipe."""

    def callback(**values: Any) -> None:
        own = {name: values.pop(name) for name in RESERVED}
        _run(source, given(values, click.get_current_context().args), **own)

    own = [
        click.Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="YAML file of settings; options on the command line go before it.",
        ),
        click.Option(["--name"], help="The run's name; the time by default."),
        click.Option(["--resume"], is_flag=True, help="Go on with the run that was killed."),
    ]
    command = click.Command(
        source.name,
        callback=callback,
        help=source.summary,
        short_help=source.summary,
        params=[*setting_options(source.config()), *own],
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    return runs_dir(models_dir(command))


command = RecipeCommands(name="run", help=HELP, make=make, no_args_is_help=True)


def _run(
    source: Source,
    typed: dict[str, Any],
    config_file: Path | None,
    name: str | None,
    resume: bool,
    runs_dir: Path,
    models_dir: Path,
) -> None:
    from dlrecipes import runs as folders

    config = source.config()
    runs = runs_dir / source.name
    if resume:
        settings, folder = _resumed(config, runs, name, typed, config_file)
    else:
        stored = config.from_yaml(config_file) if config_file else {}
        where = f"{source.name}, {config_file}" if config_file else source.name
        settings = config.parse({**stored, **typed}, where).located()
        folders.check_new(runs, name)
        folder = None

    from dlrecipes.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes import runner

    recipe = source.recipe()(settings, source.name)
    folder = folder or folders.new_folder(runs, name)
    click.echo(f"{source.name}: {'resuming' if resume else 'run'} {folder}")
    try:
        result = runner.run(recipe, folder, models_dir)
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted. Go on with:\n  dlrecipes run {_typed(source)} --resume "
            f"--name {shlex.quote(folder.name)}"
            + _unless_default("--runs-dir", runs_dir, "runs")
            + _unless_default("--models-dir", models_dir, "saved_models"),
            err=True,
        )
        sys.exit(INTERRUPTED)
    except RecipeError as error:
        click.echo()  # Keras' progress bar leaves the cursor in its line.
        if not resume and isinstance(error, DataError | UsageError):
            # Nothing was trained: there is no run that --resume could go on with.
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except OSError as error:
        raise runner.kept(error, folder) from error
    click.echo(closing(source, result))


def _resumed(config, runs: Path, name: str | None, typed: dict, config_file: Path | None):
    from dlrecipes.published import CONFIG_FILE
    from dlrecipes.runs import unfinished_folder

    if typed or config_file:
        extra = ", ".join(f"--{n.replace('_', '-')}" for n in typed) or "--config"
        raise UsageError(
            "--resume goes on with the run's own settings.", f"Leave out {extra}, or --resume."
        )
    folder = unfinished_folder(runs, name)
    stored = folder / CONFIG_FILE
    return config.parse(config.from_yaml(stored), str(stored)), folder


def _typed(source: Source) -> str:
    built_in = source.package.startswith(f"{BUILT_IN}.")
    return source.name if built_in else shlex.quote(str(source.folder))


def _unless_default(option: str, folder: Path, default: str) -> str:
    return "" if folder == Path(default) else f" {option} {shlex.quote(str(folder))}"


def closing(source: Source, result: Any) -> str:
    """Returns the closing table and what to type next."""
    metrics = result.metrics
    test, validation = metrics["test"], metrics["validation"]
    names = [name for name, value in test.items() if isinstance(value, int | float)]
    width = max((len(name) for name in names), default=0)
    lines = [f"\n  {'':<{width}}  validation    test"]
    for name in names:
        before = f"{validation[name]:10.4f}" if name in validation else f"{'':10}"
        lines.append(f"  {name:<{width}}  {before}  {test[name]:6.4f}")
    seconds = metrics["seconds"]
    lines += [
        f"\nEpoch {metrics['best_epoch']} of {metrics['epochs']} was kept; "
        f"training took {seconds['train']:.0f} s, everything {seconds['total']:.0f} s.",
        f"Published  {result.published}  (SavedModel, model.tflite and model.keras agree)",
        f"Figures    {result.folder / 'figures'}",
        "\nNext:",
    ]
    place = _unless_default("--models-dir", result.published.parent.parent, "saved_models")
    recipe = _typed(source)
    lines += [f"  dlrecipes predict {recipe} {_quoted(text)}{place}" for text in result.examples]
    lines += [f"  dlrecipes evaluate {recipe} --data FOLDER{place}"]
    if recipe == source.name:
        lines += [f"  dlrecipes copy {recipe} my_{recipe}     # to change it"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # Double quotes where they do, for they are the ones that every shell has.
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
