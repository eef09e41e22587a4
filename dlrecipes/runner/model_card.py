"""The model card: what a published model is, what it was measured at, how to call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlrecipes._utils.markdown import table
from dlrecipes.export.version import FILES
from dlrecipes.recipe import Recipe, Splits
from dlrecipes.recipe.config import spelled


def model_card(
    recipe: Recipe,
    splits: Splits,
    metrics: Mapping[str, Any],
    environment: Mapping[str, Any],
    usage: str,
) -> str:
    """Returns the card as Markdown.

    Args:
        recipe: The recipe that was run.
        splits: Its data.
        metrics: What `metrics.json` holds.
        environment: Versions and machine.
        usage: Usage section, generated from the signatures, with the recipe's notes.
    """
    names, validation = (
        flatten_metrics(metrics[part], recipe.metric_groups) for part in ("test", "validation")
    )
    rows = [[name, _number(validation.get(name)), _number(value)] for name, value in names.items()]
    facts = [[key, value] for key, value in splits.description.items()]
    chosen = [[f"`{key}`", spelled(value)] for key, value in recipe.config.model_dump().items()]
    parts = [
        front_matter(recipe, list(names)) + f"\n# {recipe.name}",
        f"Made by the recipe {recipe.name} of dlrecipes; every file was loaded again and compared "
        "with the trained model before this folder appeared.",
        FILES.rstrip(),
        "## Usage\n\n" + usage.strip(),
        "## Results\n\n" + table(["metric", "validation", "test"], rows),
        f"Trained for {metrics['epochs']} epochs ({metrics['seconds']['train']:g} s), of which "
        f"epoch {metrics['best_epoch']} was kept; {metrics['parameters']:,} parameters.",
        *(["## Data\n\n" + table(["", ""], facts)] if facts else []),
        "## Configuration\n\n" + table(["setting", "value"], chosen),
        "## Environment\n\n" + table(["", ""], [[k, v] for k, v in environment.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(recipe: Recipe, metrics: Sequence[str]) -> str:
    """Returns what model hubs read at a card's beginning, as YAML.

    Args:
        recipe: The recipe that was run.
        metrics: Names of the metrics that the card tells.
    """
    import yaml

    data = recipe.config.data
    facts = {
        # Of a model of somebody's own data only they can tell.
        "license": "apache-2.0" if data == "builtin" else "unknown",
        "library_name": "keras",
        "pipeline_tag": recipe.pipeline_tag,
        "datasets": [data.removeprefix("tfds:") if data.startswith("tfds:") else Path(data).name],
        "metrics": list(metrics),
        "tags": ["dlrecipes", "tensorflow", "litert"],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"


def flatten_metrics(metrics: Mapping[str, Any], groups: Sequence[str] = ()) -> dict[str, float]:
    """Returns the metrics that are single numbers, those of some groups after their group's name.

    Args:
        metrics: Numbers, or mappings from names to numbers, by name.
        groups: Names of mappings that are told as well.

    Example:

    >>> flatten_metrics({"auc": 0.9, "pixels": {"auc": 0.5}, "by_class": {"a": 1.0}}, ["pixels"])
    {'auc': 0.9, 'pixels auc': 0.5}
    """
    found = {}
    for name, value in metrics.items():
        if isinstance(value, int | float):
            found[name] = value
        elif name in groups:
            found |= {f"{name} {key}": one for key, one in flatten_metrics(value).items()}
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
