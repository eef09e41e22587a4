"""The training, validation and test parts of a dataset: their files, or a random split."""

from __future__ import annotations

import itertools
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.text_files import missing_file
from dlrecipes.errors import DataError, reason

PARTS = ("train", "validation", "test")
# Fractions of training, validation and test; each missing part takes its own from training.
SHARES = (0.8, 0.1, 0.1)
NAMES = {
    "train": ("train", "training", "trn"),
    "validation": (
        *("valid", "validation", "validate", "val", "dev", "devel", "development", "testa"),
    ),
    "test": ("test", "testing", "testb", "tst", "eval", "evaluation"),
}
_PART_OF = {name: part for part, names in NAMES.items() for name in names}
# Words after a part's name that change nothing, as in "training_set".
_FILLERS = {"set", "data", "split"}
_SEPARATORS = re.compile(r"[\W\d_]+")
_ENDING = re.compile(rf"(.*?)({'|'.join(_PART_OF)})(?:{'|'.join(sorted(_FILLERS))})?")

Example = TypeVar("Example")


class Labelled(Protocol):
    """Examples with one class each, such as `dlrecipes.data.digits.LabelledImages`.

    Args:
        labels: Integers of shape `(examples,)`, indices of `names`.
        names: Names of the classes.
    """

    @property
    def labels(self) -> np.ndarray:
        """Class of each example."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""

    def __getitem__(self, rows: Any) -> Any:
        """Returns some of the examples."""


LabelledExamples = TypeVar("LabelledExamples", bound=Labelled)
Images = TypeVar("Images", bound=Sized)


class FoundParts(NamedTuple):
    """The parts in a folder.

    Args:
        paths: Path of each part by its name, in the order train, validation, test.
        ignored: Paths whose names contain a part's name but do not mean it, such as
            `test_old.txt` next to `test.txt`.
    """

    paths: dict[str, Path]
    ignored: list[Path]

    @property
    def note(self) -> str:
        """The names of the ignored paths for the user, or `""`."""
        return ", ".join(path.name for path in self.ignored)


def part_of(name: str | os.PathLike) -> str | None:
    """Returns the part that a file or folder holds, by its name alone.

    The name is in any case. It may follow the name of the data and precede extensions, as in
    `eng.testa`, `en_ewt-ud-dev.conllu`, `wnut17train.conll` and `train.char.bmes`. Digits and the
    words set, data and split are skipped. CycleGAN's `testA` and `testB` look like CoNLL's `testa`
    and `testb`: check for `trainA` first.

    Args:
        name: Name or path.

    Returns:
        `"train"`, `"validation"`, `"test"`, or `None` if the name means no part: because it
        contains no such word, words of two parts, or further words as in `test_old.txt`.

    Example:

    >>> from dlrecipes.data.parts import part_of
    >>> [part_of(name) for name in ("Train.txt", "eng.testa", "devel.tsv", "test_old.txt")]
    ['train', 'validation', 'validation', None]
    """
    components = [_words(component) for component in Path(name).name.split(".")]
    last = {words[-1] for words in components if words}
    parts = _mentioned(name)
    return parts.pop() if len(parts) == 1 and last & set(_PART_OF) else None


def find_parts(
    folder: str | os.PathLike, accept: Callable[[Path], bool] = lambda path: True
) -> FoundParts:
    """Returns the files or folders of the parts in a folder.

    Hidden entries are skipped. A folder counts by its whole name (`val`, but not `steam_train`,
    which may be a class), unless all its siblings are named as parts and train is one of them
    (`seg_train`, `seg_test`). If no single name means a part, files whose names differ only in
    the part do: `ccpc_train_v1.json` and `ccpc_test_v1.json`, `engtrain.bio` and `engtest.bio`.

    Args:
        folder: Folder to search, which exists.
        accept: Function of an entry's path that returns whether it can hold a part. Defaults to
            all entries.

    Returns:
        Paths, none if the folder has no parts, and the entries whose names are ambiguous.

    Raises:
        DataError: If two entries hold the same part, or the folder has parts and the only entry
            for another has an ambiguous name.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.parts import find_parts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("eng.train", "eng.testa", "eng.testb"):
    ...         pathlib.Path(folder, name).touch()
    ...     {part: path.name for part, path in find_parts(folder).paths.items()}
    {'train': 'eng.train', 'validation': 'eng.testa', 'test': 'eng.testb'}
    """
    folder = Path(folder)
    entries = sorted(path for path in folder.iterdir() if path.name[0] != "." and accept(path))
    folders = [path for path in entries if path.is_dir()]
    prefixes = {(_prefix(path), part_of(path)) for path in folders}
    paths: dict[str, Path] = {}
    unclear: list[Path] = []
    for path in entries:
        part = part_of(path)
        if path in folders and path.name.casefold() not in _PART_OF:
            same = {part for prefix, part in prefixes if prefix == _prefix(path)} - {None}
            part = part if "train" in same and len(same) > 1 else None
        if part is None:
            unclear += [path] if path not in folders and _mentioned(path) else []
        elif part in paths:
            raise _both(folder, part, paths[part], path)
        else:
            paths[part] = path
    paths = paths or _alike(folder, [path for path in entries if path not in folders])
    unclear = [path for path in unclear if path not in paths.values()]
    for path in unclear if paths else ():
        if not _mentioned(path) <= set(paths):
            part = min(_mentioned(path) - set(paths))
            raise DataError(
                f"{folder}: {path.name} may or may not be the {part} part.",
                f"Rename it {part}{path.suffix}, or move it elsewhere.",
            )
    return FoundParts({part: paths[part] for part in PARTS if part in paths}, unclear)


def _both(folder: Path, part: str, first: Path, second: Path) -> DataError:
    hint = "Keep one of them in the folder."
    if part == "test":
        hint = (
            f"Keep one of them, or rename the other valid{second.suffix} if it is for validation."
        )
    return DataError(f"{folder}: both {first.name} and {second.name} hold the {part} part.", hint)


def _alike(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Returns the parts among files whose names differ only in the part; train is one of them.

    Raises:
        DataError: If the files are of several datasets.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    for path in files:
        words = _words(path.name)
        parts = [_part_at_end(word) for word in words]
        if sum(map(bool, parts)) == 1:
            rest = tuple(part[0] if part else w for w, part in zip(words, parts, strict=True))
            groups.setdefault(rest, []).append((next(filter(None, parts))[1], path))
    found = [group for group in groups.values() if {"train"} < {part for part, _ in group}]
    if len(found) > 1:
        names = " and ".join(group[0][1].name for group in found[:2])
        raise DataError(
            f"{folder}: {names} belong to several datasets.", "Give a folder with one of them."
        )
    paths: dict[str, Path] = {}
    for part, path in found[0] if found else ():
        if part in paths:
            raise _both(folder, part, paths[part], path)
        paths[part] = path
    return paths


def _part_at_end(word: str) -> tuple[str, str] | None:
    """Returns what precedes a part's name in a word, and the part: `engtrain`, `trainset`."""
    match = _ENDING.fullmatch(word)
    return (match[1], _PART_OF[match[2]]) if match else None


def _words(text: str) -> list[str]:
    words = [word for word in _SEPARATORS.split(text.casefold()) if word]
    return [word for word in words if word not in _FILLERS]


def _prefix(path: Path) -> tuple[str, ...]:
    return tuple(word for word in _words(path.name) if word not in _PART_OF)


def _mentioned(name: str | os.PathLike) -> set[str]:
    return {_PART_OF[word] for word in _words(Path(name).name) if word in _PART_OF}


def part_files(path: str | os.PathLike, formats: str) -> FoundParts:
    """Returns the file of each part; a single file is the training part.

    Args:
        path: File or folder.
        formats: Formats of the files, for the error message's hint, such as `".jsonl or .txt"`.

    Returns:
        Paths of one or more parts.

    Raises:
        DataError: If the path does not exist or cannot be read, or the folder has two files for
            one part, or none for training or for validation.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.parts import part_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train.txt", "dev.txt", "README"):
    ...         pathlib.Path(folder, name).touch()
    ...     {part: path.name for part, path in part_files(folder, ".txt").paths.items()}
    {'train': 'train.txt', 'validation': 'dev.txt'}
    """
    path = Path(path)
    try:
        if not path.exists():
            raise missing_file(path, "Give a file or a folder.")
        if not path.is_dir():
            return FoundParts({"train": path}, [])
        found = find_parts(path, Path.is_file)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    required = {"train": "train", "validation": "valid"}
    missing = [name for part, name in required.items() if part not in found.paths]
    if missing:
        others = sorted(p.name for p in path.iterdir() if p.is_file() and p.name[0] != ".")
        one = f" Or give one file, such as {path / others[0]}: it is split." if others else ""
        raise DataError(
            f"{path}: there is no file {' and no file '.join(missing)}.",
            f"Give train and valid, and optionally test, as {formats}.{one}",
        )
    return found


def random_split(
    examples: Sequence[Example], fractions: Sequence[float], seed: int, name: str
) -> list[list[Example]]:
    """Returns examples in random order, split into parts.

    Args:
        examples: Examples to split.
        fractions: Fraction of the examples for each part. Each part but the first is rounded and
            has at least one example; the first has the rest.
        seed: Seed of the order.
        name: Name of the data, for the error message.

    Raises:
        DataError: If there are fewer examples than parts.

    Example:

    >>> from dlrecipes.data.parts import random_split
    >>> train, validation, test = random_split(range(20), (0.9, 0.05, 0.05), 0, "numbers")
    >>> len(train), len(validation), len(test), len({*train, *validation, *test})
    (18, 1, 1, 20)
    """
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)
    sizes = [max(1, round(fraction * len(order))) for fraction in fractions[1:]]
    bounds = [0, *itertools.accumulate([len(order) - sum(sizes), *sizes])]
    if bounds[1] < 1:
        raise DataError(
            f"{name}: {counted(len(order), 'example is', 'examples are')} too few to split into "
            f"{len(fractions)} parts.",
            "Give more examples, or a folder with train, valid and test.",
        )
    return [[examples[k] for k in order[a:b]] for a, b in itertools.pairwise(bounds)]


def complete_parts(
    parts: Mapping[str, Images],
    seed: int,
    where: str,
    note: Callable[[str], None],
    split: Callable[[Images, int, Sequence[float], str], tuple[Images, Images, Images]],
) -> tuple[Images, Images, Images]:
    """Returns training, validation and test images; missing parts are held out from training.

    Args:
        parts: Images by part; `"train"` is one of them.
        seed: Seed of the split.
        where: Name of the data for messages.
        note: Receives the sizes of the parts that are held out.
        split: Function such as `stratified_split`.

    Raises:
        DataError: If there are too few images to split.
    """
    missing = [part for part in PARTS if part not in parts]
    if missing:
        shares = [
            1 - sum(SHARES[PARTS.index(part)] for part in missing),
            *(share if part in missing else 0 for part, share in zip(PARTS, SHARES, strict=True)),
        ]
        del shares[1]
        new = split(parts["train"], seed, shares, where)
        parts = {**parts, **{part: new[PARTS.index(part)] for part in ("train", *missing)}}
        counts = " and ".join(f"{len(parts[part]):,} for {part}" for part in missing)
        note(
            f"{where}: held out at random from the training images: {counts} (seed {seed}); "
            f"{len(parts['train']):,} are left."
        )
    train, validation, test = (parts[part] for part in PARTS)
    return train, validation, test


def stratified_split(
    whole: LabelledExamples, seed: int, shares: Sequence[float], where: str
) -> tuple[LabelledExamples, LabelledExamples, LabelledExamples]:
    """Returns three parts of labelled examples, split within each class.

    Args:
        whole: Examples to split.
        seed: Seed of the split.
        shares: Fractions of the examples for the first, second and third part; they sum to 1. A
            fraction of 0 gives an empty part.
        where: Name of the data in error messages.

    Returns:
        Three parts, each with at least one example per class unless its fraction is 0.

    Raises:
        DataError: If a class has fewer examples than there are parts.
    """
    counts = Counter(whole.labels.tolist())
    needed = sum(share > 0 for share in shares)
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < needed:
        amount = "one image" if fewest == 1 else f"{fewest} images"
        names = ("training", "validation", "test")
        parts = [name for name, share in zip(names, shares, strict=True) if share > 0]
        raise DataError(
            f"{where}: the class {whole.names[label]!r} has {amount}; "
            f"{', '.join(parts[:-1])} and {parts[-1]} together need at least {needed}.",
            "Give more images of it, or folders train, validation and test.",
        )
    rng = np.random.default_rng(seed)
    places: tuple[list[np.ndarray], ...] = ([], [], [])
    for label in sorted(counts):
        rows = rng.permutation(np.flatnonzero(whole.labels == label))
        sizes = [0 if not share else max(1, round(share * len(rows))) for share in shares[1:]]
        ends = np.cumsum([len(rows) - sum(sizes), *sizes])
        for place, part in zip(places, np.split(rows, ends[:-1]), strict=True):
            place.append(part)
    first, second, third = (whole[np.sort(np.concatenate(place))] for place in places)
    return first, second, third
