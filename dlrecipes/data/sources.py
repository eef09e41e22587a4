"""Sources of a recipe's data: built-in data, a dataset of TFDS, or the user's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dlrecipes.errors import DataError, UsageError, reason

BUILTIN, TFDS = "builtin", "tfds:"
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")

Examples = TypeVar("Examples")


def load_source(
    data: str,
    *,
    builtin: Callable[[], Examples],
    folder: Callable[[Path], Examples],
    tfds: Callable[[str], Examples] | None = None,
    recipe: str = "this recipe",
    expected: str = "the path of your data",
) -> Examples:
    """Returns the examples that `--data` names, from whichever function reads that source.

    Args:
        data: Value of `--data`: `"builtin"`, `"tfds:NAME"` or a path.
        builtin: Function without arguments that returns the built-in examples.
        folder: Function that reads the user's own files. It receives the path, with a leading `~`
            expanded, and checks it (see `existing_folder`).
        tfds: Function that reads a dataset of TensorFlow Datasets. It receives the name that
            follows `tfds:`. Defaults to `None`: the recipe reads no such dataset.
        recipe: Name of the recipe in the error message. Defaults to `"this recipe"`.
        expected: Kind of path that the recipe reads, for the error message's hint. Defaults to
            `"the path of your data"`.

    Returns:
        The chosen function's result.

    Raises:
        UsageError: If `data` names a TFDS dataset and `tfds` is `None`, or if the name is missing.

    Example:

    >>> from dlrecipes.data.sources import load_source
    >>> readers = {"builtin": lambda: [0, 1], "folder": lambda path: path.name}
    >>> load_source("builtin", **readers), load_source("data/digits", **readers)
    ([0, 1], 'digits')
    >>> load_source("tfds:mnist", **readers, tfds=lambda name: name)
    'mnist'
    """
    if data == BUILTIN:
        return builtin()
    if not data.startswith(TFDS):
        return folder(expand_home(data))
    if tfds is None:
        raise UsageError(
            f"--data {data}: {recipe} does not support TFDS datasets.",
            f"Give 'builtin' or {expected}.",
        )
    name = data.removeprefix(TFDS)
    if not name:
        raise UsageError(
            f"--data {data}: the name of a TFDS dataset is missing.", "Give tfds:NAME."
        )
    return tfds(name)


def source_name(data: str, builtin: str) -> str:
    """Returns the name of the data for messages and the model card.

    Args:
        data: Value of `--data`.
        builtin: Name of the built-in data, such as `"generated faces, seed 1"`.

    Example:

    >>> from dlrecipes.data.sources import source_name
    >>> source_name("builtin", "generated faces, seed 1")
    'generated faces, seed 1'
    >>> source_name("tfds:lfw", "generated faces, seed 1")
    'tfds:lfw'
    """
    return builtin if data == BUILTIN else data


def existing_folder(path: str | Path, expected: str) -> Path:
    """Returns the path of a folder with a leading `~` expanded.

    Args:
        path: Folder that the user named.
        expected: Kind of folder, for the error message's hint, such as `"a folder of images"`.

    Raises:
        DataError: If the folder does not exist, or `path` names a file instead.

    Example:

    >>> import tempfile
    >>> from dlrecipes.data.sources import existing_folder
    >>> folder = tempfile.mkdtemp()
    >>> str(existing_folder(folder, "a folder of images")) == folder
    True
    """
    path = expand_home(path)
    try:
        if path.is_dir():
            return path
        problem = "expected a folder, got a file" if path.exists() else "there is no such folder"
        if path.is_file() and path.suffix.lower() in ARCHIVES:
            raise DataError(f"{path}: {problem}.", "Unpack it, and give the folder.")
    except OSError as error:
        problem = reason(error)
    raise DataError(f"{path}: {problem}.", f"Give {expected}.")


def expand_home(path: str | Path) -> Path:
    """Returns a path with a leading `~` or `~user` expanded, or unchanged if there is no such user.

    Example:

    >>> from dlrecipes.data.sources import expand_home
    >>> str(expand_home("~no such user/images"))
    '~no such user/images'
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
