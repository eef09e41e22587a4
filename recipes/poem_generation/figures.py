"""Figures of poem generation: perplexity by position, and a page of poems with their tones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes import figures

from . import encoding


def by_position(perplexities: np.ndarray) -> Figure:
    """Draws the perplexity at each character of the poem, a curve for each line length."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    for length, colour in zip(encoding.LENGTHS, (figures.BLUE, figures.ORANGE), strict=True):
        first = encoding.PLACES[length]
        values = perplexities[first : first + 4 * length]
        if np.isnan(values).all():
            continue
        steps = np.arange(len(values)) / length + 1
        axis.plot(steps, values, ".-", color=colour, label=f"{length} characters a line")
    for line in range(1, 5):
        axis.axvline(line, color=figures.GREY, linestyle=":", linewidth=0.8)
    axis.set(
        title="Perplexity by position, test (tones and rhyme are told)",
        xlabel="line",
        ylabel="perplexity a character",
        yscale="log",
        xticks=range(1, 6),
    )
    # Written out: mathematics is switched off where figures are drawn.
    axis.yaxis.set_major_formatter(EngFormatter(sep=""))
    axis.legend(fontsize=8)
    return figure


def page(poems: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws poems with their tone patterns: filled level, empty oblique, small either."""
    columns = 3
    rows = -(-len(poems) // columns)
    figure = Figure(figsize=(4.1 * columns, 2.3 * rows + 0.6), layout="constrained")
    text = "".join(line for poem in poems for line in poem["lines"])
    title = "Poems by theme: ● level  ○ oblique  · either"
    if not figures.has_font(text):
        title += (
            "\nNo installed font has Chinese: install one, such as Noto Sans CJK; the poems are "
            "in assets.extra/poems.txt."
        )
    figure.suptitle(title, fontsize=10, **figures.text_font(text if figures.has_font(text) else ""))
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    marks = {"P": "●", "Z": "○", "*": "·"}
    for axis, poem in zip(axes, poems, strict=False):
        axis.set(xlim=(0, 9), ylim=(-9, 1))
        font = figures.text_font(poem["theme"])
        axis.text(0, 0, poem["theme"], fontsize=8, color=figures.BLUE, **font)
        for number, (line, pattern) in enumerate(zip(poem["lines"], poem["pattern"], strict=True)):
            for place, (character, tone) in enumerate(zip(line, pattern, strict=True)):
                font = figures.text_font(character)
                axis.text(place, -2 * number - 1.5, character, fontsize=13, **font)
                axis.text(
                    place + 0.25, -2 * number - 2.3, marks[tone], fontsize=6, color=figures.ORANGE
                )
    return figure
