"""What poem generation shows: poems with their tones, figures, and how its files are used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dlrecipes import figures
from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.prosody import RHYME_NAMES, rhymes, templates_for
from dlrecipes.errors import UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.training import CharacterLanguageModel

from . import decoding, encoding, text_generation
from .config import PredictOptions
from .lite import TABLES_FILE, LiteWriter

# How poems are written that are scored: with masks; with wishes alone; with neither.
MANNERS = {
    "constrained": {"enforce": True},
    "unconstrained": {"enforce": False},
    "unconditional": {"enforce": False, "template": decoding.NO_TEMPLATE},
}
PAGE = 12
_MARKS = "，。，。"


def answers(version: ModelVersion, inputs: list[str], options: PredictOptions) -> list[str]:
    """Returns what `dlrecipes predict` prints, by the SavedModel or by `model.tflite`.

    Raises:
        UsageError: If an input, or what an option says, cannot be written about.
    """
    told = options.model_dump(exclude_none=True)
    values = {
        name: told[name] for name in ("temperature", "top_k", "top_p", "seed") if name in told
    }
    tables = json.loads(version.file(f"{EXTRAS}/{TABLES_FILE}").read_text("utf-8"))
    values = {**tables["defaults"], **values}
    if tables["form"] == "text":
        _only_for("a text", options, ("first_line", "acrostic", "rhyme", "template", "line_length"))
        values["length"] = options.length
    else:
        _only_for("quatrains", options, ("length",))
        values |= {name: told[name] for name in ("first_line", "acrostic", "template", "enforce")}
        values["line_length"] = 0 if options.line_length == "auto" else int(options.line_length)
        values["rhyme"] = _rhyme(options.rhyme)
    if options.lite:
        writer = LiteWriter(version)
        write = writer.text if tables["form"] == "text" else writer.poem
        table = text_generation.REQUEST if tables["form"] == "text" else decoding.REQUEST
        base = {name: default for name, (_, default) in table.items()}
        key = "prompt" if tables["form"] == "text" else "theme"
        rows = [write({**base, **values, key: text}) for text in inputs or [""]]
        return [_shown(row, text, values) for row, text in zip(rows, inputs or [""], strict=True)]
    return served(version.function("generate"), inputs or [""], values)


def _only_for(what: str, options: PredictOptions, names: Sequence[str]) -> None:
    for name in names:
        if getattr(options, name) != PredictOptions.model_fields[name].default:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} is not for {what}, which this model writes.")


def _rhyme(character: str) -> int:
    if not character:
        return -1
    found = rhymes(character)
    if not found:
        raise UsageError(
            f"--rhyme {character!r}: this is no character with a known rhyme.",
            f"Give one, such as one of {RHYME_NAMES}.",
        )
    return min(found)


def served(function: Any, inputs: list[str], values: Mapping[str, Any]) -> list[str]:
    """Returns what a served function writes, as text to print.

    Args:
        function: The SavedModel's.
        inputs: Themes, or prompts.
        values: The rest of the request, one for all.
    """
    names = set(function.structured_input_signature[1])
    is_text = "prompt" in names
    table = text_generation.REQUEST if is_text else decoding.REQUEST
    rows = {name: [values.get(name, default)] * len(inputs) for name, (_, default) in table.items()}
    rows["prompt" if is_text else "theme"] = inputs
    found = function(**{n: tf.constant(rows[n], table[n][0]) for n in names})
    found = {name: value.numpy() for name, value in found.items()}
    texts = []
    for number, text in enumerate(inputs):
        row = {name: _plain(value[number]) for name, value in found.items()}
        texts.append(_shown(row, text, values))
    return texts


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else [one.decode() for one in value]


def _shown(row: Mapping[str, Any], text: str, values: Mapping[str, Any]) -> str:
    if row["problem"]:
        first = values.get("first_line", "")
        if row["problem"].startswith("No template") and first and not values.get("acrostic"):
            # This says which of its tones are wrong, if they are what is wrong.
            length = values.get("line_length") or (5 if len(first) == 5 else 7)
            templates_for(first, length)
        raise UsageError(
            f"{text!r}: {row['problem']}" if text else row["problem"],
            "Choose other characters"
            + (", or --no-enforce." if "template" in row["problem"] else "."),
        )
    if "text" in row:
        return row["text"]
    lines = [
        f"  {line}{mark}  {' '.join(pattern)}"
        for line, mark, pattern in zip(row["lines"], _MARKS, row["pattern"], strict=True)
    ]
    title = f"{text}  " if text else ""
    rhyme = f"(rhyme {row['rhyme']})" if row["rhyme"] else "(no rhyme asked for)"
    return "\n".join([f"{title}{rhyme}", *lines])


def page_themes(model: CharacterLanguageModel, examples: Sequence[Poem]) -> list[str]:
    """Returns themes for a page: those of the data, or the first words of its poems."""
    found = list(model.themes[:PAGE])
    for poem in examples:
        word = poem.lines[0][:2]
        if len(found) < PAGE and word not in found and all(c in model.vocabulary for c in word):
            found.append(word)
    return found or [""]


def written(found: Mapping[str, np.ndarray], themes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the poems of a batch that was written, each with its theme."""
    return [
        {"theme": theme, **{name: _plain(value[number]) for name, value in found.items()}}
        for number, theme in enumerate(themes)
    ]


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
