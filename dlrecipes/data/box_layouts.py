"""Where the annotations and images of a detection dataset lie, in any of its formats."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dlrecipes.data.folder_entries import entries, list_entries
from dlrecipes.data.parts import part_of

# Usual names of folders, in lower case.
_ANNOTATIONS = {
    *("annotations", "annotation", "annots", "anno", "labels", "label", "xml", "xmls", "bboxes"),
}
_IMAGES = ("jpegimages", "images", "image", "imgs", "img", "data", "photos", "obj_train_data")
# Folders of images are searched to this depth.
_DEPTH = 3


class Evidence(NamedTuple):
    """A file that shows which format the annotations of a folder have.

    Args:
        path: The file.
        is_sure: Whether its content was recognized, rather than its name alone.
    """

    path: Path
    is_sure: bool


def head(path: Path, count: int = 4096) -> bytes:
    """Returns the first bytes of a file; none if it cannot be read.

    Args:
        path: File to read.
        count: Number of bytes. Defaults to 4,096.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def subfolders(folder: Path, names: Iterable[str]) -> list[Path]:
    """Returns the folders in a folder that have one of the names, in any case.

    Args:
        folder: Folder to search.
        names: Names in lower case, the most important first.
    """
    found: dict[str, list[Path]] = {}
    for path in folders_in(folder):
        found.setdefault(path.name.casefold(), []).append(path)
    return [path for name in names for path in found.get(name, ())]


def annotation_folders(root: Path) -> list[Path]:
    """Returns the folders that may hold annotation files, in any format.

    These are the folder itself, folders such as `Annotations` and `labels`, folders of the parts
    such as `train`, and either of the two inside of the other.

    Args:
        root: Folder of the data.
    """
    chosen = [root]
    for path in folders_in(root):
        is_part = part_of(path) is not None
        if path.name.casefold() in _ANNOTATIONS:
            chosen += [path, *(inner for inner in folders_in(path) if part_of(inner))]
        elif is_part:
            chosen += [path, *subfolders(path, sorted(_ANNOTATIONS))]
    return chosen


def part_of_folder(folder: Path, root: Path) -> str | None:
    """Returns the part that a folder of annotations or the one above it is named for.

    Args:
        folder: Folder from `annotation_folders`.
        root: Folder of the data.
    """
    names = folder.relative_to(root).parts
    return next(filter(None, map(part_of, reversed(names))), None)


def files_with(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Returns the files in a folder with one of the suffixes, sorted by name.

    Args:
        folder: Folder to search; its own folders are not.
        suffixes: Suffixes in lower case.
    """
    names = [name for name, is_folder in entries(folder) if not is_folder]
    return [folder / name for name in sorted(names) if name.lower().endswith(tuple(suffixes))]


def image_candidates(folder: Path, root: Path) -> Iterator[list[Path]]:
    """Yields the images of each folder that may hold those of a folder of annotations.

    The likeliest come first: images next to the annotations, then folders such as `JPEGImages`,
    next to the folder of annotations, for the same part.

    Args:
        folder: Folder of annotations.
        root: Folder of the data.
    """
    yield list_entries(folder).images
    part = part_of_folder(folder, root)
    above = [folder, *(path for path in folder.parents if path.is_relative_to(root))]
    named = [path for level in above for path in subfolders(level, _IMAGES)]
    for path in named:
        own = [inner for inner in folders_in(path) if part and part_of(inner) == part]
        yield from map(walk_images, own or [path])
    for level in above[1:]:
        yield list_entries(level).images
    if part is None:
        # Masks have the names of their images.
        others = [path for path in folders_in(root) if not path.name.startswith("Segmentation")]
        yield from (walk_images(path) for path in others if path not in (*named, *above))


def walk_images(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """Returns the images in a folder and in its folders, in natural order.

    Args:
        folder: Folder to search.
        depth: Levels of folders to search. Defaults to 3.
    """
    listing = list_entries(folder)
    inner = listing.folders if depth else []
    return [*listing.images, *(image for path in inner for image in walk_images(path, depth - 1))]


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders in a folder, sorted by name; without hidden and system folders."""
    names = [name for name, is_folder in entries(folder) if is_folder]
    return [folder / name for name in sorted(names)]


def composed(text: str) -> str:
    """Returns a name in Unicode's composed form (NFC), whichever system wrote it."""
    return unicodedata.normalize("NFC", text)
