"""Publishes a model as SavedModel, LiteRT, `.keras` and model card, after verifying the files."""

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
from dlrecipes.export.keras_call import without_default_signature
from dlrecipes.export.litert import LiteRTModel, concrete_function, convert, latencies
from dlrecipes.export.reference_outputs import assert_match, check_graph, compare, record
from dlrecipes.export.signatures import (
    Exports,
    Signature,
    exports_from_model,
    exports_from_signatures,
)
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

# The weights are compared as well, so a few examples are enough.
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
    """Writes a new version of a model after comparing each of its files with the model.

    The version is written under a temporary name and renamed at the end. Readers of `directory`
    therefore see complete versions only, and processes that publish at the same time get
    different versions.

    Args:
        model: Trained model.
        directory: Folder of the model, in which versions are numbered from 1.
        signatures: `Exports`, or signatures by name, of which `serving_default` becomes the LiteRT
            file as well. Defaults to `None`: the model's own inputs and outputs.
        card: Model card in Markdown, or a function that returns it and takes the usage section
            that is generated from the signatures. Defaults to `None`: a plain card.
        rebuild: Function from a model to its exports. It is applied to the reloaded `.keras` file,
            whose outputs are then compared as well as its weights. Defaults to `None`, which
            means `exports_from_model` if there are no `signatures`.
        examples: Inputs of the model on which the files are compared with it, required if there
            are no `signatures`. Defaults to `None`.
        onnx: Whether to publish the LiteRT function as `model.onnx` as well. It is compared with
            the model if ONNX Runtime is installed. Defaults to `False`.

    Returns:
        The folder of the new version.

    Raises:
        PublishError: If a file cannot be written, or does not match the model. Nothing is left
            in `directory` in this case.
        UsageError: If `model` is not a Keras model, signatures and examples are both missing, the
            examples do not fit the model, or ONNX is requested and its converter is not
            installed.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.export import publish
    >>> model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = publish(model, Path(folder) / "net", examples=np.ones((4, 3), "float32"))
    ...     sorted(path.name for path in version.glob("model.*"))
    ['model.keras', 'model.tflite']
    """
    directory = Path(directory)
    if not isinstance(model, keras.Model):
        raise UsageError(f"publish: expected a Keras model, got {type(model).__name__}.")
    if isinstance(signatures, Exports):
        exports = signatures
    elif signatures is None:
        if examples is None:
            raise UsageError("publish: expected signatures, or examples of the inputs.")
        exports = exports_from_model(model, examples)
        rebuild = rebuild or (lambda loaded: exports_from_model(loaded, examples))
    else:
        exports = exports_from_signatures(signatures)
    if onnx:
        onnx_file.check_installed()
    work = directory / f".publishing-{uuid.uuid4().hex}"
    _delete_old_work(directory)
    try:
        work.mkdir(parents=True)
        with fresh_process.VerificationProcess() as process, suppress_stderr():
            functions = {key: concrete_function(s) for key, s in exports.signatures.items()}
            functions[LITERT_FILE] = concrete_function(exports.litert)
            write_saved_model(model, work, {key: functions[key] for key in exports.signatures})
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
        write_references(work, model, exports, functions)
        fsync_tree(work)
        return _rename_to_version(work, directory)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"{directory}: {reason(error).rstrip('.')}.", "Nothing was published."
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with contextlib.suppress(OSError):
            directory.rmdir()  # Fails unless the folder is empty.


def write_saved_model(
    model: keras.Model,
    folder: Path,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
) -> None:
    """Writes a SavedModel with the functions, and the model's variables and lookup tables."""
    archive = tf.Module()
    archive.model = model
    with without_default_signature():
        tf.saved_model.save(archive, str(folder), signatures=dict(functions))


def write_litert(folder: Path, exports: Exports) -> None:
    """Writes `model.tflite`, and the smaller formats that the exports list."""
    (folder / LITERT_FILE).write_bytes(convert(exports.litert))
    if exports.quantized is None:
        return
    for kind in exports.quantized.formats:
        content = convert(exports.litert, kind, exports.quantized.calibration)
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
        exports: Signatures, LiteRT function and formats of the version.
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
    """Measures each LiteRT file, and deletes those whose metric decreases too much.

    The measurements are written to the version as JSON as well.

    Args:
        folder: Folder of the version.
        exports: LiteRT function and formats.

    Returns:
        The card's section on the remaining files, and a line on each file that was deleted.
    """
    smaller = exports.quantized
    if smaller is None:
        return "", []
    measured: dict[str, dict[str, Any]] = {}
    models: dict[str, LiteRTModel] = {}
    left_out = []
    for kind in ("float32", *smaller.formats):
        path = folder / litert_file(kind)
        lite = LiteRTModel(path)
        score = float(smaller.measure(lite))
        baseline = measured[LITERT_FILE][smaller.metric] if measured else score
        # Written so that a NaN, which compares false, is left out.
        if measured and not score >= baseline - smaller.drop:
            path.unlink()
            left_out.append(
                f"{path.name} is left out: its {smaller.metric} is {score:.4f}, compared with "
                f"{baseline:.4f} for {LITERT_FILE}; the allowed decrease is {smaller.drop:.4g}."
            )
            continue
        models[path.name] = lite
        measured[path.name] = {
            "format": kind,
            "bytes": path.stat().st_size,
            smaller.metric: score,
        }
    for name, milliseconds in latencies(models, exports.litert).items():
        measured[name]["milliseconds"] = round(milliseconds, 3)
    (folder / EXTRAS / LITERT_FORMATS_FILE).write_text(json.dumps(measured, indent=2))
    rows = [
        [f"`{name}`", f"{row['bytes']:,}", f"{row[smaller.metric]:.4f}", f"{row['milliseconds']:g}"]
        for name, row in measured.items()
    ]
    header = ["LiteRT file", "bytes", f"{smaller.metric}, test", "ms per example, one thread"]
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
    """Loads each file of a version in a fresh process and compares it with the model.

    The `.keras` file is loaded in this process as well: only this process has the classes that
    the user defined, and only here can `rebuild` be applied.

    Args:
        folder: Folder of the version.
        model: Model that the files must match.
        exports: Signatures and LiteRT function of the version.
        functions: Traced functions of the signatures and, by the name `LITERT_FILE`, of LiteRT.
        process: Process that loads the files.
        rebuild: Function from a model to its exports. Defaults to `None`: only the weights of the
            `.keras` file are compared.

    Raises:
        PublishError: At the first file that does not match.
    """
    signatures = exports.signatures.items()
    for key, signature in signatures:
        check_graph(f"signature {key}", signature, functions[key])
    expected = {
        "signatures": {key: record(signature, functions[key]) for key, signature in signatures},
        "litert": record(exports.litert, functions[LITERT_FILE]),
        "weights": fresh_process.weights_of(model),
    }
    process.check(folder, expected)
    try:
        # Without the losses, which may be the user's own functions.
        loaded = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    except (TypeError, ValueError) as error:
        raise PublishError(f"{KERAS_FILE} cannot be loaded: {reason(error)}") from error
    for weight, copy in zip(model.weights, loaded.weights, strict=True):
        path = weight.path
        assert_match(KERAS_FILE, {path: np.asarray(weight)}, {path: np.asarray(copy)})
    if rebuild is not None:
        examples = exports.litert.examples[:KERAS_EXAMPLES]
        first = dataclasses.replace(exports.litert, examples=examples)
        copy_ = rebuild(loaded).litert
        rebuilt = concrete_function(copy_)
        names = [spec.name for spec in copy_.inputs]
        _check_inputs(names, [spec.name for spec in first.inputs])
        compare(
            KERAS_FILE,
            record(first, functions[LITERT_FILE]),
            # By name: the loaded model may have its inputs in another order.
            lambda **tensors: rebuilt(*(tensors[name] for name in names)),
        )


def _check_inputs(names: list[str], expected: list[str]) -> None:
    if sorted(names) != sorted(expected):
        raise PublishError(
            f"{KERAS_FILE}: its inputs are {', '.join(names)}, the model's {', '.join(expected)}."
        )


def _delete_old_work(directory: Path) -> None:
    # Deletes the files of killed processes. Publishing takes less than a day.
    for old in directory.glob(".publishing-*"):
        with contextlib.suppress(OSError):  # Another process may delete the same folder.
            if time.time() - old.stat().st_mtime > 86_400:
                shutil.rmtree(old, ignore_errors=True)


def _rename_to_version(work: Path, directory: Path) -> Path:
    while True:
        final = directory / str(max(versions(directory), default=0) + 1)
        try:
            work.rename(final)
        except OSError as error:
            # Another process used this number first: its folder is not empty.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return final
