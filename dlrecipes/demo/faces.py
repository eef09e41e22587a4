"""A tab that compares two images of faces, for models that embed images."""

from __future__ import annotations

import gradio as gr
import numpy as np

from dlrecipes.demo.limits import bounded
from dlrecipes.demo.model import Model

THRESHOLD_FILE = "threshold.txt"


def fits(model: Model) -> bool:
    """Returns whether a model embeds images."""
    return model.takes("images", ["images"], ["embedding"])


def build(model: Model) -> None:
    """Lays out the tab."""
    gr.Markdown("Do two images of faces show the same person?")
    with gr.Row():
        first, second = (
            bounded(
                gr.Image(
                    label=f"{position.capitalize()} image",
                    type="numpy",
                    sources=["upload", "clipboard"],
                    elem_id=f"{model.name}-{position}",
                )
            )
            for position in ("first", "second")
        )
    verdict = gr.Markdown()
    for image in (first, second):
        image.change(lambda *pair: compare(model, *pair), [first, second], verdict)


def compare(model: Model, one: np.ndarray | None, other: np.ndarray | None) -> str:
    """Returns whether two images show the same person, as Markdown; empty if one is missing."""
    if one is None or other is None:
        return ""
    first, second = (model.ask("images", images=x[None])["embedding"][0] for x in (one, other))
    distance = float(np.sum((first - second) ** 2))
    text = model.extra(THRESHOLD_FILE).strip()
    if not text:
        return f"The squared distance is {distance:.3g}."
    verdict = "Same person" if distance <= float(text) else "Different people"
    return (
        f"**{verdict}**: the squared distance is {distance:.3g}, the threshold {float(text):.3g}."
    )
