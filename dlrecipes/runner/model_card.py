"""Model card: data, configuration, metrics and usage of a published model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrecipes._utils.markdown import table
from dlrecipes._utils.wording import counted
from dlrecipes.export.version import files_table
from dlrecipes.recipe import Recipe, Splits
from dlrecipes.recipe.options import spelled


def model_card(
    recipe: Recipe,
    splits: Splits,
    metrics: Mapping[str, Any],
    environment: Mapping[str, Any],
    usage: str,
    litert: bool = True,
    name: str | None = None,
) -> str:
    """Returns the card as Markdown.

    Args:
        recipe: The recipe.
        splits: Its data.
        metrics: Contents of `metrics.json`.
        environment: Versions and machine.
        usage: Usage section, generated from the signatures, with the recipe's notes.
        litert: Whether there are LiteRT files. Defaults to `True`.
        name: Name of the published model. Defaults to `None`: the recipe's.
    """
    names, validation = (
        flatten_metrics(metrics[part], recipe.metric_groups) for part in ("test", "validation")
    )
    rows = [[name, _number(validation.get(name)), _number(value)] for name, value in names.items()]
    facts = [[key, value] for key, value in splits.description.items()]
    chosen = [[f"`{key}`", spelled(value)] for key, value in recipe.config.model_dump().items()]
    parts = [
        front_matter(recipe, list(names), litert) + f"\n# {name or recipe.name}",
        f"Made by the recipe {recipe.name} of dlrecipes; every file was loaded again and compared "
        "with the trained model before this folder appeared.",
        files_table(litert),
        "## Usage\n\n" + usage.strip(),
        "## Results\n\n" + table(["metric", "validation", "test"], rows),
        metrics.get("test_set") or test_set(recipe, splits),
        *_origin(metrics),
        f"{_training(recipe, metrics)}; {metrics['parameters']:,} parameters.",
        *(["## Data\n\n" + table(["", ""], facts)] if facts else []),
        "## Configuration\n\n" + table(["setting", "value"], chosen),
        "## Environment\n\n" + table(["", ""], [[k, v] for k, v in environment.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def test_set(recipe: Recipe, splits: Splits) -> str:
    """Returns what the test data are, in sentences that keep their score from misleading.

    Args:
        recipe: The recipe.
        splits: Its data.
    """
    examples = f"{len(splits.test):,}"
    if recipe.config.data == "builtin":
        what = splits.test_set or "They are made as the training data are."
        return (
            f"The test set is {examples} held-out examples of the built-in data. {what} The score "
            "does not say how the model does on other data: measure that with `dlrecipes evaluate "
            "--data`."
        )
    what = f" {splits.test_set}" if splits.test_set else ""
    return (
        f"The test set is {examples} examples of the same data that no training step saw; data "
        f"from elsewhere may score lower.{what}"
    )


def _training(recipe: Recipe, metrics: Mapping[str, Any]) -> str:
    """Returns how long a network was trained, and which epoch was kept."""
    if not recipe.trains:
        return "Computed, not trained"
    epochs, seconds = counted(metrics["epochs"], "epoch"), metrics["seconds"]["train"]
    return f"Trained for {epochs} ({seconds:g} s), kept epoch {metrics['best_epoch']}"


def _origin(metrics: Mapping[str, Any]) -> list[str]:
    """Returns what a run began with, and whether it was trained for longer later."""
    lines = []
    if start := metrics.get("start"):
        lines.append(
            f"Began with the weights of `{start['version']}` ({start['weights']}; SHA-256 of its "
            f"`model.keras`: `{start['sha256']}`)."
        )
    if teacher := metrics.get("teacher"):
        lines.append(
            f"Learned from the scores of `{teacher['version']}` as well (distillation; SHA-256 of "
            f"its `model.keras`: `{teacher['sha256']}`). No file needs that version."
        )
    for part in metrics.get("extensions", ()):
        lines.append(
            f"Resumed after epoch {part['after']} with `--epochs {part['epochs']} --patience "
            f"{part['patience']}` (before: {part['epochs_before']} and {part['patience_before']}); "
            "learning-rate schedules are over the new number of epochs from there on."
        )
    return lines


def front_matter(recipe: Recipe, metrics: Sequence[str], litert: bool = True) -> str:
    """Returns the YAML front matter that model hubs read.

    Args:
        recipe: The recipe that was run.
        metrics: Names of the metrics in the card.
        litert: Whether there are LiteRT files. Defaults to `True`.
    """
    import yaml

    data = recipe.config.data
    facts = {
        # Only the owner of the data knows the license of a model trained on it.
        "license": "apache-2.0" if data == "builtin" else "unknown",
        "library_name": "keras",
        "pipeline_tag": recipe.pipeline_tag,
        "datasets": [data.removeprefix("tfds:") if data.startswith("tfds:") else Path(data).name],
        "metrics": list(metrics),
        "tags": ["dlrecipes", "tensorflow", *(["litert"] if litert else [])],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"


def flatten_metrics(metrics: Mapping[str, Any], groups: Sequence[str] = ()) -> dict[str, float]:
    """Returns the metrics that are single numbers, by flat names.

    Args:
        metrics: Numbers, or mappings from names to numbers, by name.
        groups: Mappings whose numbers are included, as `group name`. Defaults to none.

    Example:

    >>> from dlrecipes.runner.model_card import flatten_metrics
    >>> flatten_metrics({"auc": 0.9, "pixels": {"auc": 0.5}, "by_class": {"a": 1.0}}, ["pixels"])
    {'auc': 0.9, 'pixels auc': 0.5}
    """
    numbers = {}
    for name, value in metrics.items():
        if isinstance(value, int | float):
            numbers[name] = value
        elif name in groups:
            numbers |= {f"{name} {key}": number for key, number in flatten_metrics(value).items()}
    return numbers


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
