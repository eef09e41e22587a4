"""Checks a published version again: its files, and what each of them answers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export import reference_outputs
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.version import (
    EXTRAS,
    KERAS_FILE,
    LITERT_FILE,
    ONNX_FILE,
    ModelVersion,
    version_folders,
)

CHECKSUMS_FILE, EXAMPLES_FILE = "checksums.json", "examples.json"
# Kept of each signature: examples, rows of one, and bytes of one at most.
KEPT, ROWS, LARGEST = 2, 2, 512 * 1024


def write_references(folder: Path, exports: Exports, functions: Mapping[str, Callable]) -> None:
    """Writes what a version answers to some inputs, and its files' checksums, beside it.

    Args:
        folder: The version's folder, with all else in it.
        exports: What it was made of.
        functions: The signatures' graphs, and that of LiteRT's function by the name `LITERT_FILE`.
    """
    kept = {
        "signatures": {
            name: _few(one, functions[name]) for name, one in exports.signatures.items()
        },
        "litert": _few(exports.litert, functions[LITERT_FILE]),
    }
    (folder / EXTRAS / EXAMPLES_FILE).write_text(json.dumps(kept), encoding="utf-8")
    sums = {name: _sum(folder / name) for name in _files(folder)}
    (folder / EXTRAS / CHECKSUMS_FILE).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _few(endpoint: Signature, model: Callable) -> list[reference_outputs.Reference]:
    """Returns examples with what the model answers, those that are not large."""
    first = dataclasses.replace(endpoint, examples=endpoint.examples[:KEPT])
    found = reference_outputs.record(first, model, ROWS)
    return [one for one in found if reference_outputs.size(one) <= LARGEST]


def check(folder: Path) -> Iterator[str]:
    """Checks a version, ours or any SavedModel; yields a line for each thing that is right.

    Args:
        folder: The version's folder.

    Raises:
        PublishError: At the first thing that is wrong, saying what.
        UsageError: If the folder holds no SavedModel.
    """
    kept = (folder / EXTRAS / CHECKSUMS_FILE).is_file()
    if not kept and not (folder / "saved_model.pb").is_file():
        raise UsageError(
            f"{folder}: there is no SavedModel in it.",
            "Name a version's folder, such as saved_models/slot_filling/1.",
        )
    yield _check_sums(folder)
    yield from check_answers(folder, _kept(folder))
    if (folder / KERAS_FILE).is_file():
        yield _check_keras(folder)


def check_answers(folder: Path, kept: Mapping[str, Any]) -> Iterator[str]:
    """Compares what SavedModel, LiteRT and ONNX answer; yields a line for each that is right.

    Args:
        folder: The version's folder.
        kept: `signatures`, examples with their answers by name, and `litert`, those of LiteRT
            and ONNX.

    Raises:
        PublishError: At the first thing that is wrong, saying what.
    """
    yield from _check_saved_model(folder, kept.get("signatures", {}))
    for path in sorted(folder.glob("*.tflite")):
        # What smaller forms answer is their metric's matter: here they load.
        yield _check_litert(path, kept.get("litert", []) if path.name == LITERT_FILE else [])
    if (folder / ONNX_FILE).is_file():
        yield _check_onnx(folder / ONNX_FILE, kept.get("litert", []))


def _check_keras(folder: Path) -> str:
    try:
        parameters = ModelVersion(folder).keras_model(compile=False).count_params()
    except PublishError as error:
        # Checksums tell of damage; classes of anybody's are known to their owner's code alone.
        if "Could not locate class" not in str(error.__cause__):
            raise
        return f"{KERAS_FILE}: not loaded, for it has classes that are not known here"
    return f"{KERAS_FILE}: loads, {parameters:,} parameters"


def _check_sums(folder: Path) -> str:
    path = folder / EXTRAS / CHECKSUMS_FILE
    if not path.is_file():
        return "checksums: none were kept"
    wanted, there = _read(path), set(_files(folder))
    if not isinstance(wanted, dict):
        raise PublishError(f"{path}: these are no checksums.")
    for name in sorted(wanted):
        if name not in there:
            raise PublishError(f"{folder}: {name} is missing.")
        if _sum(folder / name) != wanted[name]:
            raise PublishError(f"{folder}: {name} is not what was published.")
    return f"checksums: {len(wanted)} files are as they were published"


def _check_saved_model(folder: Path, kept: Mapping[str, Any]) -> Iterator[str]:
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        told = f"{folder}: the SavedModel cannot be loaded: {reason(error)}"
        raise PublishError(told) from error
    missing = sorted(set(kept) - set(loaded.signatures))
    if missing:
        raise PublishError(f"{folder}: the SavedModel has no signature {missing[0]}.")
    for name, function in sorted(loaded.signatures.items()):
        examples = kept.get(name, [])
        reference_outputs.compare(f"SavedModel, signature {name}", examples, function)
        yield f"SavedModel, signature {name}: {_told(examples)}"


def _check_litert(path: Path, examples: list[Mapping[str, Any]]) -> str:
    try:
        lite = LiteRTModel(path)
    except Exception as error:
        raise PublishError(f"{path}: LiteRT cannot load it: {reason(error)}") from error
    reference_outputs.compare(
        path.name, examples, lambda **tensors: lite(**reference_outputs.arrays(tensors))
    )
    return f"{path.name}: {_told(examples)}"


def _check_onnx(path: Path, examples: list[Mapping[str, Any]]) -> str:
    from dlrecipes.export.onnx import OnnxModel, can_run

    if not can_run():
        return f"{ONNX_FILE}: not checked, for onnxruntime is not installed"
    try:
        model = OnnxModel(path)
    except Exception as error:
        raise PublishError(f"{path}: ONNX Runtime cannot load it: {reason(error)}") from error
    reference_outputs.compare(
        ONNX_FILE, examples, lambda **tensors: model(**reference_outputs.arrays(tensors))
    )
    return f"{ONNX_FILE}: {_told(examples)}"


def _told(examples: list[Mapping[str, Any]]) -> str:
    return f"answers {len(examples)} examples as the model did" if examples else "loads"


def _kept(folder: Path) -> Mapping[str, Any]:
    path = folder / EXTRAS / EXAMPLES_FILE
    return _read(path) if path.is_file() else {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise PublishError(f"{path}: this is not JSON.") from None


def _files(folder: Path) -> list[str]:
    """Returns a version's files but for the checksums themselves, by path from its folder."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != CHECKSUMS_FILE
    )


def _sum(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            found.update(part)
    return found.hexdigest()


def found_in(path: Path) -> list[Path]:
    """Returns the versions that a path names: itself, or all of a model's, oldest first.

    Raises:
        UsageError: If there is none.
    """
    if not path.is_dir():
        reason_ = "this is no folder" if path.exists() else "there is no such folder"
        raise UsageError(f"{path}: {reason_}.", "Name a version's folder, or a model's.")
    # A version that has lost its SavedModel is one all the same.
    if (path / "saved_model.pb").exists() or (path / EXTRAS / CHECKSUMS_FILE).exists():
        return [path]
    there = list(version_folders(path).values())
    if not there:
        raise UsageError(f"{path}: no version lies there.", "Name a version's folder.")
    return there
