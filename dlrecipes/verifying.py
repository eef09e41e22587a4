"""Checks a published version again: its files, and what each of them answers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.lite import LiteModel
from dlrecipes.published import EXTRAS, KERAS_FILE, LITE_FILE, Published, versions
from dlrecipes.recipe import Endpoint, Exports

CHECKSUMS_FILE, EXAMPLES_FILE = "checksums.json", "examples.json"
TOLERANCE = 1e-4
# Kept of each signature: examples, rows of one, and bytes of one at most.
KEPT, ROWS, LARGEST = 2, 2, 512 * 1024


def agree(what: str, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> None:
    """Compares outputs with those that are wanted: numbers nearly, all else exactly.

    Args:
        what: What answered, for messages.
        expected: What is wanted, by name.
        found: What came.

    Raises:
        PublishError: At the first that differs.
    """
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


def record(folder: Path, exports: Exports, functions: Mapping[str, Callable]) -> None:
    """Writes what a version answers to some inputs, and its files' checksums, beside it.

    Args:
        folder: The version's folder, with all else in it.
        exports: What it was made of.
        functions: The signatures' graphs, and that of LiteRT's function by the name `LITE_FILE`.
    """
    kept = {
        "signatures": {
            name: _answers(one, functions[name]) for name, one in exports.signatures.items()
        },
        "lite": _answers(exports.lite, functions[LITE_FILE]),
    }
    (folder / EXTRAS / EXAMPLES_FILE).write_text(json.dumps(kept), encoding="utf-8")
    sums = {name: _sum(folder / name) for name in _files(folder)}
    (folder / EXTRAS / CHECKSUMS_FILE).write_text(json.dumps(sums, indent=1), encoding="utf-8")


def _answers(endpoint: Endpoint, model: Callable) -> list[dict[str, dict[str, str]]]:
    """Returns examples with what the model answers, those that are not large."""
    by_row = all(spec.shape.rank and spec.shape[0] is None for spec in endpoint.inputs)
    found = []
    for example in endpoint.examples[:KEPT]:
        few = [array[:ROWS] for array in example] if by_row else example
        tensors = [
            tf.constant(array, spec.dtype) for spec, array in zip(endpoint.inputs, few, strict=True)
        ]
        names = [spec.name for spec in endpoint.inputs]
        one = {
            "inputs": _packed(dict(zip(names, tensors, strict=True))),
            "outputs": _packed(model(*tensors)),
        }
        if sum(len(text) for side in one.values() for text in side.values()) <= LARGEST:
            found.append(one)
    return found


def _packed(tensors: Mapping[str, tf.Tensor]) -> dict[str, str]:
    return {
        name: base64.b64encode(tf.io.serialize_tensor(tensor).numpy()).decode()
        + f":{tensor.dtype.name}"
        for name, tensor in tensors.items()
    }


def _unpacked(packed: Mapping[str, str]) -> dict[str, tf.Tensor]:
    found = {}
    for name, text in packed.items():
        content, _, dtype = text.partition(":")
        found[name] = tf.io.parse_tensor(base64.b64decode(content), tf.as_dtype(dtype))
    return found


def check(folder: Path) -> Iterator[str]:
    """Checks a version, ours or any SavedModel; yields a line for each thing that is right.

    Args:
        folder: The version's folder.

    Raises:
        PublishError: At the first thing that is wrong, saying what.
        UsageError: If the folder holds no SavedModel.
    """
    if not (folder / "saved_model.pb").is_file():
        raise UsageError(
            f"{folder}: there is no SavedModel in it.",
            "Name a version's folder, such as saved_models/slot_filling/1.",
        )
    yield _check_sums(folder)
    kept = _kept(folder)
    yield from _check_saved_model(folder, kept.get("signatures", {}))
    if (folder / LITE_FILE).is_file():
        yield _check_lite(folder / LITE_FILE, kept.get("lite", []))
    if (folder / KERAS_FILE).is_file():
        parameters = Published(folder).keras_model().count_params()
        yield f"{KERAS_FILE}: loads, {parameters:,} parameters"


def _check_sums(folder: Path) -> str:
    path = folder / EXTRAS / CHECKSUMS_FILE
    if not path.is_file():
        return "checksums: none were kept"
    wanted, there = _read(path), set(_files(folder))
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
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise PublishError(f"{folder}: the SavedModel cannot be loaded: {first}") from error
    missing = sorted(set(kept) - set(loaded.signatures))
    if missing:
        raise PublishError(f"{folder}: the SavedModel has no signature {missing[0]}.")
    for name, function in sorted(loaded.signatures.items()):
        examples = kept.get(name, [])
        _ask(f"SavedModel, signature {name}", examples, function)
        yield f"SavedModel, signature {name}: {_told(examples)}"


def _check_lite(path: Path, examples: list[Mapping[str, Any]]) -> str:
    try:
        lite = LiteModel(path)
    except Exception as error:
        raise PublishError(f"{path}: LiteRT cannot load it: {reason(error)}") from error
    _ask(LITE_FILE, examples, lambda **tensors: lite(**arrays(tensors)))
    return f"{LITE_FILE}: {_told(examples)}"


def _ask(what: str, examples: list[Mapping[str, Any]], function: Callable) -> None:
    for one in examples:
        found = function(**_unpacked(one["inputs"]))
        agree(what, arrays(_unpacked(one["outputs"])), arrays(found))


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


def arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns tensors as arrays."""
    return {name: np.asarray(value) for name, value in tensors.items()}


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
    if (path / "saved_model.pb").exists():
        return [path]
    there = [path / str(number) for number in versions(path)]
    if not there:
        raise UsageError(f"{path}: no version lies there.", "Name a version's folder.")
    return there
