"""Figures of slot filling: the confusion among slots, and tagged sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from dlrecipes import figures
from dlrecipes.data.tagged import TaggedSentence

from .predict import HAN


def slot_confusion(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], most: int = 20
) -> tuple[list[str], np.ndarray]:
    """Returns the slots most often confused, and their confusion matrix, counted in words.

    Args:
        gold: True tags of each sentence.
        predicted: Predicted tags of each sentence.
        most: Largest number of slots; the rest are one, `(other)`. Defaults to 20.
    """
    pairs = Counter(
        (a.partition("-")[2] or "O", b.partition("-")[2] or "O")
        for truth, guess in zip(gold, predicted, strict=True)
        for a, b in zip(truth, guess, strict=True)
    )
    weight: Counter[str] = Counter()
    for (a, b), count in pairs.items():
        for slot in (a, b):
            weight[slot] += (a != b) * 1000 * count + count
    names = sorted(slot for slot, _ in weight.most_common(most))
    names += ["(other)"] if len(weight) > most else []
    place = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (a, b), count in pairs.items():
        counts[place.get(a, len(names) - 1), place.get(b, len(names) - 1)] += count
    return names, counts


def tagged_sentences(
    examples: Sequence[TaggedSentence], predicted: Sequence[Sequence[str]], most: int = 12
) -> Figure:
    """Draws sentences with their slots, mistakes first; the true tag is below a wrong one."""
    right = [list(e.tags) == list(f) for e, f in zip(examples, predicted, strict=True)]
    # Short sentences fit the page.
    order = sorted(range(len(right)), key=lambda i: (right[i], len(examples[i].tokens) > 18))
    wrong = right.count(False)
    rows = order[: min(most // 2, wrong)]
    rows += order[wrong : wrong + most - len(rows)]
    title = f"Test sentences: {wrong} of {len(examples)} have a wrong tag (orange: the truth)"
    if not all(figures.has_font(token) for row in rows for token in examples[row].tokens):
        title += "\nNo installed font has Chinese: install one, such as Noto Sans CJK."
    lines = [_laid_out(examples[row], predicted[row]) for row in rows]
    width = max(x for line in lines for x, *_ in line) + 12
    figure = Figure(figsize=(max(0.1 * width, 6), 0.6 * len(rows) + 0.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, width), ylim=(-len(rows), 0.5), title=title)
    axis.axis("off")
    for y, line in enumerate(lines):
        for x, token, tag, truth in line:
            weight = "bold" if tag != "O" else "normal"
            font = figures.text_font(token)
            axis.text(x, -y, token, fontsize=9, weight=weight, **font)
            axis.text(x, -y - 0.3, "" if tag == "O" else tag, fontsize=6, color=figures.BLUE)
            if truth != tag:
                axis.text(x, -y - 0.55, truth, fontsize=6, color=figures.ORANGE)
    return figure


def _laid_out(
    example: TaggedSentence, tags: Sequence[str], widest: float = 140
) -> list[tuple[float, str, str, str]]:
    """Returns the position of each word (in tenths of an inch), with its tag and the true one."""
    placed: list[tuple[float, str, str, str]] = []
    x = 0.0
    for token, truth, tag in zip(example.tokens, example.tags, tags, strict=True):
        if x > widest:
            return [*placed, (x, "…", "O", "O")]
        placed.append((x, token, tag, truth))
        bold = 1.08 if tag != "O" else 1
        letters = len(token) * (1.4 if HAN.search(token) else 0.78) * bold
        names = [name for name in {tag, truth} if name != "O"]
        x += 0.9 + max(letters, *(0.52 * len(name) for name in names), 0)
    return placed
