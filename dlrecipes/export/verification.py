"""Verification of a published version: its files and their outputs."""

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
# Limits per signature: examples, rows of an example, and characters of an example.
MAX_EXAMPLES, MAX_ROWS, MAX_CHARACTERS = 2, 2, 512 * 1024


def write_references(folder: Path, exports: Exports, functions: Mapping[str, Callable]) -> None:
    """Writes reference outputs and the checksums of a version's files to the version.

    Args:
        folder: Folder of the version, with all other files in it.
        exports: Signatures and LiteRT function of the version.
        functions: Traced functions of the signatures and, by the name `LITERT_FILE`, of LiteRT.
    """
    references = {
        "signatures": {
            name: _small_references(signature, functions[name])
            for name, signature in exports.signatures.items()
        },
        "litert": _small_references(exports.litert, functions[LITERT_FILE]),
    }
    (folder / EXTRAS / EXAMPLES_FILE).write_text(json.dumps(references), encoding="utf-8")
    sums = {name: _sum(folder / name) for name in _files(folder)}
    (folder / EXTRAS / CHECKSUMS_FILE).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _small_references(
    signature: Signature, function: Callable
) -> list[reference_outputs.Reference]:
    """Returns the reference outputs of the first examples, without large ones."""
    first = dataclasses.replace(signature, examples=signature.examples[:MAX_EXAMPLES])
    references = reference_outputs.record(first, function, MAX_ROWS)
    return [entry for entry in references if reference_outputs.size(entry) <= MAX_CHARACTERS]


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
    has_checksums = (folder / EXTRAS / CHECKSUMS_FILE).is_file()
    if not has_checksums and not (folder / "saved_model.pb").is_file():
        raise UsageError(
            f"{folder}: there is no SavedModel in this folder.",
            "Name a version's folder, such as saved_models/slot_filling/1.",
        )
    yield _check_sums(folder)
    yield from check_answers(folder, _references(folder))
    if (folder / KERAS_FILE).is_file():
        yield _check_keras(folder)


def check_answers(folder: Path, references: Mapping[str, Any]) -> Iterator[str]:
    """Compares the outputs of SavedModel, LiteRT and ONNX files with references.

    Args:
        folder: Folder of the version.
        references: References by signature name in `signatures`, and those of LiteRT and ONNX in
            `litert`.

    Yields:
        A line for each check that passes.

    Raises:
        PublishError: At the first check that fails, with the reason.
    """
    yield from _check_saved_model(folder, references.get("signatures", {}))
    for path in sorted(folder.glob("*.tflite")):
        # The smaller formats were measured by a metric. Here they only have to load.
        expected = references.get("litert", []) if path.name == LITERT_FILE else []
        yield _check_litert(path, expected)
    if (folder / ONNX_FILE).is_file():
        yield _check_onnx(folder / ONNX_FILE, references.get("litert", []))


def _check_keras(folder: Path) -> str:
    try:
        parameters = ModelVersion(folder).keras_model(compile=False).count_params()
    except PublishError as error:
        # Checksums detect damage. Classes of the user's own can be loaded only by their code.
        if "Could not locate class" not in str(error.__cause__):
            raise
        return f"{KERAS_FILE}: not loaded, because it has classes that are not registered"
    return f"{KERAS_FILE}: loads, {parameters:,} parameters"


def _check_sums(folder: Path) -> str:
    path = folder / EXTRAS / CHECKSUMS_FILE
    if not path.is_file():
        return "checksums: none were stored"
    expected, names = _read(path), set(_files(folder))
    if not isinstance(expected, dict):
        raise PublishError(f"{path}: expected checksums by file name.")
    for name in sorted(expected):
        if name not in names:
            raise PublishError(f"{folder}: {name} is missing.")
        if _sum(folder / name) != expected[name]:
            raise PublishError(f"{folder}: {name} was changed after it was published.")
    return f"checksums: {len(expected)} files are unchanged"


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
        expected = references.get(name, [])
        reference_outputs.compare(f"SavedModel, signature {name}", expected, function)
        yield f"SavedModel, signature {name}: {_result(expected)}"


def _check_litert(path: Path, references: list[Mapping[str, Any]]) -> str:
    try:
        lite = LiteRTModel(path)
    except Exception as error:
        raise PublishError(f"{path}: LiteRT cannot load it: {reason(error)}") from error
    reference_outputs.compare(
        path.name, references, lambda **tensors: lite(**reference_outputs.arrays(tensors))
    )
    return f"{path.name}: {_result(references)}"


def _check_onnx(path: Path, references: list[Mapping[str, Any]]) -> str:
    from dlrecipes.export.onnx import OnnxModel, can_run

    if not can_run():
        return f"{ONNX_FILE}: not checked, because onnxruntime is not installed"
    try:
        model = OnnxModel(path)
    except Exception as error:
        raise PublishError(f"{path}: ONNX Runtime cannot load it: {reason(error)}") from error
    reference_outputs.compare(
        ONNX_FILE, references, lambda **tensors: model(**reference_outputs.arrays(tensors))
    )
    return f"{ONNX_FILE}: {_result(references)}"


def _result(references: list[Mapping[str, Any]]) -> str:
    return f"matches the model on {len(references)} examples" if references else "loads"


def _references(folder: Path) -> Mapping[str, Any]:
    path = folder / EXTRAS / EXAMPLES_FILE
    return _read(path) if path.is_file() else {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise PublishError(f"{path}: this is not JSON.") from None


def _files(folder: Path) -> list[str]:
    """Returns the relative paths of a version's files, without the file of checksums."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != CHECKSUMS_FILE
    )


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def found_in(path: Path) -> list[Path]:
    """Returns the versions that a path names: the path itself, or all versions of a model.

    Args:
        path: Folder of a version or of a model.

    Returns:
        Folders of versions, oldest first.

    Raises:
        UsageError: If there are no versions at the path.
    """
    if not path.is_dir():
        problem = "this is not a folder" if path.exists() else "there is no such folder"
        raise UsageError(f"{path}: {problem}.", "Name the folder of a version or of a model.")
    # A version that has lost its SavedModel is still recognized.
    if (path / "saved_model.pb").exists() or (path / EXTRAS / CHECKSUMS_FILE).exists():
        return [path]
    folders = list(version_folders(path).values())
    if not folders:
        raise UsageError(
            f"{path}: there are no versions in this folder.",
            "Name the folder of a version or of a model.",
        )
    return folders
