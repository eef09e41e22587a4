"""Reports on the three parts of any recipe's data, from the examples alone."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.folder_entries import natural
from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.data.image_facts import EncodedImage, ImageSource
from dlrecipes.data.parts import PARTS
from dlrecipes.data.reports.boxes import report_boxes
from dlrecipes.data.reports.class_counts import add_classes, add_groups
from dlrecipes.data.reports.copies import Copies
from dlrecipes.data.reports.images import ImageCheck
from dlrecipes.data.reports.report import DataReport, Finding
from dlrecipes.data.sources import load_source
from dlrecipes.errors import reason

# Attributes, keys or columns that hold labels, and names of the classes.
LABELS = ("labels", "label", "targets", "target", "classes", "intent", "y")
NAMES = ("names", "class_names", "label_names")
# Classes and examples of a sheet, columns of numbers in a table, and letters of a text.
SHEET_CLASSES, SHEET_EXAMPLES, MOST_COLUMNS, MOST_LETTERS = 20, 8, 50, 200
# Different integers that may be classes.
_MOST_CLASSES = 10_000


class ThreeParts(Protocol):
    """The attributes that a report needs of `dlrecipes.recipe.Splits`."""

    @property
    def train(self) -> Any:
        """Training examples."""

    @property
    def validation(self) -> Any:
        """Validation examples."""

    @property
    def test(self) -> Any:
        """Test examples."""

    @property
    def description(self) -> Mapping[str, Any]:
        """Facts about the data."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences about how the data was read."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """The examples of a part, taken apart.

    Args:
        count: Number of examples; `None` for a stream or another object without a length.
        fields: Arrays with an example per row, by name; or lists of other objects.
        labels: Label of each example; `None` if there are none.
    """

    count: int | None
    fields: Mapping[str, Any]
    labels: Any


def report_splits(splits: ThreeParts, name: str = "", groups: str = "") -> DataReport:
    """Returns what the parts consist of: sizes, classes, copies, numbers, and a sheet of examples.

    Examples may be an array, a tuple or dictionary of arrays, a dataclass of arrays such as
    `dlrecipes.data.digits.LabelledImages`, a list of arrays, texts, paths or other objects, or a
    text. Labels are a column or attribute named `labels`, `label`, `targets`, `target`, `classes`,
    `intent` or `y`, or integers after the inputs of a tuple.

    Args:
        splits: The three parts, their description and notes.
        name: Name of the data. Defaults to the description's `name`.
        groups: Name of the labels, in the plural, if they are not classes that all parts share,
            such as `"people"`. Defaults to `""`: they are classes.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.reports.splits import report_splits
    >>> from dlrecipes.recipe import Splits
    >>> rows = np.arange(12).reshape(6, 2)
    >>> report = report_splits(Splits(rows[:4], rows[4:5], rows[3:]), "rows")
    >>> [finding.message for finding in report.warnings]
    ['1 of 3 test examples is also in train, so that the test score is too good.', \
'1 of 3 test examples is also in validation, so that the test score is too good.']
    """
    facts = dict(splits.description)
    stated = str(facts.pop("name", "")) or "the recipe's data"
    report = DataReport(
        name or stated, notes=[*splits.notes, *getattr(splits, "training_notes", ())]
    )
    if all(isinstance(getattr(splits, part), BoxExamples) for part in PARTS):
        boxed = {part: getattr(splits, part) for part in PARTS}
        return report_boxes(boxed, report.name, report.notes)
    if all(hasattr(getattr(splits, part), "image_bytes") for part in PARTS):
        _report_encoded(report, splits)
        return report
    parts = {part: take_apart(getattr(splits, part)) for part in PARTS}
    rows = [[part, part_.count, _shapes(part_)] for part, part_ in parts.items()]
    report.add_table("Parts", ["part", "examples", "shape of an example"], rows)
    report.add_table("Description", ["fact", "value"], [[k, str(v)] for k, v in facts.items()])
    for part, examples in parts.items():
        if examples.count == 0:
            report.problems.append(Finding(f"The {part} part is empty."))
    counts = {
        part: Counter(map(str, examples.labels))
        for part, examples in parts.items()
        if examples.labels is not None
    }
    if groups:
        add_groups(report, counts, groups)
    elif counts and len(set().union(*counts.values())) > 1:
        add_classes(report, counts, "examples")
    _add_numbers(report, parts)
    _add_unreadable(report, parts)
    report.warnings += _copies(parts).findings()
    _add_sheet(report, parts["train"])
    return report


def check_source(
    data: str,
    *,
    load: Callable[[], ThreeParts],
    folder: Callable[[Path], DataReport | None],
) -> DataReport:
    """Returns the report on the data that `--data` names.

    Args:
        data: Value of `--data`: `"builtin"`, `"tfds:NAME"` or a path.
        load: Function that reads the data; all but a folder's are reported from the examples.
        folder: Function that reports on the user's own files. It receives the path, with a leading
            `~` expanded, and returns `None` for files that are reported from the examples as well.
    """

    def examples(*_: object) -> DataReport:
        return report_splits(load())

    return load_source(
        data, builtin=examples, folder=lambda path: folder(path) or examples(), tfds=examples
    )


def _report_encoded(report: DataReport, splits: ThreeParts) -> None:
    """Adds what the files of `dlrecipes.data.image_examples.ImageExamples` hold."""
    files: dict[str, dict[str, list[ImageSource]]] = {}
    for part in PARTS:
        examples = getattr(splits, part)
        own = files.setdefault(part, {name: [] for name in examples.names})
        for k, label in enumerate(examples.labels):
            source = EncodedImage(examples.sources(k), partial(examples.image_bytes, k))
            own[examples.names[label]].append(source)
    check = ImageCheck(Path(report.name), files)
    check.read()
    check.add_to(report)
    add_classes(report, check.counts)
    check.add_sheet(report)


def take_apart(examples: Any) -> Examples:
    """Returns the fields and labels of examples in any of the usual forms.

    Args:
        examples: One part of the data.
    """
    if isinstance(examples, str | bytes):
        return Examples(None, {"text": [examples]}, None)
    try:
        count = len(examples)
    except TypeError:
        return Examples(None, {}, None)
    if isinstance(examples, np.ndarray):
        return Examples(count, {"": examples}, None)
    if isinstance(examples, tuple) and len(examples) > 1 and _is_columns(list(examples)):
        return _of_tuple(examples)
    columns = examples if isinstance(examples, Mapping) else getattr(examples, "__dict__", {})
    columns = {str(k): v for k, v in columns.items() if isinstance(v, np.ndarray) and v.ndim}
    if isinstance(examples, Mapping) and _is_columns(list(columns.values())):
        count = len(next(iter(columns.values())))
    fields = {key: array for key, array in columns.items() if len(array) == count}
    if fields:
        own = fields.pop(next((key for key in LABELS if key in fields), ""), None)
        names = next((getattr(examples, key) for key in NAMES if hasattr(examples, key)), None)
        labels = own if own is not None and own.ndim == 1 else None
        if labels is not None and names is not None and labels.dtype.kind in "iu":
            labels = [names[label] if 0 <= label < len(names) else label for label in labels]
        return Examples(count, fields, labels)
    if not isinstance(examples, Sequence) and not hasattr(examples, "__iter__"):
        return Examples(count, {}, None)
    items = list(examples)
    found = [_label_of(item) for item in items]
    labels = found if items and all(label is not None for label in found) else None
    return Examples(count, {"": items}, labels)


def _is_columns(values: Sequence[Any]) -> bool:
    arrays = [value for value in values if isinstance(value, np.ndarray) and value.ndim]
    return bool(arrays) and len(arrays) == len(values) and len({len(x) for x in arrays}) == 1


def _of_tuple(arrays: Sequence[np.ndarray]) -> Examples:
    *inputs, last = arrays
    is_label = last.ndim == 1 and last.dtype.kind in "iuUSO" and len(set(last)) <= _MOST_CLASSES
    fields = {str(k + 1): array for k, array in enumerate(inputs if is_label else arrays)}
    return Examples(len(last), fields, last.tolist() if is_label else None)


def _label_of(item: Any) -> Any:
    for key in LABELS:
        value = item.get(key) if isinstance(item, Mapping) else getattr(item, key, None)
        if isinstance(value, str | int | np.integer):
            return value
    return None


def _shapes(examples: Examples) -> str:
    """Returns the shapes and types of the fields, or the type of the first example."""
    shapes = []
    for name, values in examples.fields.items():
        if isinstance(values, np.ndarray):
            kind = f"{' x '.join(map(str, values.shape[1:])) or 'one number'} {values.dtype}"
        elif len(values) and isinstance(values[0], str | bytes) and examples.count is None:
            kind = f"a text of {len(values[0]):,} characters"
        else:
            kind = type(values[0]).__name__ if len(values) else ""
        shapes.append(f"{name}: {kind}" if name and examples.count is not None else kind)
    return ", ".join(shapes)


def _copies(parts: Mapping[str, Examples]) -> Copies:
    copies = Copies("examples")
    for part, examples in parts.items():
        labels: Sequence[Any] = [None] * (examples.count or 0)
        if examples.labels is not None:
            labels = [str(label) for label in examples.labels]
        if examples.count is None:
            continue
        for row, values in enumerate(zip(*examples.fields.values(), strict=True)):
            digest = hashlib.blake2b(digest_size=16)
            for chunk in _content(values):
                digest.update(chunk)
            copies.add(digest.digest(), part, labels[row], f"{part}[{row}]")
    return copies


def _content(value: Any) -> Iterator[bytes]:
    """Yields the bytes of an example without its labels; those of a file for its path."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        yield f"{value.dtype}{value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, str | bytes):
        yield value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        yield b"\0"
    elif isinstance(value, Path):
        try:
            with value.open("rb") as file:
                while chunk := file.read(1 << 20):
                    yield chunk
        except OSError:
            yield repr(value).encode()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        yield from _content(own)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if key not in LABELS:
                yield repr(key).encode()
                yield from _content(part)
    elif isinstance(value, tuple | list | np.ndarray):
        yield f"({len(value)}".encode()
        for part in value:
            yield from _content(part)
    else:
        yield repr(value).encode()


def _add_numbers(report: DataReport, parts: Mapping[str, Examples]) -> None:
    """Adds the range of each column of numbers, and NaN and infinite ones as a problem."""
    rows = []
    for name, values in parts["train"].fields.items():
        is_table = isinstance(values, np.ndarray) and values.ndim <= 2
        if not is_table or values.dtype.kind not in "iuf" or not len(values):
            continue
        table = values.reshape(len(values), -1)
        for k in range(min(table.shape[1], MOST_COLUMNS)):
            column = table[:, k][np.isfinite(table[:, k])]
            if len(column):
                numbers = [column.min(), column.mean(), column.max()]
                rows.append([f"{name}[{k}]", *(float(number) for number in numbers)])
    report.add_table("Numbers of train", ["column", "smallest", "mean", "largest"], rows)
    for part, examples in parts.items():
        for name, values in examples.fields.items():
            if isinstance(values, np.ndarray) and values.dtype.kind == "f" and values.size:
                flat = values.reshape(len(values), -1)
                wrong = np.flatnonzero(~np.isfinite(flat).all(axis=1))
                if len(wrong):
                    named = [f"{part}{f'.{name}' if name else ''}[{row}]" for row in wrong]
                    contain = f"{part} example contains", f"{part} examples contain"
                    message = f"{counted(len(wrong), *contain)} NaN or infinity."
                    report.problems.append(Finding(message, named))


def _add_unreadable(report: DataReport, parts: Mapping[str, Examples]) -> None:
    """Adds a problem for paths that cannot be opened, where examples are paths."""
    problems = []
    for examples in parts.values():
        for values in examples.fields.values():
            for value in values if not isinstance(values, np.ndarray) else ():
                if isinstance(value, Path):
                    try:
                        value.open("rb").close()
                    except OSError as error:
                        problems.append(f"{value}: {reason(error)}")
    if problems:
        message = f"{counted(len(problems), 'file')} cannot be read."
        report.problems.append(Finding(message, problems))


def _add_sheet(report: DataReport, examples: Examples) -> None:
    """Adds a sheet of images by class, or of texts, if the examples are such."""
    from dlrecipes.figures import example_images, example_texts

    title = "Examples of the train part"
    images = [name for name, values in examples.fields.items() if _is_images(values)]
    if images:
        rows = []
        for label, places in list(_places(examples).items())[:SHEET_CLASSES]:
            shown = [_image(examples.fields[name][place]) for place in places for name in images]
            rows.append((label, shown))
        report.figures["examples"] = example_images(rows, title)
        return
    texts = [
        (label, str(values[place])[:MOST_LETTERS])
        for name, values in examples.fields.items()
        for label, places in list(_places(examples).items())[:SHEET_CLASSES]
        for place in places[:2]
        if not isinstance(values, np.ndarray) and isinstance(values[place], str)
    ]
    if texts:
        report.figures["examples"] = example_texts(texts, title)


def _is_images(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        is_grey = values.ndim == 3
        is_image = is_grey or (values.ndim == 4 and values.shape[-1] in (1, 3))
        return is_image and values.dtype == np.uint8 and len(values) > 0
    first = values[0] if len(values) else None
    return isinstance(first, Path) and first.suffix.lower() in SUFFIXES


def _image(value: Any) -> np.ndarray:
    from dlrecipes.data.image_files import read_image

    return read_image(value) if isinstance(value, Path) else value


def _places(examples: Examples) -> dict[str, list[int]]:
    """Returns the first examples of each class; without classes, examples of each eighth."""
    count = examples.count or 1
    if examples.labels is None or len(set(map(str, examples.labels))) < 2:
        spread = np.linspace(0, count - 1, min(3 * SHEET_EXAMPLES, count)).round().astype(int)
        rows = [spread[k : k + SHEET_EXAMPLES] for k in range(0, len(spread), SHEET_EXAMPLES)]
        return {" " * k: row.tolist() for k, row in enumerate(rows)}
    places: dict[str, list[int]] = {}
    for place, label in enumerate(map(str, examples.labels)):
        own = places.setdefault(label, [])
        if len(own) < SHEET_EXAMPLES:
            own.append(place)
    return {label: places[label] for label in sorted(places, key=natural)}
