"""A tab to ask for poems in, and one to have a text gone on with."""

from __future__ import annotations

import html

import gradio as gr

from dlrecipes.demo.model import Model, given, words

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
    """Returns whether a model writes poems with tones."""
    return model.takes("generate", REQUEST, ["lines", "pattern", "problem"])


def build(model: Model) -> None:
    """Lays out the tab."""
    with gr.Row():
        with gr.Column():
            theme = gr.Textbox(THEME, label="Theme")
            length = gr.Radio(list(LENGTHS), value=LENGTH, label="Characters a line")
            acrostic = gr.Textbox("", label="First characters of the lines")
            enforce = gr.Checkbox(True, label="Enforce tones and rhyme")
            temperature = gr.Slider(0.1, 2.0, TEMPERATURE, step=0.1, label="Temperature")
            seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
            write = gr.Button("Write", variant="primary")
        page = gr.HTML(label="Poem")
    asked = [theme, length, acrostic, enforce, temperature, seed]
    write.click(lambda *values: written(model, *values), asked, page)
    seed.release(lambda *values: written(model, *values), asked, page)


def written(
    model: Model,
    theme: str | None,
    length: str | None,
    acrostic: str | None,
    enforce: bool | None,
    temperature: float | None,
    seed: float | None,
) -> str:
    """Returns a poem as HTML, a mark for the wanted tone below each character.

    Raises:
        gr.Error: If there is no such poem, saying why.
    """
    answer = model.ask(
        "generate",
        theme=["" if acrostic else given(theme, THEME).encode()],
        first_line=[b""],
        acrostic=[given(acrostic, "").encode()],
        line_length=[LENGTHS[given(length, LENGTH)]],
        template=[-1],
        rhyme=[-1],
        enforce=[given(enforce, True)],
        temperature=[given(temperature, TEMPERATURE)],
        top_k=[0],
        top_p=[1.0],
        seed=[int(given(seed, 0))],
    )
    problem = words(answer["problem"])[0]
    if problem:
        raise gr.Error(problem, print_exception=False)
    lines, patterns = words(answer["lines"][0]), words(answer["pattern"][0])
    rows = "".join(_line(*pair) for pair in zip(lines, patterns, strict=True))
    rhyme = f"rhyme: {html.escape(words(answer['rhyme'])[0])}; " if "rhyme" in answer else ""
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


def goes_on(model: Model) -> bool:
    """Returns whether a model goes on with a text."""
    return model.takes("generate", TEXT, ["text"])


def build_text(model: Model) -> None:
    """Lays out the tab of a model of a text."""
    prompt = gr.Textbox(BEGINNING, label="Beginning")
    length = gr.Slider(1, 500, CHARACTERS, step=1, label="Characters")
    temperature = gr.Slider(0.1, 2.0, TEMPERATURE, step=0.1, label="Temperature")
    seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
    write = gr.Button("Go on", variant="primary")
    found = gr.Textbox(label="Text", lines=8, interactive=False)

    asked = [prompt, length, temperature, seed]
    write.click(lambda *values: went_on(model, *values), asked, found)


def went_on(
    model: Model,
    prompt: str | None,
    length: float | None,
    temperature: float | None,
    seed: float | None,
) -> str:
    """Returns a beginning and how a model goes on with it."""
    answer = model.ask(
        "generate",
        prompt=[given(prompt, BEGINNING).encode()],
        length=[int(given(length, CHARACTERS))],
        temperature=[given(temperature, TEMPERATURE)],
        top_k=[0],
        top_p=[1.0],
        seed=[int(given(seed, 0))],
    )
    return words(answer["text"])[0]
