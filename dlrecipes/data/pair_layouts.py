"""Where the two images of a pair are: in one file, or in two folders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from dlrecipes.data.folder_entries import list_entries, natural
from dlrecipes.data.image_decoding import SUFFIXES
from dlrecipes.data.image_folders import (
    Note,
    find_data,
    has_images,
    ignore,
    list_images,
    note_unread,
    parts,
)
from dlrecipes.data.parts import find_parts, part_of
from dlrecipes.errors import DataError

Pairs = Literal["auto", "side_by_side", "stacked", "folders"]

# Names of the folders of left and right images. An input is on the right, because the right image
# is translated into the left one by default.
SIDES: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"a"}), frozenset({"b"})),
    (frozenset({"left"}), frozenset({"right"})),
    (
        frozenset({"target", "targets", "output", "outputs", "gt", "groundtruth", "dst"}),
        frozenset({"input", "inputs", "source", "sources", "src", "condition", "conditions"}),
    ),
    (frozenset({"after"}), frozenset({"before"})),
    (frozenset({"y"}), frozenset({"x"})),
    (
        frozenset({"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures"}),
        frozenset(
            {"label", "labels", "mask", "masks", "map", "maps", "gt", "groundtruth", "seg"}
            | {"annotation", "annotations", "segmentation", "segmentations", "sketch", "sketches"}
        ),
    ),
)
_KNOWN = frozenset().union(*(names for sides in SIDES for names in sides))
# Sizes that differ by less than this fraction have the same aspect ratio.
_SAME_ASPECT = 0.02
WAYS = (
    "Join each input and its target to one image, twice as wide (--pairs side_by_side) or twice as "
    "high (--pairs stacked), or put them in folders A and B under the same names (--pairs folders)."
)


class PairFiles(NamedTuple):
    """The files of one pair.

    Args:
        left: Path of the left or upper image, or of the file that holds both.
        right: Path of the right or lower image; `None` if `left` holds both.
    """

    left: Path
    right: Path | None


class Layout(NamedTuple):
    """Pairs by part, and where their two images are.

    Args:
        pairs: `"side_by_side"`, `"stacked"` or `"folders"`.
        files: Pairs by part; `"train"` alone if there are no parts.
    """

    pairs: str
    files: dict[str, list[PairFiles]]


def find_pairs(path: Path, pairs: Pairs, note: Note) -> Layout:
    """Returns the files of the pairs in a folder.

    Args:
        path: Folder of the data, which exists.
        pairs: Layout, or `"auto"` to recognize it: two folders by their names, and two images in
            one file by its size: twice as wide as high, or twice as high as wide.
        note: Receives what was recognized and what was left out.

    Raises:
        DataError: If there are no pairs of that layout, or none is recognized.
    """
    if pairs in ("auto", "folders"):
        folder = find_data(path, _has_sides, note)
        sides = find_sides(folder, note) or (
            _other_sides(folder, note) if pairs == "folders" else {}
        )
        if sides:
            joined = {part: _join(*both, note) for part, both in sides.items()}
            return Layout("folders", joined)
        if pairs == "folders":
            raise DataError(
                f"{path}: expected two folders of images, such as A and B.",
                "Put the two images of a pair in them under the same name.",
            )
        _refuse_unknown_sides(path)
    folder = find_data(path, _has_files, note)
    folders = parts(folder, note) or {"train": folder}
    files = {part: _images(find_data(own, _has_files, note), note) for part, own in folders.items()}
    kind: str = pairs
    if pairs == "auto":
        kind = _recognize([file for own in files.values() for file in own])
        how = "twice as wide as high: each is read as two"
        if kind == "stacked":
            how = "twice as high as wide: each is read as two, the upper one as the left one"
        note(f"The images are {how} (--pairs {kind}).")
    return Layout(kind, {part: [PairFiles(x, None) for x in own] for part, own in files.items()})


def find_sides(folder: Path, note: Note) -> dict[str, tuple[Path, Path]]:
    """Returns the folders of left and right images by part.

    They are named for sides (`A` and `B`, `target` and `input`), alone, with parts in them, in
    folders of parts, or with the part in the name (`trainA`).

    Args:
        folder: Folder of the data.
        note: Receives the sides, and the folders that have no partner.

    Returns:
        Left and right folder by part, `"train"` alone if there are no parts; empty if no folders
        are named for sides.
    """
    folders = [path for path in list_entries(folder).folders if has_images(path)]
    sides: dict[str, tuple[Path, Path]] = {}
    by_part: dict[str, list[Path]] = {}
    for path in folders:
        part = _split_name(path.name)[0]
        by_part.setdefault(part, []).append(path)
    plain = _match(by_part.pop("", []))
    if plain:
        inner = [find_parts(path, Path.is_dir).paths for path in plain]
        sides = {part: (inner[0][part], inner[1][part]) for part in inner[0] if part in inner[1]}
        lonely = {path for own in inner for part, path in own.items() if part not in sides}
        sides = sides or {"train": plain}
    else:
        matched = {part: _match(paths) for part, paths in by_part.items()}
        unsided = [path for path in folders if not _split_name(path.name)[1]]
        for part, path in find_parts(folder, lambda path: path in unsided).paths.items():
            matched[part] = _match([own for own in list_entries(path).folders if has_images(own)])
        sides = {part: both for part, both in matched.items() if both}
        used = {path for both in sides.values() for path in both}
        lonely = {path for paths in by_part.values() for path in paths} - used if sides else set()
    if sides and "train" not in sides:
        raise DataError(f"{folder}: there is no training part for both sides.")
    if sides:
        _note_sides(folder, next(iter(sides.values())), note)
        read = {path for both in sides.values() for path in both}
        parents = {parent for path in read for parent in path.parents}
        lonely |= {path for path in folders if path not in read | parents}
    if sides and lonely:
        names = ", ".join(sorted(str(path.relative_to(folder)) for path in lonely))
        note(f"{folder}: without a partner, not read: {names}.")
    return sides


def _note_sides(folder: Path, sides: tuple[Path, Path], note: Note) -> None:
    left, right = (path.relative_to(folder) for path in sides)
    note(f"{left} holds the left images and {right} the right ones, joined by name.")


def _split_name(name: str) -> tuple[str, str]:
    """Returns the part and the side that a folder's name means, each `""` if it means none."""
    # trainA is two words, and ground_truth is one.
    name = re.sub("(?<=[a-z])([AB])$", r"_\1", name).casefold()
    name = re.sub(r"ground[\W_]*truth", "gt", name)
    words = [word for word in re.split(r"[\W_]+", name) if word]
    side = next((word for word in words if word in _KNOWN), "")
    part = part_of("_".join(word for word in words if word != side)) if side else None
    if len(words) > 1 and part is None:
        side = ""
    return (part or "", side) if side else ("", "")


def _match(folders: Sequence[Path]) -> tuple[Path, Path] | None:
    """Returns the only two folders that are the two sides of one kind of pair."""
    for left, right in SIDES:
        found = [[x for x in folders if _split_name(x.name)[1] in names] for names in (left, right)]
        if [len(paths) for paths in found] == [1, 1]:
            return found[0][0], found[1][0]
    return None


def _has_sides(folder: Path) -> bool:
    return bool(find_sides(folder, lambda sentence: None))


def _has_files(folder: Path) -> bool:
    entries = list_entries(folder)
    inner = [path for path in entries.folders if has_images(path)]
    return bool(entries.images) or bool(find_parts(folder, lambda path: path in inner).paths)


def _other_sides(folder: Path, note: Note = ignore) -> dict[str, tuple[Path, Path]]:
    """Returns the two folders of images in a folder, with any names, in their natural order."""
    folders = [path for path in list_entries(folder).folders if list_images(path)]
    if len(folders) != 2:
        return {}
    _note_sides(folder, (folders[0], folders[1]), note)
    return {"train": (folders[0], folders[1])}


def _refuse_unknown_sides(folder: Path) -> None:
    both = _other_sides(folder).get("train")
    if both and not _has_files(folder):
        names = " and ".join(path.name for path in both)
        raise DataError(
            f"{folder}: {names} are not known as the two sides of pairs.",
            "Give --pairs folders to join them by name, or the path of one of them.",
        )


def _join(left: Path, right: Path, note: Note) -> list[PairFiles]:
    """Returns the files of two folders that have the same name, up to their types."""
    sides = [_by_stem(folder, note) for folder in (left, right)]
    if not sides[0].keys() & sides[1].keys():
        # As in 1_A.png and 1_B.png.
        sides = [{_bare(stem): path for stem, path in side.items()} for side in sides]
    stems = sorted(sides[0].keys() & sides[1].keys(), key=natural)
    alone = [path for k in (0, 1) for stem, path in sides[k].items() if stem not in sides[1 - k]]
    if len(stems) < min(map(len, sides)) / 2 or not stems:
        raise DataError(
            f"{left}: {len(stems):,} of {len(sides[0]):,} images have a partner of the same name "
            f"in {right}.",
            "Give the two images of a pair the same name, such as A/1.png and B/1.png.",
        )
    if alone:
        note(f"Images without a partner, left out: {len(alone):,}, such as {alone[0]}.")
    files = [PairFiles(sides[0][stem], sides[1][stem]) for stem in stems]
    _compare_sizes(files, note)
    return files


def _by_stem(folder: Path, note: Note) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in _images(folder, note):
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in stems:
            raise DataError(
                f"{folder}: {stems[stem].name} and {path.name} have the same name.",
                "Keep one of them.",
            )
        stems[stem] = path
    return stems


def _bare(stem: str) -> str:
    """Returns a file's name without the name of its side at the end or the beginning."""
    words = re.split("[_-]", stem)
    if len(words) > 1 and words[-1].casefold() in _KNOWN:
        words = words[:-1]
    elif len(words) > 1 and words[0].casefold() in _KNOWN:
        words = words[1:]
    return "_".join(words)


def _compare_sizes(files: Iterable[PairFiles], note: Note) -> None:
    """Refuses pairs whose images differ in aspect ratio, and notes those that differ in size."""
    differing = []
    for left, right in files:
        first, second = image_size(left), image_size(right) if right else None
        if first is None or second is None or first == second:
            continue
        if abs(first[0] * second[1] / (first[1] * second[0]) - 1) > _SAME_ASPECT:
            raise DataError(
                f"{left} is {first[0]} x {first[1]} pixels, but {right} {second[0]} x {second[1]}.",
                "The two images of a pair must show the same area: crop or pad one of them.",
            )
        differing.append(left)
    if differing:
        count = f"{len(differing):,}, such as {differing[0]}"
        note(f"Pairs whose images differ in size, resized: {count}.")


def _images(folder: Path, note: Note) -> list[Path]:
    listing = list_entries(folder)
    note_unread(listing.files, note)
    if not listing.images:
        raise DataError(
            f"{folder}: there are no images.", f"Supported formats: {', '.join(SUFFIXES)}."
        )
    return listing.images


def _recognize(files: Sequence[Path]) -> str:
    """Returns the layout of all files by their sizes."""
    kinds: dict[str, Path] = {}
    for file in files:
        size = image_size(file)
        if size is None:
            continue  # Reading the file says why.
        width, height = size
        kind = {2 * height: "side_by_side", height / 2: "stacked"}.get(width, "")
        if not kind:
            alone = "a single image" if width == height else "no pair that can be recognized"
            raise DataError(
                f"{file}: {width} x {height} pixels are {alone}: expected two images, twice as "
                "wide as high or twice as high as wide.",
                WAYS,
            )
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        raise DataError(
            f"{kinds['side_by_side']} is twice as wide as high, but {kinds['stacked']} twice as "
            "high as wide.",
            "Give --pairs side_by_side or --pairs stacked, or separate the two kinds.",
        )
    return next(iter(kinds), "side_by_side")


def image_size(path: Path) -> tuple[int, int] | None:
    """Returns the width and height of an upright image; `None` if the file cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            # Orientations from 5 on swap the axes.
            return (height, width) if image.getexif().get(0x0112, 1) >= 5 else (width, height)
    except Exception:  # Pillow's readers raise exceptions of any kind on damaged files.
        return None
