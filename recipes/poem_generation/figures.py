"""Figures of poem generation: perplexity by position, and a page of poems with their tones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes import figures
from dlrecipes.data.quatrains.encoding import LENGTHS, PLACES

MARKS = {"P": "●", "Z": "○", "*": "·"}


def by_position(perplexities: np.ndarray) -> Figure:
    """Plots the perplexity at each place of a poem, with a curve for each line length."""
    figure = Figure(figsize=(8, 3.9), layout="constrained")
    axis = figure.subplots()
    for length, colour in zip(LENGTHS, (figures.BLUE, figures.ORANGE), strict=True):
        values = perplexities[PLACES[length] :][: 4 * length]
        if not np.isnan(values).all():
            steps = np.arange(len(values)) / length + 1
            axis.plot(steps, values, ".-", color=colour, label=f"{length} characters per line")
    for line in range(1, 5):
        axis.axvline(line, color=figures.GREY, linestyle=":", linewidth=0.8)
    axis.set(
        title="Perplexity by position, test (conditioned on tones and rhyme)",
        xlabel="line",
        ylabel="perplexity per character",
        yscale="log",
        xticks=range(1, 6),
    )
    # Powers of ten would need mathematical text, which is off where figures are drawn.
    axis.yaxis.set_major_formatter(EngFormatter(sep=""))
    figures.legend_below(figure, 2)
    return figure


def page(poems: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws poems (outputs of `Poet.write` and a `theme`) with their tone patterns."""
    columns = 3
    rows = -(-len(poems) // columns)
    figure = Figure(figsize=(4.1 * columns, 2.3 * rows + 0.6), layout="constrained")
    figure.suptitle("Poems by theme: ● level  ○ oblique  · either", fontsize=10)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    for axis, poem in zip(axes, poems, strict=False):
        axis.set(xlim=(0, 9), ylim=(-9, 1))
        axis.text(0, 0, poem["theme"], fontsize=8, color=figures.BLUE)
        for y, line in enumerate(zip(poem["lines"], poem["pattern"], strict=True)):
            for x, (character, tone) in enumerate(zip(*line, strict=True)):
                axis.text(x, -2 * y - 1.5, character, fontsize=13)
                mark = {"fontsize": 6, "color": figures.ORANGE}
                axis.text(x + 0.25, -2 * y - 2.3, MARKS[tone], **mark)
    figures.fit_fonts(figure)
    return figure
