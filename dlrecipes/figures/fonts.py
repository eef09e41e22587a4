"""Fonts with the characters of a figure's texts; characters that no font has, by name."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence

from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogFormatter

from dlrecipes.figures._letters import chinese_font, has_glyphs, spelled_out

# Searched first, in this order; then all other installed fonts.
PREFERRED = ("Noto Sans SC", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei")
# A fallback font without bold letters is used in its regular weight; no user can change that.
logging.getLogger("matplotlib.font_manager").addFilter(
    lambda record: "font weight" not in record.getMessage()
)


def fit_fonts(figure: Figure) -> None:
    """Gives each text of a figure fonts that have its characters, so that none becomes a box.

    A character that no font has is written by its name (see `drawable`), and dollars are dollars,
    not the marks of a formula. `save` calls this; call it before you save or show a figure
    yourself.

    Args:
        figure: Figure whose texts are changed in place: titles, labels, ticks, legends.

    Example:

    >>> from matplotlib.figure import Figure
    >>> from dlrecipes.figures import fit_fonts
    >>> figure = Figure()
    >>> title = figure.suptitle("北京")
    >>> fit_fonts(figure)
    >>> title.get_fontfamily()
    ['sans-serif', 'Noto Sans SC']
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _fit_ticks(axis)
    powers = _powers(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(text in powers)
        content = text.get_text()
        if content and not content.isascii():
            text.set_fontfamily(_families(text.get_fontfamily(), content))
            if drawable(content) != content:
                text.set_text(drawable(content))


def _powers(figure: Figure) -> set[Artist]:
    """Returns the labels of logarithmic axes, which are formulas."""
    axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    logarithmic = [axis for axis in axes if isinstance(axis.get_major_formatter(), LogFormatter)]
    return {text for axis in logarithmic for text in axis.findobj(Text)}


def _fit_ticks(axis: Axis) -> None:
    if not axis.axes.axison:
        return
    content = "".join(label.get_text() for label in axis.get_ticklabels())
    if content.isascii():
        return
    families = axis.get_ticklabels()[0].get_fontfamily()
    axis.set_tick_params(labelfontfamily=_families(families, content))
    formatter = axis.get_major_formatter()
    # Labels are formatted again when the figure is drawn.
    if drawable(content) != content:
        axis.set_major_formatter(FuncFormatter(lambda x, place: drawable(formatter(x, place))))


def drawable(text: str) -> str:
    """Returns a text in which a character that no font has is written by its name.

    Args:
        text: Text to draw.

    Returns:
        The text with names in square brackets, such as `"[grinning face]"` or, for letters, their
        sound or code: `"[han gug]"`, `"[U+5317]"`. Invisible characters without a glyph are left
        out.

    Example:

    >>> from dlrecipes.figures.fonts import drawable
    >>> drawable("Rome, 北京")
    'Rome, 北京'
    """
    missing = {letter for letter in text if not letter.isspace()} - _covered(text)
    return spelled_out(text, missing) if missing else text


def _families(present: Sequence[str], text: str) -> list[str]:
    names = [font_manager.get_font(path).family_name for path in _fallbacks(frozenset(text))]
    return [*present, *(name for name in names if name not in present)]


def _covered(text: str) -> set[str]:
    letters = frozenset(text)
    charmaps = [_charmap(path) for path in (_default(), *_fallbacks(letters))]
    return {letter for letter in letters if any(ord(letter) in charmap for charmap in charmaps)}


@functools.lru_cache(maxsize=1024)
def _fallbacks(letters: frozenset[str]) -> tuple[str, ...]:
    """Returns the paths of fonts that have the letters which the default font lacks."""
    missing = {ord(letter) for letter in letters if not letter.isspace()} - _charmap(_default())
    paths = []
    for path in _font_files() if missing else ():
        if missing & _charmap(path):
            paths.append(path)
            missing -= _charmap(path)
        if not missing:
            break
    return tuple(paths)


def _default() -> str:
    return str(font_manager.findfont(font_manager.FontProperties(family=["sans-serif"])))


def _font_files() -> Iterator[str]:
    """Yields the fonts that matplotlib can use: the preferred ones first."""
    _add_fonts()
    known = {
        font.name: font.fname
        for font in reversed(font_manager.fontManager.ttflist)
        if has_glyphs(font.name)
    }
    yield from (known[name] for name in PREFERRED if name in known)
    yield from (path for name, path in sorted(known.items()) if name not in PREFERRED)


@functools.cache
def _add_fonts() -> None:
    """Adds the font of the dependency, and fonts that were installed after matplotlib's list."""
    chinese = chinese_font()
    paths = [str(chinese)] if chinese else []
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in {*paths, *font_manager.findSystemFonts()} - known:
        with contextlib.suppress(OSError, RuntimeError):  # The file is not a font.
            font_manager.fontManager.addfont(path)


@functools.lru_cache(maxsize=256)
def _charmap(path: str) -> frozenset[int]:
    """Returns the code points of a font that has outlines; of others none is drawn."""
    try:
        font = FT2Font(path)
        # Emoji in colour are bitmaps, which matplotlib does not draw.
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
