"""Settings, results and figures of a run for TensorBoard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from PIL import Image

from dlrecipes._utils.markdown import table
from dlrecipes.export.version import METRICS_FILE
from dlrecipes.recipe.base import Recipe, Splits
from dlrecipes.recipe.options import spelled
from dlrecipes.runner.model_card import flatten_metrics

LOGS, SUMMARY = "tensorboard", "summary"
_PARTS = ("test", "validation")


def write_results(folder: Path, recipe: Recipe, splits: Splits, metrics: Mapping[str, Any]) -> None:
    """Writes settings, data and results as text, and as hyperparameters with their metrics.

    Earlier summaries of the run are replaced, so that a resumed run has each once.

    Args:
        folder: The run's folder.
        recipe: The recipe.
        splits: Its data.
        metrics: Contents of `metrics.json`.
    """
    from tensorboard.plugins.hparams import api

    shutil.rmtree(folder / LOGS / SUMMARY, ignore_errors=True)
    values = recipe.config.model_dump()
    names = [[f"`{name}`", spelled(value)] for name, value in values.items()]
    facts = [[name, value] for name, value in splits.description.items()]
    numbers = {
        f"{part} {name}": value
        for part in _PARTS
        if part in metrics
        for name, value in flatten_metrics(metrics[part], recipe.metric_groups).items()
    }
    texts = {
        "settings": table(["setting", "value"], names),
        "data": table(["", ""], facts),
        "results": table(["metric", "value"], [[k, f"{v:.4g}"] for k, v in numbers.items()]),
        METRICS_FILE: f"```json\n{json.dumps(metrics, indent=2, ensure_ascii=False)}\n```",
    }
    step = int(metrics["epochs"])
    with _writer(folder).as_default(step):
        for name, text in texts.items():
            tf.summary.text(f"run/{name}", text)
        for name, value in numbers.items():
            tf.summary.scalar(f"final/{name}", value)
        plain = (bool, int, float, str)
        api.hparams({k: v if isinstance(v, plain) else spelled(v) for k, v in values.items()})


def write_figures(folder: Path, epoch: int) -> None:
    """Writes the run's figures as images.

    Args:
        folder: The run's folder, with PNG and GIF files in `figures`.
        epoch: Number of trained epochs.
    """
    from tensorboard.plugins.image.metadata import create_summary_metadata

    with _writer(folder).as_default(epoch):
        for path in sorted((folder / "figures").glob("[!.]*")):
            with Image.open(path) as image:
                sides = [str(side).encode() for side in image.size]
            # Files as they are: `tf.summary.image` would compress each once more.
            tf.summary.write(
                f"figures/{path.stem}",
                tf.constant([*sides, path.read_bytes()]),
                metadata=create_summary_metadata(display_name=path.stem, description=""),
            )


def _writer(folder: Path) -> tf.summary.SummaryWriter:
    return tf.summary.create_file_writer(str(folder / LOGS / SUMMARY))
