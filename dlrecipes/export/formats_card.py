"""The model card's table of files: bytes, zeros, time per example, and metric."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from dlrecipes._utils.markdown import table
from dlrecipes.export.litert import latencies
from dlrecipes.export.litert_interpreter import LiteRTModel
from dlrecipes.export.signatures import Exports
from dlrecipes.export.version import (
    EXTRAS,
    KERAS_FILE,
    LITERT_FILE,
    LITERT_FORMATS_FILE,
    litert_file,
)
from dlrecipes.export.weight_zeros import SAVED_MODEL, weight_zeros

HEADING = "## Formats"


def formats_card(
    folder: Path,
    exports: Exports,
    model: keras.Model,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[str, list[str]]:
    """Measures the files of a version, and deletes those whose metric decreases too much.

    The measurements of LiteRT files are written to the version as JSON as well.

    Args:
        folder: Folder of the version.
        exports: LiteRT function, formats, and the expected fraction of zeros.
        model: The published model.
        known: Earlier measurements by file, whose metrics are kept. Defaults to none.

    Returns:
        The card's section on the remaining files, and a line on each file that was deleted.

    Raises:
        PublishError: If a file has fewer zeros than the exports require.
    """
    zeros = {} if exports.sparsity is None else weight_zeros(folder, model, exports.sparsity)
    rows, left_out = _litert_rows(folder, exports, known or {})
    for name, row in rows.items():
        if name in zeros:
            row["zeros"] = round(zeros[name], 4)
    if rows:
        (folder / EXTRAS / LITERT_FORMATS_FILE).write_text(json.dumps(rows, indent=2))
    others = {name: _keras_row(folder, name) for name in (SAVED_MODEL, KERAS_FILE) if name in zeros}
    for name, row in others.items():
        row["zeros"] = zeros[name]
    rows |= others
    if not rows:
        return "", []
    parts = [f"\n{HEADING}", _table(rows, exports), _LEGEND, *left_out]
    return "\n\n".join(parts) + "\n", left_out


_LEGEND = (
    "Compressed bytes are those of gzip, as a download or an app package holds them. Milliseconds "
    "are the median of calls with one example on one thread, on the machine that published."
)


def _litert_rows(
    folder: Path, exports: Exports, known: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns the measurements of each LiteRT file, and a line on each file that was deleted."""
    smaller = exports.quantized
    rows: dict[str, dict[str, Any]] = {}
    models: dict[str, LiteRTModel] = {}
    left_out: list[str] = []
    if smaller is None:
        path = folder / LITERT_FILE
        if exports.sparsity is not None and path.is_file():
            rows[path.name] = {"format": "float32", **_bytes(path)}
        return rows, left_out
    files = {litert_file(kind): kind for kind in ("float32", *smaller.formats)}
    for name, kind in files.items():
        path = folder / name
        lite = LiteRTModel(path)
        earlier = known.get(name, {}).get(smaller.metric)
        score = float(smaller.measure(lite) if earlier is None else earlier)
        baseline = rows[LITERT_FILE][smaller.metric] if rows else score
        # Written so that a NaN, which compares false, is left out.
        if rows and earlier is None and not score >= baseline - smaller.drop:
            path.unlink()
            left_out.append(
                f"{name} is left out: its {smaller.metric} is {score:.4f}, compared with "
                f"{baseline:.4f} for {LITERT_FILE}; the allowed decrease is {smaller.drop:.4g}."
            )
            continue
        models[name] = lite
        formats = ", ".join(filter(None, [kind, smaller.method]))
        rows[name] = {"format": formats, **_bytes(path), smaller.metric: score}
    for label, other in smaller.references.items():
        models[label] = LiteRTModel(other.path)
        earlier = known.get(label, {}).get(smaller.metric)
        measure = other.measure or smaller.measure
        score = float(measure(models[label]) if earlier is None else earlier)
        rows[label] = {
            "format": "float32, for comparison",
            **_bytes(other.path),
            smaller.metric: score,
        }
    own = {label: x.example for label, x in smaller.references.items() if x.example is not None}
    for name, milliseconds in latencies(models, exports.litert, own).items():
        rows[name]["milliseconds"] = round(milliseconds, 3)
    return rows, left_out


def _keras_row(folder: Path, name: str) -> dict[str, Any]:
    if name == KERAS_FILE:
        return {"format": "Keras", **_bytes(folder / name)}
    paths = [folder / name, *(folder / "variables").iterdir()]
    return {"format": "SavedModel", **_bytes(*paths)}


def _bytes(*paths: Path) -> dict[str, int]:
    compressed = [len(gzip.compress(path.read_bytes(), 6)) for path in paths]
    return {"bytes": sum(path.stat().st_size for path in paths), "gzip_bytes": sum(compressed)}


def _table(rows: dict[str, dict[str, Any]], exports: Exports) -> str:
    columns = {
        "format": ("format", "{}"),
        "bytes": ("bytes", "{:,}"),
        "gzip_bytes": ("compressed", "{:,}"),
        "zeros": ("zero weights", "{:.1%}"),
        "milliseconds": ("ms per example", "{:g}"),
    }
    if exports.quantized is not None:
        metric = exports.quantized.metric
        columns[metric] = (f"{metric}, test", "{:.4f}")
    used = {key: pair for key, pair in columns.items() if any(key in row for row in rows.values())}
    cells = [
        [
            f"`{name}`" if "." in name else name,
            *(form.format(row[key]) if key in row else "" for key, (_, form) in used.items()),
        ]
        for name, row in rows.items()
    ]
    return table(["file", *(title for title, _ in used.values())], cells)
