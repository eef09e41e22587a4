"""Adds formats to a published version, or removes them, as the model's next version.

Files that stay are the same files on disk (hard links) where the system has links.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.files import fsync_tree
from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export import checksums
from dlrecipes.export.checksums import EXAMPLES_FILE
from dlrecipes.export.litert_kinds import LITERT_KINDS
from dlrecipes.export.new_version import link_files, rename_to_version, replace_file, work_folder
from dlrecipes.export.version import (
    EXTRAS,
    LITERT_FILE,
    LITERT_FORMATS_FILE,
    ONNX_FILE,
    litert_file,
    part_file,
)
from dlrecipes.export.version_folders import version_number

if TYPE_CHECKING:
    import keras

    from dlrecipes.export.signatures import Exports

REFERENCES = f"{EXTRAS}/{EXAMPLES_FILE}"
MEASUREMENTS = f"{EXTRAS}/{LITERT_FORMATS_FILE}"


@dataclass(frozen=True)
class Change:
    """Formats that the next version adds to the earlier one, or leaves out.

    Args:
        add: LiteRT formats to add. Defaults to none.
        remove: LiteRT formats to leave out. Defaults to none.
        onnx: Whether to add `model.onnx`. Defaults to `False`.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    onnx: bool = False

    def needs_model(self, folder: Path) -> bool:
        """Returns whether the files are made from the Keras model, not from `model.tflite`."""
        return bool(self.add) or (self.onnx and not (folder / LITERT_FILE).is_file())


def plan(
    folder: Path, formats: Sequence[str] | None = None, onnx: bool = False, litert: bool = True
) -> Change:
    """Returns what has to change for a version to have certain formats.

    Args:
        folder: Folder of the version.
        formats: Smaller LiteRT formats to add; an empty list leaves out those that are there.
            Defaults to `None`: they stay.
        onnx: Whether to add `model.onnx`. Defaults to `False`.
        litert: `False` leaves out all LiteRT files. Defaults to `True`.

    Raises:
        UsageError: If the version has all of it, or cannot be followed by another version.
        PublishError: If a file of the version is damaged.
    """
    if version_number(folder.absolute().name) is None:
        raise UsageError(
            f"{folder}: the folder's name is not a version's number.",
            "Put it into a folder of its own, as NAME/1.",
        )
    there = [kind for kind in LITERT_KINDS if (folder / litert_file(kind)).is_file()]
    add = [kind for kind in formats or () if kind not in there]
    if add and "float32" not in there:
        add.insert(0, "float32")
    remove = there if not litert else there[1:] if formats is not None and not formats else []
    change = Change(tuple(add), tuple(remove), onnx and not (folder / ONNX_FILE).is_file())
    if change == Change():
        raise UsageError(
            f"{folder}: nothing to change; its formats are "
            f"{', '.join(_listed(folder)) or 'those of the SavedModel and Keras'}.",
            "Name what to add or leave out: --quantize, --format onnx or --no-litert.",
        )
    checksums.check(folder)
    return change


def _listed(folder: Path) -> list[str]:
    names = [litert_file(kind) for kind in LITERT_KINDS] + [ONNX_FILE]
    return [name for name in names if (folder / name).is_file()]


def apply(
    folder: Path, change: Change, load: Callable[[], tuple[keras.Model, Exports]] | None = None
) -> Path:
    """Publishes the next version of a model, with other formats than an earlier version.

    New files are verified. The others are not written again, except for the card, the references,
    the measurements and the checksums.

    Args:
        folder: Folder of the earlier version.
        change: The change, from `plan`.
        load: Function that returns the version's model and its exports; called only if
            `change.needs_model`. Defaults to `None`.

    Returns:
        The folder of the new version.

    Raises:
        PublishError: If a file cannot be made, or does not match the model. Nothing is published
            in this case.
    """
    from dlrecipes._utils.quiet import suppress_stderr

    directory = folder.absolute().parent
    try:
        with work_folder(directory) as work:
            link_files(folder, work)
            with suppress_stderr():
                made = _Files(work, change, load)
                made.write()
            for line in made.left_out:
                print(f"Note: {line}", file=sys.stderr)
            if made.left_out and len(made.left_out) == len(change.add) and not change.onnx:
                raise PublishError(made.left_out[0], "Nothing was published.")
            replace_file(work / "README.md", made.card())
            replace_file(work / REFERENCES, json.dumps(made.references))
            (work / EXTRAS / checksums.CHECKSUMS_FILE).unlink(missing_ok=True)
            checksums.write(work)
            fsync_tree(work)
            return rename_to_version(work, directory)
    except OSError as error:
        raise PublishError(
            f"{directory}: {reason(error).rstrip('.')}.", "Nothing was published."
        ) from error


class _Files:
    """The files of the next version while they are made.

    Args:
        work: Folder with the files of the earlier version.
        change: The change.
        load: Function that returns the model and its exports.
    """

    def __init__(
        self, work: Path, change: Change, load: Callable[[], tuple[keras.Model, Exports]] | None
    ):
        from dlrecipes.export import verification

        self.work, self.change, self.load = work, change, load
        self.references: dict[str, Any] = dict(verification.read_references(work))
        self.left_out: list[str] = []
        # Section of the card on measurements, and the usage section, if they are written again.
        self.sizes: str | None = None
        self.usage: list[str] = []

    def write(self) -> None:
        """Writes, verifies and measures the new files, and removes others."""
        for kind in self.change.remove:
            (self.work / litert_file(kind)).unlink()
            self.references.get("formats", {}).pop(litert_file(kind), None)
        if LITERT_FILE in map(litert_file, self.change.remove):
            (self.work / MEASUREMENTS).unlink(missing_ok=True)
            for name in self.references.pop("parts", {}):
                (self.work / name).unlink()
        elif self.change.remove:
            kept = {
                name: row
                for name, row in self._measurements().items()
                if name not in map(litert_file, self.change.remove)
            }
            replace_file(self.work / MEASUREMENTS, json.dumps(kept, indent=2))
        if self.change.needs_model(self.work):
            self._add_from_model()
        elif self.change.onnx:
            self._add_onnx()
        if not _listed(self.work):
            self.references.pop("litert", None)

    def _measurements(self) -> dict[str, dict[str, Any]]:
        path = self.work / MEASUREMENTS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _add_from_model(self) -> None:
        from dlrecipes.export import onnx, usage
        from dlrecipes.export.formats_card import formats_card
        from dlrecipes.export.litert import concrete_function
        from dlrecipes.export.litert_files import prepared, without_omitted, write_litert
        from dlrecipes.export.model_checks import layer_names
        from dlrecipes.export.reference_outputs import compare_or_fail, record, record_again
        from dlrecipes.export.verification import (
            check_onnx,
            litert_function,
            small_references,
            smaller_formats,
        )

        assert self.load is not None
        model, exports = self.load()
        layers, onnx_there = layer_names(model), (self.work / ONNX_FILE).is_file()
        if self.change.add:
            there = [kind for kind in LITERT_KINDS[1:] if (self.work / litert_file(kind)).is_file()]
            exports = prepared(_with_formats(exports, [*there, *self.change.add]), layers)
            write_litert(self.work, exports, layers, self.change.add)
        else:
            exports = dataclasses.replace(exports, without_litert="It was not requested.")
        function = concrete_function(exports.litert)
        references = record(exports.litert, function)
        if "float32" in self.change.add:
            compare_or_fail(LITERT_FILE, references, litert_function(self.work / LITERT_FILE))
            self.references["parts"] = self._check_parts(exports)
        if self.change.onnx:
            (self.work / ONNX_FILE).write_bytes(onnx.convert(exports.litert))
            check_onnx(self.work / ONNX_FILE, references)
        self.references.setdefault("litert", small_references(exports.litert, function))
        if self.change.add:
            known = self._measurements()
            (self.work / MEASUREMENTS).unlink(missing_ok=True)
            self.sizes, self.left_out = formats_card(self.work, exports, model, known)
        recorded = self.references.setdefault("formats", {})
        for path in smaller_formats(self.work):
            if path.name not in recorded:
                outputs = record_again(self.references["litert"], litert_function(path))
                recorded[path.name] = outputs
        shown = without_omitted(self.work, exports)
        self.usage = usage.litert_usage(shown, function, self.change.onnx or onnx_there)

    def _check_parts(self, exports: Exports) -> dict[str, Any]:
        """Compares the files of further LiteRT functions; returns their references."""
        from dlrecipes.export.litert import concrete_function
        from dlrecipes.export.reference_outputs import compare_or_fail, record
        from dlrecipes.export.verification import litert_function, small_references

        references = {}
        for name, signature in exports.litert_parts.items():
            file, function = part_file(name), concrete_function(signature)
            expected = record(signature, function)
            compare_or_fail(file, expected, litert_function(self.work / file))
            references[file] = small_references(signature, function)
        return references

    def _add_onnx(self) -> None:
        """Converts `model.tflite`, which needs neither the model nor its data."""
        from dlrecipes.export import onnx
        from dlrecipes.export.verification import check_onnx

        path = self.work / ONNX_FILE
        path.write_bytes(onnx.convert_litert(self.work / LITERT_FILE))
        check_onnx(path, self.references.get("litert", []))

    def card(self) -> str:
        """Returns the model card of the new version."""
        from dlrecipes.export import card_changes

        path = self.work / "README.md"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        removed = [litert_file(kind) for kind in self.change.remove]
        text = card_changes.without_files(text, removed)
        if self.usage:
            text = card_changes.with_usage(text, self.usage)
        elif self.change.onnx:
            text = card_changes.with_onnx(text, self.references.get("litert", []))
        if self.sizes is not None:
            added = [litert_file(kind) for kind in self.change.add]
            text = card_changes.with_measurements(text, self.sizes, added)
        return card_changes.with_litert(text, (self.work / LITERT_FILE).is_file())


def _with_formats(exports: Exports, kinds: Sequence[str]) -> Exports:
    """Returns exports with these smaller formats."""
    smaller = exports.quantized
    if smaller is None:
        raise UsageError(
            "the recipe does not say how to measure smaller LiteRT files.",
            "Have its `signatures` return Exports(..., quantized=Quantized(...)).",
        )
    formats: Any = [kind for kind in LITERT_KINDS[1:] if kind in kinds]
    return dataclasses.replace(exports, quantized=dataclasses.replace(smaller, formats=formats))


def measurements(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Returns the measurements of a version's LiteRT files by name; nothing without them."""
    path = folder / MEASUREMENTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
