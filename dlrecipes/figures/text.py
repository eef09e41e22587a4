"""Figures of text: tagged sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrecipes.figures.charts import BLUE, ORANGE
from dlrecipes.figures.fonts import drawable, fit_fonts

# Longer sentences are shown after shorter ones.
SHORT = 18
# Width at which a sentence is cut, in tenths of an inch.
MAX_WIDTH = 140


def tagged_sentences(
    tokens: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    most: int = 12,
    title: str = "",
) -> Figure:
    """Draws sentences with their predicted tags; a true tag stands below a wrong one.

    Up to half of the sentences are ones with a wrong tag, which come first.

    Args:
        tokens: Words of each sentence.
        truth: True tag of each word; `"O"` means no tag and is not written.
        predicted: Predicted tag of each word.
        most: Maximum number of sentences. Defaults to 12.
        title: Title of the figure. Defaults to the number of sentences with a wrong tag.

    Returns:
        Figure with one line of text per sentence. A character that no font has is written by its
        name.

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
    title = (
        title or f"Test sentences: {wrong} of {len(right)} have a wrong tag (orange: the true tag)"
    )
    drawn = {row: [drawable(token) for token in tokens[row]] for row in rows}
    lines = [_line(drawn[row], truth[row], predicted[row]) for row in rows]
    width = max(x for line in lines for x, *_ in line) + 12
    figure = Figure(figsize=(max(0.1 * width, 6), 0.6 * len(rows) + 0.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, width), ylim=(-len(rows), 0.5), title=title)
    axis.axis("off")
    for y, line in enumerate(lines):
        for x, token, tag, true_tag in line:
            _write(axis, x, -y, token, tag, true_tag)
    fit_fonts(figure)
    return figure


def _write(axis: Axes, x: float, y: float, token: str, tag: str, true_tag: str) -> None:
    weight = "bold" if tag != "O" else "normal"
    axis.text(x, y, token, fontsize=9, weight=weight)
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
