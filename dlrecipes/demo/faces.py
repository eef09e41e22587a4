"""A tab to compare two images in, for models that embed them."""

from __future__ import annotations

import gradio as gr
import numpy as np

from dlrecipes.demo.model import Model

THRESHOLD_FILE = "threshold.txt"


def fits(model: Model) -> bool:
    """Returns whether a model embeds images."""
    return model.takes("images", ["images"], ["embedding"])


def build(model: Model) -> None:
    """Lays out the tab."""
    gr.Markdown("Two images of faces: do they show one person?")
    with gr.Row():
        one, other = (
            gr.Image(
                label=label.capitalize(),
                type="numpy",
                sources=["upload", "clipboard"],
                elem_id=f"{model.name}-{label}",
            )
            for label in ("one", "another")
        )
    found = gr.Markdown()
    for image in (one, other):
        image.change(lambda *pair: said(model, *pair), [one, other], found)


def said(model: Model, one: np.ndarray | None, other: np.ndarray | None) -> str:
    """Returns whether two images show one person, as Markdown; of one alone nothing."""
    if one is None or other is None:
        return ""
    first, second = (model.ask("images", images=x[None])["embedding"][0] for x in (one, other))
    distance = float(np.sum((first - second) ** 2))
    text = model.extra(THRESHOLD_FILE).strip()
    if not text:
        return f"The squared distance is {distance:.3g}."
    same = "One person" if distance <= float(text) else "Two people"
    return f"**{same}**: the squared distance is {distance:.3g}, the threshold {float(text):.3g}."
