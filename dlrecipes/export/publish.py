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

from dlrecipes._utils.files import fsync_tree
from dlrecipes._utils.markdown import table
from dlrecipes._utils.quiet import suppress_stderr
from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export import fresh_process
from dlrecipes.export import onnx as onnx_file
from dlrecipes.export.litert import LiteRTModel, concrete_function, convert, latencies
from dlrecipes.export.reference_outputs import assert_match, compare, record
from dlrecipes.export.signatures import Exports, Signature, exports_from_model
from dlrecipes.export.usage import plain_card, usage
from dlrecipes.export.verification import write_references
from dlrecipes.export.version import (
    EXTRAS,
    KERAS_FILE,
    LITERT_FILE,
    LITERT_FORMATS_FILE,
    ONNX_FILE,
    litert_file,
    versions,
)

# The same weights in the same layers: a few examples tell whether the rest is the same too.
KERAS_EXAMPLES = 20


def publish(
    model: keras.Model,
    directory: Path,
    signatures: Exports | Mapping[str, Signature] | None = None,
    card: str | Callable[[str], str] | None = None,
    rebuild: Callable[[keras.Model], Exports] | None = None,
    *,
    examples: Any = None,
    onnx: bool = False,
) -> Path:
    """Writes a new version of a model, compares each artefact with it, and only then shows it.

    The version is written under a temporary name and renamed last: a reader of
    `directory` sees a whole version or none, and of two processes that publish at once
    each gets a version of its own.

    Args:
        model: The trained model.
        directory: The model's folder, in which versions are numbered from 1.
        signatures: What to publish: `Exports`; or endpoints by name, of which `serving_default`
            becomes the LiteRT file, too; or nothing, for the model's own inputs and outputs.
        card: Model card in Markdown, or a function that returns it and takes the usage section
            that is generated from the signatures. Defaults to `None`: a plain card.
        rebuild: From a model to its exports: with it the reloaded `.keras` file is compared
            by what it answers too, not by its weights alone.
        examples: Inputs of the model on which the artefacts are compared with it, where there
            are no `signatures`.
        onnx: Whether what LiteRT runs is published as `model.onnx`, too; it is compared where
            ONNX Runtime is installed.

    Returns:
        The version's folder.

    Raises:
        PublishError: If an artefact cannot be written, or does not agree with the model.
            Nothing is left in `directory` then.
        UsageError: If it is no Keras model, there are neither signatures nor examples, the
            examples do not fit, or ONNX is wanted and its converter is not installed.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = publish(model, Path(folder) / "net", examples=np.ones((4, 3), "float32"))
    ...     sorted(path.name for path in version.glob("model.*"))
    ['model.keras', 'model.tflite']
    """
    directory = Path(directory)
    if not isinstance(model, keras.Model):
        raise UsageError(f"publish: a Keras model is wanted, not {type(model).__name__}.")
    exports = signatures
    if signatures is None:
        if examples is None:
            raise UsageError("publish: signatures are wanted, or examples of the inputs.")
        exports = exports_from_model(model, examples)
        rebuild = rebuild or (lambda again: exports_from_model(again, examples))
    elif not isinstance(signatures, Exports):
        exports = Exports(signatures, signatures["serving_default"])
    if onnx:
        onnx_file.check_installed()
    work = directory / f".publishing-{uuid.uuid4().hex}"
    _sweep(directory)
    try:
        work.mkdir(parents=True)
        with fresh_process.VerificationProcess() as process, suppress_stderr():
            functions = {name: concrete_function(one) for name, one in exports.signatures.items()}
            functions[LITERT_FILE] = concrete_function(exports.litert)
            write_saved_model(model, work, {name: functions[name] for name in exports.signatures})
            model.save(work / KERAS_FILE)
            write_litert(work, exports)
            if onnx:
                (work / ONNX_FILE).write_bytes(onnx_file.convert(exports.litert))
            (work / EXTRAS).mkdir()
            for name, text in exports.files.items():
                (work / EXTRAS / name).write_text(text, encoding="utf-8")
            verify(work, model, exports, functions, process, rebuild)
            sizes, left_out = formats_card(work, exports)
        for line in left_out:
            print(f"Note: {line}", file=sys.stderr)
        text = write_card(card, model, directory.name, _published(work, exports), functions, onnx)
        (work / "README.md").write_text(text + sizes, encoding="utf-8")
        write_references(work, exports, functions)
        fsync_tree(work)
        return _reveal(work, directory)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"{directory}: {reason(error).rstrip('.')}.", "Nothing was published."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with contextlib.suppress(OSError):
            directory.rmdir()  # Where no version is, none is looked for; else it is not empty.


def write_saved_model(
    model: keras.Model,
    folder: Path,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
) -> None:
    """Writes a SavedModel whose functions hold the model's variables and tables."""
    archive = tf.Module()
    archive.model = model
    tf.saved_model.save(archive, str(folder), signatures=dict(functions))


def write_litert(folder: Path, exports: Exports) -> None:
    """Writes `model.tflite`, and the smaller forms of it that the recipe asks for."""
    (folder / LITERT_FILE).write_bytes(convert(exports.litert))
    smaller = exports.quantized
    for kind in smaller.formats if smaller else ():
        content = convert(exports.litert, kind, smaller.calibration)
        (folder / litert_file(kind)).write_bytes(content)


def write_card(
    card: str | Callable[[str], str] | None,
    model: keras.Model,
    name: str,
    exports: Exports,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
    onnx: bool = False,
) -> str:
    """Returns the model card with the usage section that is generated from the graphs.

    Args:
        card: Card, or a function from the usage section to the card; a plain card for `None`.
        model: The model.
        name: Name of the model.
        exports: What is published.
        functions: Traced functions of the signatures and, by the name `LITERT_FILE`, of LiteRT.
        onnx: Whether `model.onnx` is published. Defaults to `False`.
    """
    if isinstance(card, str):
        return card
    text = usage(name, exports, exports.notes, functions=functions, onnx=onnx)
    return card(text) if card else plain_card(name, model, text)


def _published(folder: Path, exports: Exports) -> Exports:
    """Returns the exports without the LiteRT formats that were left out."""
    if exports.quantized is None:
        return exports
    formats = [kind for kind in exports.quantized.formats if (folder / litert_file(kind)).exists()]
    return dataclasses.replace(
        exports, quantized=dataclasses.replace(exports.quantized, formats=formats)
    )


def formats_card(folder: Path, exports: Exports) -> tuple[str, list[str]]:
    """Measures each LiteRT file, and removes those that lose more of the metric than they may.

    Returns:
        The card's section on those that stay, kept as JSON too, and what was left out and why.
    """
    smaller = exports.quantized
    if smaller is None:
        return "", []
    found: dict[str, dict[str, Any]] = {}
    models: dict[str, LiteRTModel] = {}
    left_out = []
    for kind in ("float32", *smaller.formats):
        path = folder / litert_file(kind)
        lite = LiteRTModel(path)
        score = float(smaller.measure(lite))
        whole = found[LITERT_FILE][smaller.metric] if found else score
        # Written so that a NaN, which compares false, does not pass.
        if found and not score >= whole - smaller.drop:
            path.unlink()
            left_out.append(
                f"{path.name} is left out: its {smaller.metric} is {score:.4f} where {LITERT_FILE} "
                f"has {whole:.4f}; it may lose {smaller.drop:.4g}."
            )
            continue
        models[path.name] = lite
        found[path.name] = {
            "format": kind,
            "bytes": path.stat().st_size,
            smaller.metric: score,
        }
    for name, milliseconds in latencies(models, exports.litert).items():
        found[name]["milliseconds"] = round(milliseconds, 3)
    (folder / EXTRAS / LITERT_FORMATS_FILE).write_text(json.dumps(found, indent=2))
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
    functions: Mapping[str, Callable],
    process: fresh_process.VerificationProcess,
    rebuild: Callable[[keras.Model], Exports] | None = None,
) -> None:
    """Has each artefact of a version loaded by a fresh process and compared with the model.

    A `.keras` file whose classes only this process has is loaded by this process alone; what
    `rebuild` makes of it is compared here in either case.

    Args:
        folder: The version's folder.
        model: The model.
        exports: What was published of it.
        functions: The graphs of the signatures and, by the name `LITERT_FILE`, of LiteRT's.
        process: Which loads the files.
        rebuild: From a model to its exports.

    Raises:
        PublishError: At the first artefact that does not agree, saying where.
    """
    signatures = exports.signatures.items()
    wanted = {
        "signatures": {name: record(one, functions[name]) for name, one in signatures},
        "litert": record(exports.litert, functions[LITERT_FILE]),
        "weights": fresh_process.weights_of(model),
    }
    process.check(folder, wanted)
    try:
        # Losses of anybody's need not be known by name.
        again = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    except (TypeError, ValueError) as error:
        raise PublishError(f"{KERAS_FILE} cannot be loaded again: {reason(error)}") from error
    for one, other in zip(model.weights, again.weights, strict=True):
        assert_match(KERAS_FILE, {one.path: np.asarray(one)}, {one.path: np.asarray(other)})
    if rebuild is not None:
        few = dataclasses.replace(exports.litert, examples=exports.litert.examples[:KERAS_EXAMPLES])
        answer = concrete_function(rebuild(again).litert)
        compare(
            KERAS_FILE,
            record(few, functions[LITERT_FILE]),
            lambda **tensors: answer(*tensors.values()),
        )


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
