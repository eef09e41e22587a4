"""Starts runs: resolves settings and folder, trains in one or several processes, publishes."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils import quiet
from dlrecipes._utils.files import atomic_write, missing_folders, remove_folder, try_lock
from dlrecipes.distribute import Cluster, check_cluster
from dlrecipes.errors import DataError, RecipeCodeError, RecipeError, UsageError
from dlrecipes.export.version import CONFIG_FILE
from dlrecipes.recipe import published, versions
from dlrecipes.recipe.config import NO_START
from dlrecipes.recipe.registry import Source
from dlrecipes.runner import extension, run_folder

if TYPE_CHECKING:
    import tensorflow as tf

    from dlrecipes.recipe import Recipe, RecipeConfig
    from dlrecipes.runner.run import Result


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run that `--resume` continues.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder


@dataclass(frozen=True)
class Launch:
    """Where and how a run is started.

    Args:
        name: Name of the run; `None` names it after the time. Defaults to `None`.
        resume: Whether to resume an unfinished run. Defaults to `False`.
        strategy: `"none"`, `"mirrored"` or `"multi_worker"`. Defaults to `"none"`.
        runs_dir: Folder of all runs. Defaults to `runs`.
        models_dir: Folder of published models. Defaults to `saved_models`.
        say: Called with each line of progress. Defaults to `print`.
    """

    name: str | None = None
    resume: bool = False
    strategy: str = "none"
    runs_dir: Path = Path("runs")
    models_dir: Path = Path("saved_models")
    say: Callable[[str], None] = print

    def resume_options(self, folder: Path) -> str:
        """Returns the options of `dlrecipes run` that resume a run which was started so.

        Args:
            folder: The run's folder.
        """
        given = {
            "name": folder.name,
            "strategy": self.strategy,
            "runs_dir": str(self.runs_dir),
            "models_dir": str(self.models_dir),
        }
        typed = [
            f"--{name.replace('_', '-')} {shlex.quote(value)}"
            for name, value in given.items()
            if value != str(getattr(Launch, name))
        ]
        return " ".join(["--resume", *typed])


def launch(
    source: Source,
    settings: Mapping[str, Any],
    config_file: Path | None = None,
    options: Launch | None = None,
) -> Result | None:
    """Runs a recipe that is known by name or folder.

    Args:
        source: The recipe.
        settings: Settings by name, as typed; they take precedence over those of `config_file`.
        config_file: YAML file of settings. Defaults to none.
        options: Name, folders and strategy. Defaults to a new run in this folder.

    Returns:
        The result; or `None` where this process has nothing to publish: the run is finished
        already, or this process is a worker that the chief publishes for.

    Raises:
        RecipeError: If settings, data, training or publishing fail in a way the user can fix.
        Interrupted: On Ctrl-C, with the folder of the run that can be resumed.
    """
    options = options or Launch()
    runs = options.runs_dir / source.name
    cluster = _cluster(options.name) if options.strategy == "multi_worker" else None
    config, folder = _resolve(source, settings, config_file, options, runs, cluster)
    if cluster is not None and not cluster.is_chief:
        _run_worker(source, config, cluster, runs / str(options.name), options.say)
        return None
    if folder is not None and run_folder.is_finished(folder):
        options.say(f"{source.name}: {folder} is finished.")
        return None
    assert config is not None
    if cluster is None:
        return run_recipe(_made(source, config), folder, options)
    with _started(source.name, folder, runs, options) as started:
        _run_chief(source, config, cluster, started)
        return _run(_made(source, config), started, options, None)


def run_recipe(recipe: Recipe, folder: Path | None = None, options: Launch | None = None) -> Result:
    """Runs a recipe object in this process.

    Args:
        recipe: The recipe, with its settings.
        folder: Folder of the run to resume; `None` for a new run. Defaults to `None`.
        options: Name, folders and strategy. Defaults to a new run in this folder.

    Raises:
        RecipeError: If data, training or publishing fail in a way the user can fix.
        Interrupted: On Ctrl-C, with the folder of the run that can be resumed.
    """
    options = options or Launch()
    if folder is None:
        recipe.config = _checked(recipe.config, recipe.name, options.models_dir)
    with _started(recipe.name, folder, options.runs_dir / recipe.name, options) as started:
        return _run(recipe, started, options, _mirrored(options))


def _made(source: Source, config: RecipeConfig) -> Recipe:
    # This process is the command's own. A user's recipe may give Keras a DataFrame.
    quiet.load_tensorflow(only=source.is_built_in)
    return source.make(config)


def _run(
    recipe: Recipe, folder: Path, options: Launch, strategy: tf.distribute.Strategy | None
) -> Result:
    from dlrecipes.runner.run import run

    return run(recipe, folder, options.models_dir, strategy, options.say)


@contextlib.contextmanager
def _started(name: str, folder: Path | None, runs: Path, options: Launch) -> Iterator[Path]:
    """Makes the folder of a new run; names it where the run ends early.

    A run that ends before its first checkpoint leaves no folder: there is nothing to resume.
    """
    published.check_folder(options.models_dir)
    new = folder is None
    made = missing_folders(runs)
    started = run_folder.new_folder(runs, options.name) if folder is None else folder
    options.say(f"{name}: {'run' if new else 'resuming'} {started}")
    hint = f"The run is kept: resume with {options.resume_options(started)}."
    try:
        yield started
    except KeyboardInterrupt:
        raise Interrupted(started) from None
    except RecipeError as error:
        options.say("")  # Keras' progress bar leaves the cursor in its line.
        if run_folder.has_checkpoints(started):
            raise type(error)(error.message, f"{error.hint} {hint}".strip()) from error
        if new and isinstance(error, DataError | UsageError | RecipeCodeError):
            remove_folder(started, made)
        raise
    except OSError as error:
        raise RecipeError(
            f"{error.filename or started}: {error.strerror or error}.", hint
        ) from error
    except Exception:
        if new and not run_folder.has_checkpoints(started):
            remove_folder(started, made)
        raise


def _resolve(
    source: Source,
    settings: Mapping[str, Any],
    config_file: Path | None,
    options: Launch,
    runs: Path,
    cluster: Cluster | None,
) -> tuple[RecipeConfig | None, Path | None]:
    """Returns the settings, and the folder of the run to resume, or `None` for a new one."""
    config = source.config()
    name = options.name
    if options.resume:
        changes, others = extension.split(settings)
        _refuse_settings(config, others, config_file)
        if cluster is not None and not cluster.is_chief:
            # The chief sends the settings: this worker may not see its disk.
            return None, None
        folder = run_folder.unfinished_folder(runs, name, finished=bool(changes))
        stored_file = folder / CONFIG_FILE
        parsed = config.parse(config.from_yaml(stored_file), str(stored_file))
        return extension.extend(folder, parsed, changes), folder
    resolved = resolve_settings(source, settings, config_file, options.say)
    if cluster is None or cluster.is_chief:
        resolved = _checked(resolved, source.name, options.models_dir)
    else:
        # Training reads other versions, such as a teacher, on each worker's own disk.
        start = {"start": resolved.start}
        resolved = resolved.model_copy(update={"start": NO_START})
        resolved = versions.located(resolved, options.models_dir, source.name)
        resolved = resolved.model_copy(update=start)
    if cluster is None or name is None:
        run_folder.check_new(runs, name)
    elif cluster.is_chief:
        return resolved, run_folder.same_run(runs, name, resolved)
    return resolved, None


def _checked(config: RecipeConfig, recipe: str, models: Path) -> RecipeConfig:
    """Returns the settings of a new run after checking those about published models."""
    published.check_name(models, recipe, config)
    return versions.located(config, models, recipe)


def resolve_settings(
    source: Source,
    settings: Mapping[str, Any],
    config_file: Path | None,
    say: Callable[[str], None] | None = None,
) -> RecipeConfig:
    """Returns the validated settings of a command.

    A file with all settings is the configuration of a run, of which some may be without effect.
    They are noted, unless they have their defaults.

    Args:
        source: The recipe.
        settings: Settings by name, as typed; they take precedence over those of `config_file`.
        config_file: YAML file of settings; `None` for none.
        say: Called with the note. Defaults to `None`, no note.

    Raises:
        UsageError: If a setting is unknown, wrong or without effect.
    """
    config = source.config()
    stored = config.from_yaml(config_file) if config_file else {}
    where = f"{source.name}, {config_file}" if config_file else source.name
    resolved = config.parse({**stored, **settings}, where).located()
    is_whole = stored.keys() >= config.model_fields.keys()
    resolved.check_effect({*settings, *(() if is_whole else stored)}, source.name)
    fields = config.model_fields.items()
    changed = [name for name, field in fields if getattr(resolved, name) != field.default]
    if say and (names := resolved.idle(changed)):
        say(f"Note: {config_file}: {resolved.explain_idle(names)}")
    return resolved


def _refuse_settings(
    config: type[RecipeConfig], settings: Mapping[str, Any], config_file: Path | None
) -> None:
    if settings or config_file:
        may = " and ".join(f"--{name}" for name in extension.EXTENDABLE if name in config.listed())
        extra = ", ".join(f"--{n.replace('_', '-')}" for n in settings) or "--config"
        raise UsageError(
            "--resume uses the run's own settings.",
            f"Leave out {extra}, or --resume; only {may} may change.",
        )


def _cluster(name: str | None) -> Cluster:
    cluster = check_cluster(os.environ.get("TF_CONFIG"))
    if cluster.workers > 1 and name is None:
        raise UsageError(
            "Multi-worker runs need --name, so that they can resume.",
            "Add the same --name NAME on each worker.",
        )
    return cluster


def _mirrored(options: Launch) -> tf.distribute.Strategy | None:
    if options.strategy == "none":
        return None
    if options.strategy != "mirrored":
        raise UsageError(
            f"--strategy {options.strategy}: expected none or mirrored here.",
            "Several workers each run the recipe by its name or folder.",
        )
    quiet.load_tensorflow()
    from dlrecipes import distribute

    mirrored = distribute.strategy(options.strategy)
    if mirrored.num_replicas_in_sync == 1:
        options.say("Note: --strategy mirrored changes nothing: this machine has one device.")
    return mirrored


def _task(source: Source, config: RecipeConfig | None) -> dict[str, Any]:
    return {
        "recipe": source.argument,
        "settings": config and config.model_dump(mode="json"),
    }


def _run_chief(source: Source, config: RecipeConfig | None, cluster: Cluster, folder: Path) -> None:
    """Trains as the chief, whose folder is the run's."""
    from dlrecipes.runner import supervisor

    assert config is not None
    with try_lock(folder) as alone:
        if not alone:
            raise UsageError(f"{folder}: in use by another process.", "Wait for it to end.")
        atomic_write(folder / CONFIG_FILE, config.to_yaml())
        supervisor.train(
            _task(source, config), folder, cluster, lambda: run_folder.is_trained(folder)
        )


def _run_worker(
    source: Source,
    config: RecipeConfig | None,
    cluster: Cluster,
    run: Path,
    say: Callable[[str], None],
) -> None:
    """Trains as a worker that is not the chief: its files are deleted at the end."""
    from dlrecipes.runner import supervisor

    say(f"{source.name}: {cluster.name} of {cluster.workers}")
    with tempfile.TemporaryDirectory(prefix="dlrecipes-") as place:
        supervisor.train(
            _task(source, config), Path(place), cluster, lambda: run_folder.is_trained(run)
        )
    say(f"{cluster.name}: training is over; the chief evaluates and publishes.")
