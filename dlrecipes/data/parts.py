"""The training, validation and test parts of a dataset: their files, or a random split."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from dlrecipes.data.text_files import missing_file
from dlrecipes.errors import DataError, reason

PARTS = ("train", "validation", "test")
_NAMES = {"training": "train", "valid": "validation", "val": "validation", "dev": "validation"}

Example = TypeVar("Example")


def part_files(path: str | os.PathLike, formats: str) -> dict[str, Path]:
    """Returns the file of each part by the part's name: `"train"`, `"validation"`, `"test"`.

    A single file is the training part. In a folder the parts are the files called `train` (or
    `training`), `valid` (or `validation`, `val`, `dev`) and `test`, with any extension; other
    files are ignored.

    Args:
        path: File or folder.
        formats: Formats of the files, for the error message's hint, such as `".jsonl or .txt"`.

    Returns:
        Paths of one or more parts, in the order train, validation, test.

    Raises:
        DataError: If the path does not exist or cannot be read, or the folder has two files for
            one part, or none for training or for validation.

    Example:

    >>> import pathlib, tempfile
    >>> from dlrecipes.data.parts import part_files
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("train.txt", "dev.txt", "README"):
    ...         pathlib.Path(folder, name).touch()
    ...     {part: path.name for part, path in part_files(folder, ".txt").items()}
    {'train': 'train.txt', 'validation': 'dev.txt'}
    """
    path = Path(path)
    try:
        if not path.exists():
            raise missing_file(path, "Give a file or a folder.")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error)}.") from None
    if not path.is_dir():
        return {"train": path}
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        stem = file.name.split(".")[0].lower()
        part = _NAMES.get(stem, stem)
        if part not in PARTS or not file.is_file():
            continue
        if part in files:
            names = f"{files[part].name} and {file.name}"
            raise DataError(f"{path}: both {names} hold the {part} part.", "Remove one of them.")
        files[part] = file
    required = {"train": "train", "validation": "valid"}
    missing = [name for part, name in required.items() if part not in files]
    if missing:
        raise DataError(
            f"{path}: there is no file {' and no file '.join(missing)}.",
            f"Give train and valid, and optionally test, as {formats}.",
        )
    return {part: files[part] for part in PARTS if part in files}


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
            f"{name}: {len(order)} examples are too few to split into {len(fractions)} parts.",
            "Give more examples, or a folder with train, valid and test.",
        )
    return [[examples[k] for k in order[a:b]] for a, b in itertools.pairwise(bounds)]
