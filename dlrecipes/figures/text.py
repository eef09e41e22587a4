"""Figures of text: tagged sentences, and fonts that have the characters of a text."""

from __future__ import annotations

import contextlib
import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrecipes.figures.charts import BLUE, ORANGE

HAN_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "SimHei", "PingFang SC")
# Longer sentences are shown after shorter ones.
SHORT = 18
# Width at which a sentence is cut, in tenths of an inch.
MAX_WIDTH = 140


def tagged_sentences(
    tokens: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    most: int = 12,
) -> Figure:
    """Draws sentences with their predicted tags; a true tag stands below a wrong one.

    Up to half of the sentences are ones with a wrong tag, which come first.

    Args:
        tokens: Words of each sentence.
        truth: True tag of each word; `"O"` means no tag and is not written.
        predicted: Predicted tag of each word.
        most: Maximum number of sentences. Defaults to 12.

    Returns:
        Figure with one line of text per sentence. If no installed font has the characters of a
        sentence, the title says so.

    Example:

    >>> from dlrecipes.figures import tagged_sentences
    >>> figure = tagged_sentences([["to", "Rome"]], [["O", "B-to"]], [["O", "B-from"]])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    ['to', 'Rome', 'B-from', 'B-to']
    """
    right = [list(tags) == list(guess) for tags, guess in zip(truth, predicted, strict=True)]
    wrong = right.count(False)
    # Short sentences fit the page.
    order = sorted(range(len(right)), key=lambda row: (right[row], len(tokens[row]) > SHORT))
    rows = order[: min(most // 2, wrong)]
    rows += order[wrong : wrong + most - len(rows)]
    title = f"Test sentences: {wrong} of {len(right)} have a wrong tag (orange: the true tag)"
    if not all(has_font(token) for row in rows for token in tokens[row]):
        title += "\nNo installed font has Chinese characters: install Noto Sans CJK."
    lines = [_line(tokens[row], truth[row], predicted[row]) for row in rows]
    width = max(x for line in lines for x, *_ in line) + 12
    figure = Figure(figsize=(max(0.1 * width, 6), 0.6 * len(rows) + 0.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, width), ylim=(-len(rows), 0.5), title=title)
    axis.axis("off")
    for y, line in enumerate(lines):
        for x, token, tag, true_tag in line:
            _write(axis, x, -y, token, tag, true_tag)
    return figure


def _write(axis: Axes, x: float, y: float, token: str, tag: str, true_tag: str) -> None:
    weight = "bold" if tag != "O" else "normal"
    axis.text(x, y, token, fontsize=9, weight=weight, **text_font(token))
    axis.text(x, y - 0.3, "" if tag == "O" else tag, fontsize=6, color=BLUE)
    if true_tag != tag:
        axis.text(x, y - 0.55, true_tag, fontsize=6, color=ORANGE)


def _line(
    tokens: Sequence[str], truth: Sequence[str], predicted: Sequence[str]
) -> list[tuple[float, str, str, str]]:
    """Returns position (in tenths of an inch), word, predicted and true tag of each word."""
    placed: list[tuple[float, str, str, str]] = []
    x = 0.0
    for token, true_tag, tag in zip(tokens, truth, predicted, strict=True):
        if x > MAX_WIDTH:
            return [*placed, (x, "…", "O", "O")]
        placed.append((x, token, tag, true_tag))
        wide = any(unicodedata.east_asian_width(character) in "WF" for character in token)
        width = len(token) * (1.4 if wide else 0.78) * (1.08 if tag != "O" else 1)
        names = [name for name in {tag, true_tag} if name != "O"]
        x += 0.9 + max(width, *(0.52 * len(name) for name in names), 0)
    return placed


def text_font(text: str) -> dict[str, Any]:
    """Returns matplotlib's keyword arguments for a font that has the characters of a text.

    Chinese needs a font with Han characters. If none is installed, the figure shows boxes; the
    caller checks with `has_font` and reports it.

    Args:
        text: The text to show.

    Example:

    >>> from dlrecipes.figures import text_font
    >>> text_font("Rome")
    {}
    """
    if has_font(text) and not text.isascii():
        return {"family": _han_font() or "sans-serif"}
    return {}


def has_font(text: str) -> bool:
    """Returns whether an installed font has all characters of a text.

    Args:
        text: The text to show.
    """
    return not any("\u3000" <= c <= "\u9fff" for c in text) or _han_font() is not None


@functools.lru_cache(maxsize=1)
def _han_font() -> str | None:
    name = _known_han_font()
    if name is None:
        # matplotlib caches the list of fonts that were installed when it was first used.
        known = {font.fname for font in font_manager.fontManager.ttflist}
        for path in set(font_manager.findSystemFonts()) - known:
            with contextlib.suppress(OSError, RuntimeError):  # The file is not a font.
                font_manager.fontManager.addfont(path)
        name = _known_han_font()
    return name


def _known_han_font() -> str | None:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in HAN_FONTS if name in installed), None)
