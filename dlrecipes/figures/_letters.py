"""Letters that a font lacks: where else to look for them, and what to write in their place."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

# A dependency that brings a font with simplified and traditional Chinese characters.
_PACKAGE, _FILE = "pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"
# Fonts whose glyphs are boxes or blank.
_NO_GLYPHS = ("last", "blank", "tofu")


def chinese_font() -> Path | None:
    """Returns the file of the font that a dependency brings, or `None` without that package."""
    spec = find_spec(_PACKAGE)
    return Path(str(spec.origin)).with_name(_FILE) if spec else None


def has_glyphs(name: str) -> bool:
    """Returns whether a font draws letters, judging by its name, and not boxes or blanks."""
    return not any(word in name.lower() for word in _NO_GLYPHS)


def spelled_out(text: str, missing: Collection[str]) -> str:
    """Returns a text in which some characters are written by their names.

    Args:
        text: Text to draw.
        missing: Characters that cannot be drawn.

    Returns:
        The text with names in square brackets, such as `"[grinning face]"` or, for letters, their
        sound or code: `"[han gug]"`, `"[U+5317]"`. Missing characters that are invisible are left
        out.
    """
    parts: list[str] = []
    names: list[str] = []
    for letter in [*text, ""]:
        if letter and letter in missing:
            names += filter(None, [_name(letter)])
            continue
        if names:
            parts.append(f"[{' '.join(names)}]")
            names = []
        parts.append(letter)
    return "".join(parts)


def _name(letter: str) -> str:
    category = unicodedata.category(letter)
    if category in ("Cf", "Cc", "Mn"):
        return ""
    code = f"U+{ord(letter):04X}"
    name = unicodedata.name(letter, code).lower()
    if name.startswith(("cjk", "u+")):
        return code
    return name.split()[-1] if category[0] in "LM" else name
