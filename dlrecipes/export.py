"""Publishes a model: SavedModel, LiteRT, `.keras` and card, verified before anyone sees them."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.card import table
from dlrecipes.errors import PublishError, reason
from dlrecipes.files import flush
from dlrecipes.lite import LiteModel, convert, traced
from dlrecipes.published import (
    EXTRAS,
    KERAS_FILE,
    LITE_FILE,
    LITE_FORMATS_FILE,
    lite_file,
    versions,
)
from dlrecipes.quiet import quiet
from dlrecipes.recipe import Endpoint, Exports

TOLERANCE = 1e-4
# The same weights in the same layers: a few examples tell whether the rest is the same too.
KERAS_EXAMPLES = 20


def publish(
    model: keras.Model,
    directory: Path,
    exports: Exports,
    card: str,
    rebuild: Callable[[keras.Model], Exports] | None = None,
) -> Path:
    """Writes a new version of a model, compares each artefact with it, and only then shows it.

    The version is written under a temporary name and renamed last: a reader of
    `directory` sees a whole version or none, and of two processes that publish at once
    each gets a version of its own.

    Args:
        model: The trained model.
        directory: The model's folder, in which versions are numbered from 1.
        exports: What to publish.
        card: The model card, Markdown.
        rebuild: From a model to its exports: with it the reloaded `.keras` file is compared
            by what it answers too, not by its weights alone.

    Returns:
        The version's folder.

    Raises:
        PublishError: If an artefact cannot be written, or does not agree with the model.
            Nothing is left in `directory` then.
    """
    work = directory / f".publishing-{uuid.uuid4().hex}"
    _sweep(directory)
    try:
        work.mkdir(parents=True)
        with quiet():
            write_saved_model(model, work, exports.signatures)
            model.save(work / KERAS_FILE)
            write_lite(work, exports)
        (work / EXTRAS).mkdir()
        for name, text in exports.files.items():
            (work / EXTRAS / name).write_text(text, encoding="utf-8")
        with quiet():
            verify(work, model, exports, rebuild)
            sizes, left_out = formats_card(work, exports)
        for line in left_out:
            print(f"Note: {line}", file=sys.stderr)
        (work / "README.md").write_text(card + sizes, encoding="utf-8")
        flush(work)
        return _reveal(work, directory)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"{directory}: {reason(error)}.",
            "Nothing was published; the run is kept: go on with --resume.",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_saved_model(model: keras.Model, folder: Path, signatures: Mapping[str, Endpoint]) -> None:
    """Writes a SavedModel whose functions hold the model's variables and tables."""
    archive = tf.Module()
    archive.model = model
    functions = {name: traced(endpoint) for name, endpoint in signatures.items()}
    tf.saved_model.save(archive, str(folder), signatures=functions)


def write_lite(folder: Path, exports: Exports) -> None:
    """Writes `model.tflite`, and the smaller forms of it that the recipe asks for."""
    (folder / LITE_FILE).write_bytes(convert(exports.lite))
    smaller = exports.quantized
    for kind in smaller.formats if smaller else ():
        content = convert(exports.lite, kind, smaller.calibration)
        (folder / lite_file(kind)).write_bytes(content)


def formats_card(folder: Path, exports: Exports) -> tuple[str, list[str]]:
    """Measures each LiteRT file, and removes those that lose more of the metric than they may.

    Returns:
        The card's section on those that stay, kept as JSON too, and what was left out and why.
    """
    smaller = exports.quantized
    if smaller is None:
        return "", []
    found: dict[str, dict[str, Any]] = {}
    left_out = []
    for kind in ("float32", *smaller.formats):
        path = folder / lite_file(kind)
        lite = LiteModel(path)
        score = float(smaller.measure(lite))
        whole = found[LITE_FILE][smaller.metric] if found else score
        # Written so that a NaN, which compares false, does not pass.
        if found and not score >= whole - smaller.drop:
            path.unlink()
            left_out.append(
                f"{path.name} is left out: its {smaller.metric} is {score:.4f} where {LITE_FILE} "
                f"has {whole:.4f}; it may lose {smaller.drop:.4g}."
            )
            continue
        found[path.name] = {
            "format": kind,
            "bytes": path.stat().st_size,
            smaller.metric: score,
            "milliseconds": round(lite.latency(exports.lite), 3),
        }
    (folder / EXTRAS / LITE_FORMATS_FILE).write_text(json.dumps(found, indent=2))
    rows = [
        [f"`{name}`", f"{one['bytes']:,}", f"{one[smaller.metric]:.4f}", f"{one['milliseconds']:g}"]
        for name, one in found.items()
    ]
    header = ["LiteRT file", "bytes", f"{smaller.metric}, test", "ms an example, one thread"]
    parts = ["\n## Sizes", table(header, rows), *left_out]
    return "\n\n".join(parts) + "\n", left_out


def verify(
    folder: Path,
    model: keras.Model,
    exports: Exports,
    rebuild: Callable[[keras.Model], Exports] | None = None,
) -> None:
    """Loads each artefact of a version again and compares it with the model.

    Raises:
        PublishError: At the first artefact that does not agree, saying where.
    """
    loaded = tf.saved_model.load(str(folder))
    for name, endpoint in exports.signatures.items():
        _compare(f"SavedModel, signature {name}", endpoint, loaded.signatures[name])
    lite = LiteModel(folder / LITE_FILE)
    _compare(LITE_FILE, exports.lite, lambda **tensors: lite(**_arrays(tensors)))
    again = keras.saving.load_model(folder / KERAS_FILE)
    for one, other in zip(model.weights, again.weights, strict=True):
        _agree(KERAS_FILE, {one.path: np.asarray(one)}, {one.path: np.asarray(other)})
    if rebuild is not None:
        few = dataclasses.replace(exports.lite, examples=exports.lite.examples[:KERAS_EXAMPLES])
        answer = traced(rebuild(again).lite)
        _compare(KERAS_FILE, few, lambda **tensors: answer(*tensors.values()))


def _compare(what: str, endpoint: Endpoint, found: Callable[..., Mapping[str, Any]]) -> None:
    model = traced(endpoint)
    for example in endpoint.examples:
        pairs = zip(endpoint.inputs, example, strict=True)
        tensors = {spec.name: tf.constant(array, spec.dtype) for spec, array in pairs}
        _agree(what, _arrays(model(*tensors.values())), _arrays(found(**tensors)))


def _arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in tensors.items()}


def _agree(what: str, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> None:
    if set(expected) != set(found):
        raise PublishError(
            f"{what}: outputs {sorted(found)} where the model has {sorted(expected)}."
        )
    for name, wanted in expected.items():
        got = found[name]
        if wanted.shape != got.shape:
            raise PublishError(f"{what}: {name} has shape {got.shape}, the model {wanted.shape}.")
        if wanted.dtype.kind == "f":
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
            worst = float(np.max(np.abs(wanted - got), initial=0.0)) / scale
            # Written so that a NaN, which compares false, does not pass.
            if not worst <= TOLERANCE:
                raise PublishError(f"{what}: {name} differs from the model by {worst:.2g}.")
        elif not np.array_equal(wanted, got):
            raise PublishError(f"{what}: {name} differs from the model.")


def _sweep(directory: Path) -> None:
    # What a killed process left; a day is longer than any publishing takes.
    for old in directory.glob(".publishing-*"):
        with contextlib.suppress(OSError):  # Another process may be sweeping too.
            if time.time() - old.stat().st_mtime > 86_400:
                shutil.rmtree(old, ignore_errors=True)


def _reveal(work: Path, directory: Path) -> Path:
    while True:
        final = directory / str(max(versions(directory), default=0) + 1)
        try:
            # Renaming onto a folder that is not empty fails: the other process came first.
            work.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return final
