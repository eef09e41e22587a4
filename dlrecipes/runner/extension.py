"""Resumes a run for more epochs, or with more patience, than it had (`--resume --epochs 30`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.files import atomic_write, try_lock
from dlrecipes._utils.notes import print_note
from dlrecipes.errors import UsageError
from dlrecipes.export.version import CONFIG_FILE, METRICS_FILE
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.runner import run_folder

if TYPE_CHECKING:
    import keras

# The settings that may change when a run is resumed.
EXTENDABLE = ("epochs", "patience")
EXTENSIONS_FILE = "extensions.json"


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the settings that may change when a run is resumed, and the others."""
    changes = {name: value for name, value in settings.items() if name in EXTENDABLE}
    return changes, {name: value for name, value in settings.items() if name not in EXTENDABLE}


def extend(folder: Path, config: RecipeConfig, changes: Mapping[str, Any]) -> RecipeConfig:
    """Makes a run unfinished again, with more epochs or more patience.

    The epochs that were trained stay as they are. Learning-rate schedules are computed for the
    new number of epochs from the next epoch on.

    Args:
        folder: The run's folder.
        config: Its configuration.
        changes: New values of `epochs`, `patience` or both.

    Returns:
        The new configuration.

    Raises:
        UsageError: If a value is wrong or has no effect, or there is nothing to train with these
            values.
    """
    if not changes:
        return config
    changed = type(config).parse({**config.model_dump(mode="json"), **changes}, str(folder))
    changed.check_effect(changes, str(folder))
    with try_lock(folder) as alone:
        if not alone:
            raise UsageError(f"{folder}: in use by another process.", "Wait for it to end.")
        state = _last_state(folder)
        if state is not None:
            _check(folder, state, config, changed)
        _write(folder, state, config, changed)
    return changed


def _last_state(folder: Path) -> dict[str, Any] | None:
    """Returns the state of the last checkpoint with its path; `None` before the first epoch."""
    path = run_folder.last_checkpoint(folder)
    if path is None:
        if run_folder.is_finished(folder):
            raise UsageError(f"{folder}: its checkpoints are gone.", "Begin with --start instead.")
        return None
    try:
        return {**json.loads((path / "state.json").read_text()), "path": path}
    except (OSError, ValueError):
        raise UsageError(f"{path}: the checkpoint is damaged.", "Leave --epochs out.") from None


def _check(folder: Path, state: Mapping[str, Any], old: RecipeConfig, new: RecipeConfig) -> None:
    done = len(state["history"])
    if new.epochs <= done:
        raise UsageError(
            f"{folder}: {done} epochs are trained already.", f"Give more, as --epochs {2 * done}."
        )
    if state["stopped"] and new.patience <= old.patience:
        raise UsageError(
            f"{folder}: stopped after epoch {done} of {old.epochs}, because the last "
            f"{old.patience} brought no improvement (--patience {old.patience}).",
            f"Give more patience, as --patience {2 * old.patience}.",
        )


def _write(
    folder: Path, state: Mapping[str, Any] | None, old: RecipeConfig, new: RecipeConfig
) -> None:
    """Writes the new settings. The run counts as finished until the last step."""
    if state is not None and new != old:
        extension = {"after": len(state["history"])}
        for name in EXTENDABLE:
            extension |= {name: getattr(new, name), f"{name}_before": getattr(old, name)}
        atomic_write(folder / EXTENSIONS_FILE, json.dumps([*read(folder), extension]))
    atomic_write(folder / CONFIG_FILE, new.to_yaml())
    if state is not None and state["stopped"]:
        kept = {name: value for name, value in state.items() if name != "path"}
        atomic_write(state["path"] / "state.json", json.dumps({**kept, "stopped": False}))
    path = folder / METRICS_FILE
    if run_folder.is_finished(folder):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        metrics["published_before"] = metrics.pop("published")
        atomic_write(path, json.dumps(metrics, indent=2, ensure_ascii=False))


def read(folder: Path) -> list[dict[str, int]]:
    """Returns the extensions of a run, oldest first, each with old and new settings."""
    path = folder / EXTENSIONS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def note_schedule(model: keras.Model, folder: Path, epochs: int) -> None:
    """Says what a run that is trained for longer does with its learning-rate schedule.

    Args:
        model: The run's model, compiled.
        folder: The run's folder.
        epochs: Number of epochs that are trained.
    """
    import keras

    from dlrecipes.training.callbacks.checkpoints import optimizers

    extensions = read(folder)
    if not extensions or extensions[-1]["after"] != epochs:
        return
    before, now = extensions[-1]["epochs_before"], extensions[-1]["epochs"]
    rates = [optimizer._learning_rate for optimizer in optimizers(model)]
    scheduled = any(isinstance(x, keras.optimizers.schedules.LearningRateSchedule) for x in rates)
    if scheduled and before != now:
        print_note(
            f"from epoch {epochs + 1} on, the learning rates are those of a schedule over {now} "
            f"epochs; until now it was one over {before}."
        )
