"""`dlrecipes run RECIPE`: train, evaluate and publish."""

from __future__ import annotations

import itertools
import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlrecipes._utils.file_names import shorter_path
from dlrecipes._utils.terminal import json_text
from dlrecipes.cli.options import (
    RecipeCommands,
    models_dir,
    runs_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.distribute import STRATEGIES
from dlrecipes.errors import INTERRUPTED, UsageError
from dlrecipes.recipe.example_files import FOLDER, StandardInput
from dlrecipes.recipe.registry import Source
from dlrecipes.runner.extension import EXTENDABLE
from dlrecipes.runner.model_card import flatten_metrics

if TYPE_CHECKING:
    from dlrecipes.runner.run import Result

RESERVED = (
    *("config_file", "name", "resume", "strategy", "runs_dir", "models_dir", "check", "as_json"),
)

# Characters per line of sentences in the closing table.
WIDTH = 88

HELP = """Train RECIPE (a name, or a folder of your own), evaluate it and publish it.

'dlrecipes run RECIPE --help' shows its settings. Ctrl-C or a crash loses at most
the current epoch: --resume continues, and ends with the same weights.

\b
Examples:
  dlrecipes run slot_filling
  dlrecipes run slot_filling --data my_sentences --check
  dlrecipes run slot_filling --data my_sentences --cell gru --depth 2
  dlrecipes run slot_filling --config best.yaml --name best
  dlrecipes run slot_filling --resume
  dlrecipes run slot_filling --resume --name best --epochs 30

\b
On several workers, type the same command on each, with its own TF_CONFIG. The same
command, typed again, resumes:
  dlrecipes run slot_filling --strategy multi_worker --name monday
"""


def make(source: Source) -> click.Command:
    """Returns the command that runs one recipe."""

    def callback(**values: Any) -> None:
        own = {name: values.pop(name) for name in RESERVED}
        settings = typed_settings(values, click.get_current_context().args)
        is_check, as_json = own.pop("check"), own.pop("as_json")
        if as_json and not is_check:
            raise UsageError("--json is for --check.", "Add --check, or leave --json out.")
        if is_check:
            _check(source, settings, as_json, **own)
        else:
            _run(source, settings, **own)

    listed = source.config().listed()
    extending = " or ".join(f"--{name}" for name in EXTENDABLE if name in listed)
    own = [
        click.Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="YAML file of settings; options on the command line take precedence.",
        ),
        click.Option(["--name"], help="Name of the run; the current time by default."),
        click.Option(
            ["--resume"],
            # Takes a value only to say where it belongs.
            is_flag=False,
            flag_value="",
            metavar="",
            callback=_without_value,
            help=f"Resume an unfinished run; with {extending} also a finished one.",
        ),
        click.Option(
            ["--strategy"],
            type=click.Choice(STRATEGIES),
            default="none",
            show_default=True,
            help="Train on one device, on all of this machine, or with the workers in TF_CONFIG.",
        ),
        click.Option(
            ["--check"],
            is_flag=True,
            help="Read all data once and report its classes, sizes and problems; train nothing.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="With --check: print JSON."),
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


def _without_value(context: click.Context, option: click.Option, value: str | None) -> bool:
    """Returns whether `--resume` was typed; refuses a value, such as the run's name or folder."""
    if value:
        folder = Path(value)
        is_path = len(folder.parts) > 1
        runs = _unless_default("--runs-dir", folder.parent.parent, "runs") if is_path else ""
        raise UsageError(
            f"--resume {shlex.quote(value)}: --resume takes no value.",
            f"Type --resume --name {shlex.quote(folder.name)}{runs}",
        )
    return value is not None


command = RecipeCommands(name="run", help=HELP, make=make, no_args_is_help=True)


def _run(source: Source, settings: dict[str, Any], config_file: Path | None, **own: Any) -> None:
    from dlrecipes.runner.launch import Interrupted, Launch, launch

    options = Launch(**own, say=click.echo)
    try:
        result = launch(source, settings, config_file, options)
    except Interrupted as interruption:
        click.echo(
            f"\nInterrupted. Resume with:\n  dlrecipes run {_recipe_argument(source)} "
            + options.resume_options(interruption.folder),
            err=True,
        )
        sys.exit(INTERRUPTED)
    if result is not None:
        click.echo(summary(source, result))


def _check(
    source: Source,
    settings: dict[str, Any],
    as_json: bool,
    config_file: Path | None,
    name: str | None,
    resume: bool,
    strategy: str,
    runs_dir: Path,
    models_dir: Path,
) -> None:
    from dlrecipes.runner.check import REPORT, check

    for option, is_given in (("--resume", resume), (f"--strategy {strategy}", strategy != "none")):
        if is_given:
            raise UsageError(
                f"--check trains nothing, but {option} is for training.", "Leave one of them out."
            )
    report, folder = check(source, settings, config_file, name, runs_dir)
    click.echo(json_text(report.to_dict(), indent=2) if as_json else report)
    if not as_json and folder is not None:
        for figure in report.figures:
            click.echo(f"Sheet   {folder / figure}.png")
        click.echo(f"Report  {folder / REPORT}")
    if not report.usable:
        sys.exit(1)


def summary(source: Source, result: Result) -> str:
    """Returns the closing table and the commands to type next."""
    metrics = result.metrics
    test, validation = (
        flatten_metrics(metrics[part], result.metric_groups) for part in ("test", "validation")
    )
    width = max((len(name) for name in test), default=0)
    lines = [f"\n  {'':<{width}}  validation    test"]
    for name, value in test.items():
        before = f"{validation[name]:10.4f}" if name in validation else f"{'':10}"
        lines.append(f"  {name:<{width}}  {before}  {value:6.4f}")
    if metrics.get("test_set"):
        lines.append("\n" + textwrap.fill(metrics["test_set"], WIDTH))
    seconds, kept = metrics["seconds"], result.folder / FOLDER
    lines += [
        f"\nKept epoch {metrics['best_epoch']} of {metrics['epochs']}; "
        f"training took {seconds['train']:.0f} s, everything {seconds['total']:.0f} s.",
        f"Published  {result.version.folder}  (SavedModel, model.tflite and model.keras agree)",
        f"Figures    {result.folder / 'figures'}",
        *([f"Examples   {shorter_path(kept)}"] if kept.is_dir() else []),
        "\nNext:",
    ]
    models = _unless_default("--models-dir", result.version.folder.parent.parent, "saved_models")
    recipe = _recipe_argument(source)
    name = result.version.folder.parent.name
    model = recipe if name == source.name else shlex.quote(name)
    for example in result.examples:
        words = " ".join(_argument(part) for part in example)
        lines.append(f"  dlrecipes predict {model} {words}{models}")
    lines += [f"  dlrecipes evaluate {model}{models}"]
    if recipe == source.name:
        lines += [f"  dlrecipes copy {recipe} {_free(f'my_{recipe}')}     # to change it"]
    return "\n".join(lines)


def _recipe_argument(source: Source) -> str:
    return shlex.quote(source.argument)


def _unless_default(option: str, folder: Path, default: str) -> str:
    return "" if folder == Path(default) else f" {option} {shlex.quote(str(folder))}"


def _free(name: str) -> str:
    """Returns the name of a folder that does not exist yet."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(path for path in (name, *itertools.islice(numbered, 99)) if not Path(path).exists())


def _argument(part: str | Path | StandardInput) -> str:
    """Returns an argument as it is typed; paths are relative where that is shorter."""
    if isinstance(part, StandardInput):
        return f"- < {_quoted(shorter_path(part.path))}"
    if isinstance(part, str):
        # Options and numbers need no quotes.
        return part if part.startswith("--") or part.isdigit() else _quoted(part)
    path = shorter_path(part)
    return _quoted(f"./{path}" if path.startswith("-") else path)


def _quoted(text: str) -> str:
    # Double quotes where possible: every shell has them.
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
