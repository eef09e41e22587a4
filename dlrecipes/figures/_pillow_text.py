"""Text drawn with Pillow alone, in fonts that have its letters."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dlrecipes.figures._letters import chinese_font, has_glyphs, spelled_out

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
# The size at which glyphs are looked at, in pixels.
_PROBE = 24
# A character that no font has: its glyph is the one of all missing characters.
_UNASSIGNED = "\U0010ffff"


def text_image(
    text: str, size: int, colour: str, largest_width: int, ending: str = ""
) -> Image.Image | None:
    """Draws a line of text on a transparent image.

    Characters that no font has are written by their names. A text that is too long is cut, with
    an ellipsis in place of the rest.

    Args:
        text: Text in one line.
        size: Size of the font in pixels, at least 1.
        colour: Colour of the letters.
        largest_width: Largest width of the image in pixels.
        ending: Text that follows and is never cut, such as a score. Defaults to none.

    Returns:
        RGBA image as wide as the text and as high as a line, equally high for every text of a
        size; `None` for an empty text, or if the ending does not fit.
    """
    runs = _fitted(_drawable(" ".join(text.split())), ending, size, largest_width)
    if not runs:
        return None
    height, baseline = line_height(size), round(0.95 * size)
    width = max(1, round(sum(font.getlength(part) for font, part in runs)))
    image = Image.new("RGBA", (width, height))
    draw, x = ImageDraw.Draw(image), 0.0
    for font, part in runs:
        draw.text((x, baseline), part, fill=colour, font=font, anchor="ls")
        x += font.getlength(part)
    return image


def line_height(size: int) -> int:
    """Returns the height of a line of text in pixels."""
    return round(1.22 * size)


def _fitted(text: str, ending: str, size: int, largest_width: int) -> list[tuple[Font, str]]:
    """Returns the runs of a text, or of as much of its beginning as the width has room for."""
    runs, kept = _runs(text + ending, size), text
    while runs and sum(font.getlength(part) for font, part in runs) > largest_width:
        if not kept:
            return []
        kept = kept[:-1]
        runs = _runs(f"{kept.rstrip()}…{ending}" if kept else ending.strip(), size)
    return runs


def _runs(text: str, size: int) -> list[tuple[Font, str]]:
    """Splits a text into parts that one font draws."""
    paths = {letter: _font_of(letter) or _bundled()[0] for letter in set(text)}
    runs = []
    for path, letters in groupby(text, key=lambda letter: paths[letter]):
        runs.append((_font(path, size), "".join(letters)))
    return runs


def _drawable(text: str) -> str:
    missing = {x for x in text if not x.isspace() and _font_of(x) is None}
    return spelled_out(text, missing)


@functools.lru_cache(maxsize=4096)
def _font_of(letter: str) -> str | None:
    """Returns the first font that has a letter, or `None` if no font has it."""
    return next((path for path in _font_files() if _has(path, letter)), None)


def _has(path: str, letter: str) -> bool:
    probe = _probe(path)
    if probe is None:
        return False
    font, missing = probe
    try:
        return bytes(font.getmask(letter)) != missing or font.getlength(letter) == 0
    except (OSError, ValueError):
        return False


@functools.lru_cache(maxsize=1024)
def _probe(path: str) -> tuple[Font, bytes] | None:
    """Returns a font and its glyph of missing characters; `None` for one without outlines."""
    try:
        font = _font(path, _PROBE)
        return font, bytes(font.getmask(_UNASSIGNED))
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=2048)
def _font(path: str, size: int) -> Font:
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@functools.cache
def _bundled() -> tuple[str, ...]:
    """Returns fonts that come with dependencies, none of which is imported."""
    paths = []
    if spec := find_spec("matplotlib"):
        paths.append(Path(str(spec.origin)).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf")
    if chinese := chinese_font():
        paths.append(chinese)
    # Pillow's own font, whose path is "", has Latin letters.
    return (*(str(path) for path in paths if path.is_file()), "")


def _font_files() -> Iterator[str]:
    yield from _bundled()
    yield from _installed()


@functools.cache
def _installed() -> tuple[str, ...]:
    """Returns the system's fonts: regular ones without serifs first."""
    files = [
        path
        for folder in _folders()
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in (".ttf", ".otf", ".ttc") and has_glyphs(path.name)
    ]

    def rank(path: Path) -> tuple[bool, bool, str]:
        name = path.stem.lower()
        styles = ("bold", "italic", "oblique", "light", "thin", "black", "condensed", "mono")
        return any(style in name for style in styles), "sans" not in name, name

    return tuple(str(path) for path in sorted(files, key=rank))


def _folders() -> list[Path]:
    home = Path(os.environ.get("HOME", "/"))
    if sys.platform == "win32":
        own = Path(os.environ.get("LOCALAPPDATA", "")) / "Microsoft/Windows"
        places = [Path(os.environ.get("WINDIR", "C:/Windows")), own]
        return [place / "Fonts" for place in places]
    if sys.platform == "darwin":
        places = [Path("/System/Library"), Path("/Library"), home / "Library"]
        return [place / "Fonts" for place in places]
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    places = [home / ".local/share", *map(Path, data.split(":"))]
    return [home / ".fonts", *(place / "fonts" for place in places)]
