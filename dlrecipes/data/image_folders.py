"""Folders of image files: one folder per class, and parts."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from dlrecipes._utils.wording import counted
from dlrecipes.data.folder_entries import Listing, entries, list_entries
from dlrecipes.data.image_decoding import HEIF_SUFFIXES, INSTALL_HEIF, SUFFIXES
from dlrecipes.data.parts import find_parts
from dlrecipes.errors import DataError

# Receives sentences for the user about how a folder was read.
Note = Callable[[str], None]

# Files that accompany images.
_DOCUMENTS = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html"),
    *(".pdf", ".doc", ".docx", ".log", ".ini", ".cfg", ".py", ".ipynb", ".sh", ".mat", ".pkl"),
    *(".url", ".db", ".sha256", ".md5", ".zip", ".gz", ".tar", ".tgz", ".7z", ".rar"),
}
# Wrapping folders, as of unpacked archives, are searched to this depth.
_DEPTH = 3


def ignore(sentence: str) -> None:
    """Discards a note."""


def list_images(folder: Path, note: Note = ignore) -> list[Path]:
    """Returns the image files of a folder in natural order, without those of its subfolders.

    Args:
        folder: Folder to list.
        note: Receives the number of files of other types, with an example. Defaults to `ignore`.
    """
    listing = list_entries(folder)
    note_unread(listing.files, note)
    return listing.images


def note_unread(files: Iterable[Path], note: Note) -> None:
    """Notes files that are neither images that are read nor documents, counted by type."""
    others: dict[str, list[Path]] = {}
    for path in files:
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES and suffix not in _DOCUMENTS:
            others.setdefault(suffix, []).append(path)
    for suffix, paths in others.items():
        kind = f"{suffix} files" if suffix else "files without an extension"
        way = f" To read them: {INSTALL_HEIF}." if suffix in HEIF_SUFFIXES else ""
        note(f"Not read: {len(paths):,} {kind}, such as {paths[0]}.{way}")


def describe_unread(listing: Listing) -> str:
    """Returns the number of files that are not images, with an example, to complete a message."""
    others = [path.name for path in listing.files if path.suffix.lower() not in SUFFIXES]
    if not others:
        return ""
    count = "one file" if len(others) == 1 else f"{len(others):,} files"
    return f"; not read: {count}, such as {others[0]}"


def classes(folder: Path, note: Note = ignore, least: int = 2) -> dict[str, list[Path]]:
    """Returns the image files of each class, given a folder with one folder of images per class.

    Empty folders, and those with documents alone, are not classes. A few images next to the class
    folders are noted and left out.

    Args:
        folder: Folder that holds one folder per class.
        note: Receives what was left out. Defaults to `ignore`.
        least: Minimum number of classes. Defaults to 2.

    Returns:
        Sorted files by class, with the classes in the natural order of their names: 2 before 10.
        Names are in Unicode's composed form (NFC), whichever system wrote them.

    Raises:
        DataError: If there are too few classes, the images of a class cannot be read or lie in its
            subfolders, or there are more images next to the class folders than in them.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    files: dict[str, list[Path]] = {}
    listing = list_entries(folder)
    unread: list[Path] = []
    for path in listing.folders:
        images = _class_images(path, note, unread)
        name = unicodedata.normalize("NFC", path.name)
        if images and not name.isprintable():
            raise DataError(f"{folder}: the name {name!r} cannot be printed.", "Rename it.")
        if images and name in files:
            raise DataError(f"{folder}: two folders are named {name}.", "Merge them.")
        if images:
            files[name] = images
    strays = listing.images
    if strays and files:
        _note_strays(folder, strays, sum(map(len, files.values())), note)
    if len(files) < least:
        count = f"one class folder, {next(iter(files))}" if files else "no class folders"
        count += f" and {counted(len(strays), 'image')}" if strays and not files else ""
        needed = "at least two class folders" if least == 2 else "a folder of images per class"
        raise DataError(
            f"{folder}: expected {needed}, got {count}{describe_unread(listing)}.",
            "Give a folder with one folder of images per class.",
        )
    note_unread(unread, note)
    _note_case(files, note)
    return files


def _class_images(folder: Path, note: Note, unread: list[Path]) -> list[Path]:
    """Returns the images of one class, none if the folder is not a class; adds other files."""
    listing = list_entries(folder)
    images = listing.images
    nested = [path for path in listing.folders if has_images(path)]
    if nested and not images:
        raise DataError(
            f"{folder}: the images are in its folders, such as {nested[0].name}.",
            "Give the folder that holds the class folders, or move the images up.",
        )
    if nested:
        note(f"The images in folders of {folder} are not read, such as those in {nested[0]}.")
    if not images:
        others = [path for path in listing.files if path.suffix.lower() not in _DOCUMENTS]
        if others:
            hint = (
                f"Convert them to one of {', '.join(SUFFIXES[:3])}, or move the folder elsewhere."
            )
            is_heif = others[0].suffix.lower() in HEIF_SUFFIXES
            raise DataError(
                f"{folder}: the class has no images that can be read, but "
                f"{counted(len(others), 'file')} such as {others[0].name}.",
                f"Type {INSTALL_HEIF}. Or: {hint}" if is_heif else hint,
            )
        note(f"{folder} has no images and is not a class.")
    unread += listing.files
    return images


def _note_strays(folder: Path, strays: list[Path], inside: int, note: Note) -> None:
    names = ", ".join(path.name for path in strays[:3]) + (", ..." if len(strays) > 3 else "")
    kind = "image lies" if len(strays) == 1 else "images lie"
    problem = f"{folder}: {len(strays):,} {kind} next to the class folders: {names}"
    if len(strays) >= inside:
        raise DataError(
            f"{problem}.", "Move images into the folders of their classes, or the folders away."
        )
    note(f"{problem}. They are not read.")


def _note_case(names: Iterable[str], note: Note) -> None:
    counts = Counter(name.casefold() for name in names)
    alike = [name for name in names if counts[name.casefold()] > 1]
    if alike:
        note(f"The class names {' and '.join(alike[:2])} differ in upper and lower case alone.")


def match_classes(
    names: Iterable[str], known: Iterable[str], place: Path | str, note: Note = ignore
) -> None:
    """Checks the classes of a part against those of the training part.

    Args:
        names: Classes of the part.
        known: Classes of the training part.
        place: Folder of the part, or what else says where its classes are, for messages.
        note: Receives the classes that the part lacks. Defaults to `ignore`.

    Raises:
        DataError: If the training part lacks a class of the part.
    """
    names, known = list(names), list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        others = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        alike = [name for name in known if name.casefold() == unknown[0].casefold()]
        hint = f"Rename it {alike[0]}." if alike else "Rename or remove it, or add it to train."
        raise DataError(
            f"{place}: the class {unknown[0]!r} does not occur in the training data{others}.", hint
        )
    missing = [name for name in known if name not in names]
    if missing:
        etc = ", ..." if len(missing) > 3 else ""
        note(f"{place} lacks {len(missing)} of the classes: {', '.join(missing[:3])}{etc}.")


def parts(folder: Path, note: Note = ignore) -> dict[str, Path]:
    """Returns the folders of the parts `train`, `validation` and `test`, as far as they exist.

    The usual spellings of their names are read (see `dlrecipes.data.parts`). Empty folders are not
    parts.

    Args:
        folder: Folder that may hold such folders.
        note: Receives the names of other folders of images. Defaults to `ignore`.

    Returns:
        Folders by part; empty if there are none.

    Raises:
        DataError: If two folders hold the same part, or there are parts but not `train`.
    """
    listing = list_entries(folder)
    candidates = {path: has_images(path) for path in listing.folders}
    paths = find_parts(folder, lambda path: candidates.get(path, False)).paths
    if paths and "train" not in paths:
        others = ", ".join(path.name for path in paths.values())
        raise DataError(f"{folder}: expected a folder train next to {others}.")
    if paths:
        left = [path.name for path, images in candidates.items() if images]
        left = [name for name in left if name not in {path.name for path in paths.values()}]
        if left:
            used = ", ".join(path.name for path in paths.values())
            note(f"{folder}: parts read: {used}; not read: {', '.join(left[:5])}.")
        strays = listing.images
        if strays:
            note(f"{folder}: {counted(len(strays), 'image')} not read, such as {strays[0].name}.")
    return paths


def has_images(folder: Path, depth: int = _DEPTH) -> bool:
    """Returns whether a folder or the folders in it hold files other than documents.

    Args:
        folder: Folder to search.
        depth: Levels of folders to search. Defaults to 3.
    """
    folders = []
    for name, is_folder in entries(folder):
        if not is_folder and _suffix(name) not in _DOCUMENTS:
            return True
        folders += [folder / name] if is_folder else []
    return depth > 0 and any(has_images(path, depth - 1) for path in folders)


def has_classes(folder: Path, least: int = 2) -> bool:
    """Returns whether a folder holds parts, or class folders with images.

    Args:
        folder: Folder to examine.
        least: Minimum number of class folders. Defaults to 2.
    """
    inner = [path for path in list_entries(folder).folders if has_images(path)]
    if find_parts(folder, lambda path: path in inner).paths:
        return True
    return sum(map(_has_image, inner)) >= least


def _has_image(folder: Path) -> bool:
    return any(not is_folder and _suffix(name) in SUFFIXES for name, is_folder in entries(folder))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def find_data(folder: Path, is_data: Callable[[Path], bool], note: Note = ignore) -> Path:
    """Returns the folder that holds the data: the given one, or one that is wrapped in it.

    Archives often unpack to a folder in a folder of the same name. Wrapping folders hold no images
    of their own.

    Args:
        folder: Folder that the user gave.
        is_data: Function of a folder that returns whether it holds the data.
        note: Receives the folder that was chosen. Defaults to `ignore`.

    Returns:
        The only folder with data on the first level that has one; `folder` if there is none.

    Raises:
        DataError: If several folders on that level hold data.
    """
    level, seen = [folder], {folder.resolve()}
    for _ in range(_DEPTH + 1):
        chosen = [path for path in level if is_data(path)]
        if level != [folder] and any(list_images(path) for path in level if path not in chosen):
            break  # These are classes: their folders are not the data.
        if len(chosen) > 1:
            names = ", ".join(str(path.relative_to(folder)) for path in chosen[:5])
            raise DataError(
                f"{folder}: several folders hold data: {names}.", f"Give one: {chosen[0]}"
            )
        if chosen and chosen[0] != folder:
            note(f"The data was found in {chosen[0]}.")
        if chosen:
            return chosen[0]
        inner = [path for path in level for path in list_entries(path).folders]
        # Links may lead back up.
        level = [path for path in inner if path.resolve() not in seen]
        seen |= {path.resolve() for path in level}
    return folder
