"""`dlrecipes run RECIPE`: train, evaluate and publish."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.options import (
    RecipeCommands,
    models_dir,
    runs_dir,
    setting_options,
    typed_settings,
)
from dlrecipes.distribute import STRATEGIES, Cluster, check_cluster
from dlrecipes.errors import INTERRUPTED, DataError, PublishError, RecipeError, UsageError
from dlrecipes.recipe.registry import BUILT_IN, Source
from dlrecipes.runner.model_card import flatten_metrics

RESERVED = ("config_file", "name", "resume", "strategy", "runs_dir", "models_dir")

HELP = """Train RECIPE (a name, or a folder of your own), evaluate it and publish it.

'dlrecipes run RECIPE --help' shows its settings. Ctrl-C or a crash loses at most
the current epoch: --resume goes on, and ends where the run would have ended.

\b
Examples:
  dlrecipes run slot_filling
  dlrecipes run slot_filling --data my_sentences --cell gru --depth 2
  dlrecipes run slot_filling --config best.yaml --name best
  dlrecipes run slot_filling --resume

\b
On several workers, type the same on each, with its own TF_CONFIG; typed again, it
goes on:
  dlrecipes run slot_filling --strategy multi_worker --name monday
"""


def make(source: Source) -> click.Command:
    """Returns the command that runs one recipe."""

    def callback(**values: Any) -> None:
        own = {name: values.pop(name) for name in RESERVED}
        _run(source, typed_settings(values, click.get_current_context().args), **own)

    own = [
        click.Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path, dir_okay=False),
            help="YAML file of settings; options on the command line go before it.",
        ),
        click.Option(["--name"], help="The run's name; the time by default."),
        click.Option(["--resume"], is_flag=True, help="Go on with the run that was killed."),
        click.Option(
            ["--strategy"],
            type=click.Choice(STRATEGIES),
            default="none",
            show_default=True,
            help="Train on one device, on all of this machine, or with the workers in TF_CONFIG.",
        ),
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
    strategy: str,
    runs_dir: Path,
    models_dir: Path,
) -> None:
    from dlrecipes.runner import run_folder as folders

    runs = runs_dir / source.name
    cluster = _cluster(name) if strategy == "multi_worker" else None
    settings, folder = _resolve(source, typed, config_file, name, resume, runs, cluster)
    if _is_worker(cluster):
        _run_worker(source, settings, cluster, runs / name)
        return
    if folder is not None and folders.is_finished(folder):
        click.echo(f"{source.name}: {folder} is finished.")
        return
    # Here, so that what cannot be loaded leaves no folder behind.
    recipe = _recipe(source, settings) if cluster is None else None
    new = folder is None
    folder = folders.new_folder(runs, name) if new else folder
    click.echo(f"{source.name}: {'run' if new else 'resuming'} {folder}")
    try:
        with _keep_run_on_error(folder, new):
            if cluster is not None:
                _run_chief(source, settings, cluster, folder)
                recipe = _recipe(source, settings)
            from dlrecipes import runner

            result = runner.run(recipe, folder, models_dir, **_strategy(strategy))
    except KeyboardInterrupt:
        click.echo(
            f"\nInterrupted. Go on with:\n  dlrecipes run {_recipe_argument(source)} --resume "
            f"--name {shlex.quote(folder.name)}"
            + ("" if strategy == "none" else f" --strategy {strategy}")
            + _unless_default("--runs-dir", runs_dir, "runs")
            + _unless_default("--models-dir", models_dir, "saved_models"),
            err=True,
        )
        sys.exit(INTERRUPTED)
    click.echo(summary(source, result))


def _resolve(
    source: Source,
    typed: dict[str, Any],
    config_file: Path | None,
    name: str | None,
    resume: bool,
    runs: Path,
    cluster: Cluster | None,
) -> tuple[Any, Path | None]:
    """Returns the settings, and the folder of the run that goes on, or `None` for a new one."""
    from dlrecipes.runner import run_folder as folders

    config = source.config()
    if resume:
        # The chief tells the others what it goes on with: they may not see its disk.
        _refuse_settings(typed, config_file)
        return (None, None) if _is_worker(cluster) else _resumed(config, runs, name)
    stored = config.from_yaml(config_file) if config_file else {}
    where = f"{source.name}, {config_file}" if config_file else source.name
    settings = config.parse({**stored, **typed}, where).located()
    if cluster is None or name is None:
        folders.check_new(runs, name)
    elif cluster.is_chief:
        return settings, folders.same_run(runs, name, settings)
    return settings, None


def _is_worker(cluster: Cluster | None) -> bool:
    return cluster is not None and not cluster.is_chief


@contextlib.contextmanager
def _keep_run_on_error(folder: Path, new: bool) -> Iterator[None]:
    """Says of what ends a run that it is kept; drops the folder where nothing was trained."""
    try:
        yield
    except RecipeError as error:
        click.echo()  # Keras' progress bar leaves the cursor in its line.
        if new and isinstance(error, DataError | UsageError):
            # Nothing was trained: there is no run that --resume could go on with.
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, PublishError):
            go_on = f"The run is kept: go on with --resume --name {folder.name}."
            raise PublishError(error.message, f"{error.hint} {go_on}".strip()) from error
        raise
    except OSError as error:
        from dlrecipes.runner.run import interrupted_by

        raise interrupted_by(error, folder) from error


def _recipe(source: Source, settings: Any) -> Any:
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    return source.recipe()(settings, source.name)


def _strategy(strategy: str) -> dict[str, Any]:
    if strategy != "mirrored":
        return {}
    from dlrecipes import distribute

    mirrored = distribute.strategy(strategy)
    if mirrored.num_replicas_in_sync == 1:
        click.echo("Note: there is one device here: --strategy mirrored changes nothing.", err=True)
    return {"strategy": mirrored}


def _cluster(name: str | None) -> Cluster:
    cluster = check_cluster(os.environ.get("TF_CONFIG"))
    if cluster.workers > 1 and name is None:
        raise UsageError(
            "Several workers need the run's name, by which they go on if one is lost.",
            "Add the same --name NAME on each.",
        )
    return cluster


def _task(source: Source, settings: Any) -> dict[str, Any]:
    built_in = source.package.startswith(f"{BUILT_IN}.")
    return {
        "recipe": source.name if built_in else str(source.folder),
        "settings": settings and settings.model_dump(mode="json"),
    }


def _run_chief(source: Source, settings: Any, cluster: Cluster, folder: Path) -> None:
    """Trains as the chief, whose folder is the run's."""
    from dlrecipes._utils.files import atomic_write, try_lock
    from dlrecipes.export.version import CONFIG_FILE
    from dlrecipes.runner import supervisor
    from dlrecipes.runner.run_folder import is_trained

    with try_lock(folder) as alone:
        if not alone:
            raise UsageError(f"{folder}: another process is at this run.", "Wait for it to end.")
        atomic_write(folder / CONFIG_FILE, settings.to_yaml())
        supervisor.train(_task(source, settings), folder, cluster, lambda: is_trained(folder))


def _run_worker(source: Source, settings: Any, cluster: Cluster, run: Path) -> None:
    """Trains as one that is not the chief: what it writes is dropped."""
    from dlrecipes.runner import supervisor
    from dlrecipes.runner.run_folder import is_trained

    click.echo(f"{source.name}: {cluster.name} of {cluster.workers}")
    with tempfile.TemporaryDirectory(prefix="dlrecipes-") as place:
        task = _task(source, settings)
        supervisor.train(task, Path(place), cluster, lambda: is_trained(run))
    click.echo(f"{cluster.name}: training is over; the chief evaluates and publishes.")


def _refuse_settings(typed: dict, config_file: Path | None) -> None:
    if typed or config_file:
        extra = ", ".join(f"--{n.replace('_', '-')}" for n in typed) or "--config"
        raise UsageError(
            "--resume goes on with the run's own settings.", f"Leave out {extra}, or --resume."
        )


def _resumed(config, runs: Path, name: str | None):
    from dlrecipes.export.version import CONFIG_FILE
    from dlrecipes.runner.run_folder import unfinished_folder

    folder = unfinished_folder(runs, name)
    stored = folder / CONFIG_FILE
    return config.parse(config.from_yaml(stored), str(stored)), folder


def _recipe_argument(source: Source) -> str:
    built_in = source.package.startswith(f"{BUILT_IN}.")
    return source.name if built_in else shlex.quote(str(source.folder))


def _unless_default(option: str, folder: Path, default: str) -> str:
    return "" if folder == Path(default) else f" {option} {shlex.quote(str(folder))}"


def summary(source: Source, result: Any) -> str:
    """Returns the closing table and what to type next."""
    metrics = result.metrics
    test, validation = (
        flatten_metrics(metrics[part], result.groups) for part in ("test", "validation")
    )
    width = max((len(name) for name in test), default=0)
    lines = [f"\n  {'':<{width}}  validation    test"]
    for name in test:
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
    recipe = _recipe_argument(source)
    for one in result.examples:
        words = " ".join(_quoted(text) for text in ([one] if isinstance(one, str) else one))
        lines.append(f"  dlrecipes predict {recipe} {words}{place}")
    lines += [f"  dlrecipes evaluate {recipe} --data FOLDER{place}"]
    if recipe == source.name:
        lines += [f"  dlrecipes copy {recipe} my_{recipe}     # to change it"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    # Double quotes where they do, for they are the ones that every shell has.
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
