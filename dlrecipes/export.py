"""Publishes a model: SavedModel, LiteRT, `.keras` and card, verified before anyone sees them."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from dlrecipes.errors import PublishError, reason
from dlrecipes.files import flush
from dlrecipes.published import EXTRAS, KERAS_FILE, LITE_FILE, versions
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
            (work / LITE_FILE).write_bytes(to_lite(exports.lite))
        (work / "README.md").write_text(card, encoding="utf-8")
        (work / EXTRAS).mkdir()
        for name, text in exports.files.items():
            (work / EXTRAS / name).write_text(text, encoding="utf-8")
        with quiet():
            verify(work, model, exports, rebuild)
        flush(work)
        return _reveal(work, directory)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"{directory}: {reason(error)}.",
            "Nothing was published; the run is kept: go on with --resume.",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def traced(endpoint: Endpoint) -> tf.types.experimental.ConcreteFunction:
    """Returns an endpoint's function as one graph for every example."""
    function = tf.function(endpoint.function, input_signature=list(endpoint.inputs))
    return function.get_concrete_function()


def write_saved_model(model: keras.Model, folder: Path, signatures: Mapping[str, Endpoint]) -> None:
    """Writes a SavedModel whose functions hold the model's variables and tables."""
    archive = tf.Module()
    archive.model = model
    functions = {name: traced(endpoint) for name, endpoint in signatures.items()}
    tf.saved_model.save(archive, str(folder), signatures=functions)


def to_lite(endpoint: Endpoint) -> bytes:
    """Converts a function to LiteRT with built-in ops only, recurrent networks included.

    The function is frozen first: a graph of constants is what keeps a loop of unknown
    length free of TensorFlow ("Flex") ops. The frozen graph passes through a SavedModel
    because that alone keeps the names of inputs and outputs.

    Raises:
        PublishError: If the function needs an op that LiteRT does not have.
    """
    concrete = traced(endpoint)
    names = sorted(concrete.structured_outputs)
    frozen = convert_variables_to_constants_v2(concrete)

    def named(*tensors):
        return dict(zip(names, frozen(*tensors), strict=True))

    with tempfile.TemporaryDirectory() as folder:
        signature = tf.function(named, input_signature=list(endpoint.inputs))
        tf.saved_model.save(tf.Module(), folder, signatures=signature.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return converter.convert()
        except Exception as error:
            line = next((x for x in str(error).splitlines() if "op is neither" in x), str(error))
            raise PublishError(f"LiteRT cannot run this model: {line.strip()[:300]}") from error


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


class LiteModel:
    """A `model.tflite` in the stock interpreter, called by input name, at any length.

    Args:
        path: The file.
        threads: Threads the interpreter uses.
    """

    def __init__(self, path: Path, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        signatures = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(next(iter(signatures)))

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        return self._runner(**inputs)


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
