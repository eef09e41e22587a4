"""Verification of a published version: its files and their outputs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes._utils.wording import counted
from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export import checksums, keras_check, reference_outputs
from dlrecipes.export.checksums import EXAMPLES_FILE
from dlrecipes.export.lite_version import PROCESSING_FILE, LiteVersion
from dlrecipes.export.litert_interpreter import LiteRTModel
from dlrecipes.export.litert_metadata import summary
from dlrecipes.export.processing_check import compare_answers
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.version import (
    EXTRAS,
    KERAS_FILE,
    LITERT_FILE,
    ONNX_FILE,
    litert_file,
    part_file,
)

# Limits per signature: examples, rows of an example, and characters of an example.
MAX_EXAMPLES, MAX_ROWS, MAX_CHARACTERS = 2, 2, 512 * 1024

DEFAULT = "serving_default"
# Parts of the file with the references, each with an empty value of its type.
_PARTS: Mapping[str, Any] = {"signatures": {}, "litert": [], "formats": {}, "parts": {}}

# Kernels for float16 and int8 round differently on different processors.
FORMAT_TOLERANCE = 0.02


def write_references(
    folder: Path, model: Any, exports: Exports, functions: Mapping[str, Callable]
) -> None:
    """Writes reference outputs and the checksums of a version's files to the version.

    Args:
        folder: Folder of the version, with all other files in it.
        model: Keras model that was published.
        exports: Signatures and LiteRT function of the version.
        functions: Traced functions of the signatures and, by the names of the files, of LiteRT.
    """
    references: dict[str, Any] = {
        "signatures": {
            name: small_references(signature, functions[name])
            for name, signature in exports.signatures.items()
        },
    }
    tensors = small_references(exports.litert, functions[LITERT_FILE])
    if not exports.without_litert or (folder / ONNX_FILE).is_file():
        references["litert"] = tensors
    references["formats"] = {
        path.name: reference_outputs.record_again(tensors, litert_function(path))
        for path in smaller_formats(folder)
    }
    references["parts"] = {
        part_file(name): small_references(signature, functions[part_file(name)])
        for name, signature in exports.litert_parts.items()
    }
    references["keras"] = keras_check.record(model, tensors)
    (folder / EXTRAS / EXAMPLES_FILE).write_text(json.dumps(references), encoding="utf-8")
    checksums.write(folder)


def small_references(signature: Signature, function: Callable) -> list[reference_outputs.Reference]:
    """Returns the reference outputs of a signature's first examples, without large ones.

    If all are large, one row of the smallest is returned, so that every signature has references.

    Args:
        signature: Signature with its examples.
        function: Traced function of the signature.
    """
    first = dataclasses.replace(signature, examples=signature.examples[:MAX_EXAMPLES])
    references = reference_outputs.record(first, function, MAX_ROWS)
    small = [entry for entry in references if reference_outputs.size(entry) <= MAX_CHARACTERS]
    if small or not references:
        return small
    rows = reference_outputs.record(first, function, 1)
    return [min(rows, key=reference_outputs.size)]


def check(folder: Path) -> Iterator[str]:
    """Checks a version, or any SavedModel.

    Args:
        folder: Folder of the version.

    Yields:
        A line for each check that passes.

    Raises:
        PublishError: At the first check that fails, with the reason.
        UsageError: If the folder does not contain a SavedModel.
    """
    if not checksums.stored(folder) and not (folder / "saved_model.pb").exists():
        raise UsageError(
            f"{folder}: there is no SavedModel in this folder.",
            "Name a version's folder, such as saved_models/slot_filling/1.",
        )
    yield checksums.check(folder)
    references = read_references(folder)
    try:
        if checksums.stored(folder):
            _check_complete(folder, references)
        yield from check_answers(folder, references)
        yield from _check_processing(folder, references)
        if (folder / KERAS_FILE).is_file():
            yield keras_check.check(folder, references.get("keras"))
    except PublishError as error:
        if error.message.startswith(str(folder)):
            raise
        raise PublishError(f"{folder}: {error.message}", error.hint) from error


def check_answers(folder: Path, references: Mapping[str, Any]) -> Iterator[str]:
    """Compares the outputs of SavedModel, LiteRT and ONNX files with references.

    Args:
        folder: Folder of the version.
        references: References by signature name in `signatures`, those of LiteRT and ONNX in
            `litert`, and those of further LiteRT functions by file name in `parts`.

    Yields:
        A line for each check that passes.

    Raises:
        PublishError: At the first check that fails, with the reason.
    """
    yield from _check_saved_model(folder, references.get("signatures", {}))
    if (folder / LITERT_FILE).is_file():
        yield _check_litert(folder / LITERT_FILE, references.get("litert", []))
    for path in smaller_formats(folder):
        # A metric of these was measured before. They are compared with their own outputs.
        expected = references.get("formats", {}).get(path.name, [])
        yield _check_litert(path, expected, FORMAT_TOLERANCE)
    for path in litert_part_files(folder):
        yield _check_litert(path, references.get("parts", {}).get(path.name, []))
    if (folder / ONNX_FILE).is_file():
        yield check_onnx(folder / ONNX_FILE, references.get("litert", []))


def _check_saved_model(folder: Path, references: Mapping[str, Any]) -> Iterator[str]:
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        message = f"{folder}: the SavedModel cannot be loaded: {reason(error)}"
        raise PublishError(message) from error
    missing = sorted(set(references) - set(loaded.signatures))
    if missing:
        raise PublishError(f"{folder}: the SavedModel does not have the signature {missing[0]}.")
    for name, function in sorted(loaded.signatures.items()):
        if references and name not in references:
            raise PublishError(f"{folder}: the SavedModel has an additional signature {name}.")
        expected = references.get(name, [])
        reference_outputs.compare_or_fail(f"SavedModel, signature {name}", expected, function)
        yield f"SavedModel, signature {name}: {_result(expected)}"


def smaller_formats(folder: Path) -> list[Path]:
    """Returns the smaller LiteRT files of a version: all of its model except `model.tflite`."""
    return sorted(folder.glob(litert_file("*")))


def litert_part_files(folder: Path) -> list[Path]:
    """Returns the LiteRT files of a version's further functions, such as `encoder.tflite`."""
    own = {folder / LITERT_FILE, *smaller_formats(folder)}
    return sorted(set(folder.glob(part_file("*"))) - own)


def _check_litert(
    path: Path, references: list[Mapping[str, Any]], tolerance: float = reference_outputs.TOLERANCE
) -> str:
    reference_outputs.compare_or_fail(path.name, references, litert_function(path), tolerance)
    metadata = summary(path)
    return f"{path.name}: {_result(references)}" + (f"; metadata: {metadata}" if metadata else "")


def litert_function(path: Path) -> Callable[..., Mapping[str, np.ndarray]]:
    """Returns the function of a LiteRT file, from tensors by name to arrays by name."""
    try:
        lite = LiteRTModel(path)
    except Exception as error:
        raise PublishError(f"{path.name}: LiteRT cannot load it: {reason(error)}") from error
    return lambda **tensors: lite(**reference_outputs.arrays(tensors))


def check_onnx(path: Path, references: Sequence[Mapping[str, Any]]) -> str:
    """Compares an ONNX file with references, if ONNX Runtime is installed.

    Args:
        path: ONNX file.
        references: References of the function.

    Returns:
        A line that says what was checked.

    Raises:
        PublishError: If the file cannot be loaded, or an output differs.
    """
    from dlrecipes.export.onnx import OnnxModel, can_run

    if not can_run():
        return f"{ONNX_FILE}: not checked, because onnxruntime is not installed"
    try:
        model = OnnxModel(path)
    except Exception as error:
        raise PublishError(f"{path.name}: ONNX Runtime cannot load it: {reason(error)}") from error
    reference_outputs.compare_or_fail(
        ONNX_FILE, references, lambda **tensors: model(**reference_outputs.arrays(tensors))
    )
    return f"{ONNX_FILE}: {_result(references)}"


def _result(references: Sequence[Mapping[str, Any]]) -> str:
    if not references:
        return f"loads; {reference_outputs.NOT_COMPARED}"
    return f"matches the model on {counted(len(references), 'example')}"


def _check_processing(folder: Path, references: Mapping[str, Any]) -> Iterator[str]:
    """Compares what LiteRT files answer without TensorFlow with references."""
    version = LiteVersion(folder)
    if not version.answers:
        return
    for name in version.steps():
        expected = references.get("signatures", {}).get(name, [])
        what = f"{PROCESSING_FILE}, signature {name}"
        for reference in expected:
            try:
                outputs = version.call(name, **reference_outputs.inputs(reference))
            except Exception as error:
                raise PublishError(f"{what}: fails on its own examples: {reason(error)}") from error
            # On another machine, a pixel of a prepared image may have the next grey level.
            expected_outputs = reference_outputs.expected_outputs(reference)
            compare_answers(expected_outputs, outputs, FORMAT_TOLERANCE, what)
        if expected:
            yield f"{what}, without TensorFlow: {_result(expected)}"


def read_references(folder: Path) -> Mapping[str, Any]:
    """Returns the reference outputs of a version; nothing if it has none.

    Args:
        folder: Folder of the version.

    Raises:
        PublishError: If the file with the references is damaged.
    """
    path = folder / EXTRAS / EXAMPLES_FILE
    references = checksums.read_json(path) if path.is_file() else {}
    if not isinstance(references, dict) or any(
        not isinstance(references.get(part, empty), type(empty)) for part, empty in _PARTS.items()
    ):
        raise PublishError(f"{path}: expected the references of a version.")
    return references


def _check_complete(folder: Path, references: Mapping[str, Any]) -> None:
    """Raises `PublishError` if a file has no references, or references have no file."""
    where = f"{EXTRAS}/{EXAMPLES_FILE}"
    if not references.get("signatures"):
        raise PublishError(
            f"{where} is missing or empty, so the outputs cannot be checked.",
            "Publish the version again, or delete it.",
        )
    tensors = {LITERT_FILE, ONNX_FILE}
    formats = {path.name for path in (*smaller_formats(folder), *litert_part_files(folder))}
    present = {name for name in (*tensors, KERAS_FILE) if (folder / name).is_file()}
    recorded = {*references.get("formats", {}), *references.get("parts", {})}
    # Publishing always writes `model.keras`, and LiteRT's references if there is such a file.
    missing = sorted((recorded - formats) | ({KERAS_FILE} - present))
    if "litert" in references and not present & tensors:
        missing.append(LITERT_FILE)
    if missing:
        raise PublishError(f"{missing[0]} is missing.")
    added = sorted(formats - recorded)
    if "litert" not in references:
        added += sorted(present & tensors)
    if added:
        raise PublishError(f"{added[0]}: {where} has no outputs of this file.")
