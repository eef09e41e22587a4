"""A tab for models that write poems, and one for models that continue a text."""

from __future__ import annotations

import html

import gradio as gr

from dlrecipes.demo.limits import MAX_TEXT, check_text
from dlrecipes.demo.model import Model, value_or, words

REQUEST = (
    "theme",
    "first_line",
    "acrostic",
    "line_length",
    "template",
    "rhyme",
    "enforce",
    "temperature",
    "top_k",
    "top_p",
    "seed",
)
THEME = "明月"
LENGTH = "five"
BEGINNING = "The "
TEMPERATURE = 0.8
CHARACTERS = 200
LENGTHS = {"either": 0, "five": 5, "seven": 7}
MARKS = {"P": "●", "Z": "○", "*": "·"}


def fits(model: Model) -> bool:
    """Returns whether a model writes poems with tonal patterns."""
    return model.takes("generate", REQUEST, ["lines", "pattern", "problem"])


def build(model: Model) -> None:
    """Lays out the tab."""
    with gr.Row():
        with gr.Column():
            theme = gr.Textbox(THEME, label="Theme", max_length=MAX_TEXT)
            length = gr.Radio(list(LENGTHS), value=LENGTH, label="Characters per line")
            acrostic = gr.Textbox("", label="First characters of the lines", max_length=MAX_TEXT)
            enforce = gr.Checkbox(True, label="Enforce tones and rhyme")
            temperature = gr.Slider(0.1, 2.0, TEMPERATURE, step=0.1, label="Temperature")
            seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
            write = gr.Button("Write", variant="primary")
        page = gr.HTML(label="Poem")
    fields = [theme, length, acrostic, enforce, temperature, seed]
    write.click(lambda *values: write_poem(model, *values), fields, page)
    seed.release(lambda *values: write_poem(model, *values), fields, page)


def write_poem(
    model: Model,
    theme: str | None,
    length: str | None,
    acrostic: str | None,
    enforce: bool | None,
    temperature: float | None,
    seed: float | None,
) -> str:
    """Returns a poem as HTML, with a mark for the tone of the pattern below each character.

    The theme is not used if there is an acrostic. Arguments that are None have the page's initial
    values.

    Args:
        model: Model that writes poems.
        theme: Theme of the poem.
        length: Key of `LENGTHS`.
        acrostic: First characters of the lines, or empty.
        enforce: Whether tones and rhyme are enforced.
        temperature: Sampling temperature.
        seed: Seed of the sampling.

    Raises:
        gr.Error: If the model cannot write such a poem; the message is the reason.
    """
    outputs = model.ask(
        "generate",
        theme=["" if acrostic else check_text(value_or(theme, THEME)).encode()],
        first_line=[b""],
        acrostic=[check_text(value_or(acrostic, "")).encode()],
        line_length=[LENGTHS[value_or(length, LENGTH)]],
        template=[-1],
        rhyme=[-1],
        enforce=[value_or(enforce, True)],
        temperature=[value_or(temperature, TEMPERATURE)],
        top_k=[0],
        top_p=[1.0],
        seed=[int(value_or(seed, 0))],
    )
    problem = words(outputs["problem"])[0]
    if problem:
        raise gr.Error(problem, print_exception=False)
    lines, patterns = words(outputs["lines"][0]), words(outputs["pattern"][0])
    rows = "".join(_line(*pair) for pair in zip(lines, patterns, strict=True))
    rhyme = f"rhyme: {html.escape(words(outputs['rhyme'])[0])}; " if "rhyme" in outputs else ""
    legend = f"{MARKS['P']} level, {MARKS['Z']} oblique, {MARKS['*']} either"
    return f"<table style='font-size:1.8em;border:none'>{rows}</table><p>{rhyme}{legend}</p>"


def _line(line: str, pattern: str) -> str:
    cells = [
        f"<td style='text-align:center;border:none;padding:.1em .3em'>{html.escape(character)}"
        f"<div style='font-size:.5em'>{MARKS.get(tone, '')}</div></td>"
        for character, tone in zip(line, pattern.replace(" ", ""), strict=False)
    ]
    return f"<tr style='border:none'>{''.join(cells)}</tr>"


TEXT = ("prompt", "length", "temperature", "top_k", "top_p", "seed")


def continues_text(model: Model) -> bool:
    """Returns whether a model continues a text."""
    return model.takes("generate", TEXT, ["text"])


def build_text(model: Model) -> None:
    """Lays out the tab of a model that continues a text."""
    prompt = gr.Textbox(BEGINNING, label="Beginning", max_length=MAX_TEXT)
    length = gr.Slider(1, 500, CHARACTERS, step=1, label="Characters")
    temperature = gr.Slider(0.1, 2.0, TEMPERATURE, step=0.1, label="Temperature")
    seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
    write = gr.Button("Continue", variant="primary")
    text = gr.Textbox(label="Text", lines=8, interactive=False)

    fields = [prompt, length, temperature, seed]
    write.click(lambda *values: continue_text(model, *values), fields, text)


def continue_text(
    model: Model,
    prompt: str | None,
    length: float | None,
    temperature: float | None,
    seed: float | None,
) -> str:
    """Returns a prompt with a model's continuation.

    Arguments that are None have the page's initial values.

    Args:
        model: Model that continues a text.
        prompt: Beginning of the text.
        length: Number of characters to generate.
        temperature: Sampling temperature.
        seed: Seed of the sampling.
    """
    outputs = model.ask(
        "generate",
        prompt=[check_text(value_or(prompt, BEGINNING)).encode()],
        length=[int(value_or(length, CHARACTERS))],
        temperature=[value_or(temperature, TEMPERATURE)],
        top_k=[0],
        top_p=[1.0],
        seed=[int(value_or(seed, 0))],
    )
    return words(outputs["text"])[0]
