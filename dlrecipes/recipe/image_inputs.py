"""Image files as inputs of predictions: files, folders and patterns, answered in batches."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes._utils.notes import print_note
from dlrecipes.data.folder_entries import is_system, list_entries, natural
from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.data.image_files import read_image_bytes
from dlrecipes.data.image_folders import describe_unread, note_unread
from dlrecipes.data.sources import expand_home
from dlrecipes.errors import DataError, RecipeError, UsageError, reason
from dlrecipes.export.version import RejectedInput
from dlrecipes.recipe.unanswered import Unanswered

# Most images per call of the model, and most bytes of them: a photograph as PNG may have 50 MB.
BATCH, BATCH_BYTES = 32, 2**25
# Images that are decoded at the same time.
THREADS = 4


def expand_images(inputs: Sequence[Any]) -> list[str]:
    """Returns the image files that inputs name: files, folders with their subfolders, patterns.

    Nothing is decoded. A pattern such as `photos/*.jpg` is expanded here, as some shells do not.

    Args:
        inputs: Paths of files or folders, or patterns; a leading `~` is expanded.

    Raises:
        UsageError: If an input is not a path, a path does not exist, or no file matches a pattern.
        DataError: If a folder cannot be read, or contains no images.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from dlrecipes.recipe.image_inputs import expand_images
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("10.png", "9.png", ".DS_Store"):
    ...     (folder / name).touch()
    >>> [Path(name).name for name in expand_images([folder])]
    ['9.png', '10.png']
    """
    for number, name in enumerate(inputs, 1):
        if not isinstance(name, str | Path):
            kind = type(name).__name__
            hint = "Give image files, or folders of images."
            raise UsageError(f"Input {number}: expected paths of images, got {kind}.", hint)
    return [file for number, text in enumerate(inputs, 1) for file in _expand(number, str(text))]


def _expand(number: int, text: str) -> list[str]:
    if not text.strip():
        raise UsageError(f"Input {number} is empty.", "Give image files, or folders of images.")
    path = expand_home(text)
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.exists():
            return [text]
    except OSError as error:
        raise DataError(f"{text}: the image cannot be read: {reason(error)}.") from None
    if not glob.has_magic(text):
        raise UsageError(f"{text}: there is no such file or folder.", "Check its path.")
    return _matches(text, path)


def _in_folder(folder: Path) -> list[str]:
    files = [str(file) for file in _walk(folder)]
    if not files:
        listing = list_entries(folder)
        raise DataError(
            f"{folder}: the folder has no images{describe_unread(listing)}.",
            "Give image files, or a folder of images.",
        )
    return files


def _walk(folder: Path) -> Iterator[Path]:
    listing = list_entries(folder)
    note_unread(listing.files, print_note)
    yield from listing.images
    for subfolder in listing.folders:
        yield from _walk(subfolder)


def _matches(text: str, pattern: Path) -> list[str]:
    """Returns the files that match a pattern; images alone if there are any."""
    # `Path.glob` takes no absolute patterns.
    names = sorted(glob.glob(str(pattern), recursive=True), key=natural)  # noqa: PTH207
    matches = [Path(name) for name in names if not is_system(Path(name).name)]
    if not matches:
        raise UsageError(f"{text}: no file matches this pattern.", "Check its path.")
    # `**` matches a folder and also what is in it.
    files = dict.fromkeys(
        file for path in matches for file in (_walk(path) if path.is_dir() else [path])
    )
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if images:
        note_unread(files, print_note)
    if not files:
        raise DataError(f"{text}: the folders that match have no images.", "Give image files.")
    return [str(file) for file in images or files]


def answer_images(
    names: Sequence[str],
    answer: Callable[[list[str], list[Any]], Sequence[Any]],
    read: Callable[[str], bytes | np.ndarray] = read_image_bytes,
) -> list[Any]:
    """Returns a prediction for each image file, or an `Unanswered` for one that cannot be read.

    Args:
        names: Paths of image files.
        answer: Function from paths and contents of a batch of images to their predictions.
        read: Function from a path to the contents, such as `ModelVersion.read_image`. Defaults to
            `read_image_bytes`: PNG bytes.
    """
    predictions: list[Any] = [None] * len(names)
    for rows, contents in _batches(names, predictions, read):
        for row, prediction in zip(rows, _answers(names, rows, contents, answer), strict=True):
            predictions[row] = prediction
    return predictions


def _batches(
    names: Sequence[str], predictions: list[Any], read: Callable[[str], bytes | np.ndarray]
) -> Iterator[tuple[list[int], list[Any]]]:
    """Yields rows and contents of batches; puts files that cannot be read into the predictions."""
    rows: list[int] = []
    contents: list[bytes | np.ndarray] = []
    for row, content in enumerate(_contents(names, read)):
        if isinstance(content, Unanswered):
            predictions[row] = content
            continue
        size = sum(map(_size, contents)) + _size(content)
        if rows and (len(rows) == BATCH or size > BATCH_BYTES):
            yield rows, contents
            rows, contents = [], []
        rows.append(row)
        contents.append(content)
    if rows:
        yield rows, contents


def _size(content: bytes | np.ndarray) -> int:
    return len(content) if isinstance(content, bytes) else content.nbytes


def _contents(
    names: Sequence[str], read: Callable[[str], bytes | np.ndarray]
) -> Iterable[bytes | np.ndarray | Unanswered]:
    def _content(name: str) -> bytes | np.ndarray | Unanswered:
        try:
            return read(name)
        except RecipeError as error:
            return Unanswered(name, error)

    if len(names) == 1:
        yield _content(names[0])
        return
    with ThreadPoolExecutor(THREADS) as pool:
        # Few at a time, because large images wait in memory.
        for start in range(0, len(names), 2 * THREADS):
            yield from pool.map(_content, names[start : start + 2 * THREADS])


def _answers(
    names: Sequence[str],
    rows: Sequence[int],
    contents: list[Any],
    answer: Callable[[list[str], list[Any]], Sequence[Any]],
) -> Sequence[Any]:
    try:
        return answer([names[row] for row in rows], contents)
    except RejectedInput as error:
        if len(rows) == 1:
            name = names[rows[0]]
            return [Unanswered(name, DataError(f"{name}: the model rejects it: {error.message}"))]
    # One of several images: the others are answered.
    return [
        prediction
        for row, content in zip(rows, contents, strict=True)
        for prediction in _answers(names, [row], [content], answer)
    ]
