"""A tab to draw in, for models that say what an image shows."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from dlrecipes.demo.model import Model, words

SIDE = 280


def fits(model: Model) -> bool:
    """Returns whether a model classifies images."""
    return model.takes("images", ["images"], ["label", "probabilities", "classes"])


def build(model: Model) -> None:
    """Lays out the tab."""
    gr.Markdown("Draw a digit.")
    # Columns have their width at once: a canvas stays where it was first laid out.
    with gr.Row():
        with gr.Column():
            pad = gr.Sketchpad(
                label="Drawing",
                type="numpy",
                canvas_size=(SIDE, SIDE),
                fixed_canvas=True,
                layers=False,
                brush=gr.Brush(default_size=20, colors=["#000000"], color_mode="fixed"),
            )
        with gr.Column():
            found = gr.Label(label="What it shows", num_top_classes=10)
    pad.change(lambda drawn: said(model, drawn), pad, found, show_progress="minimal")


def said(model: Model, drawn: dict[str, Any] | None) -> dict[str, float]:
    """Returns the probability of each class for what was drawn; of a blank page nothing."""
    if not drawn or drawn.get("composite") is None:
        return {}
    page = on_white(drawn["composite"])
    if page.min() == page.max():
        return {}
    answer = model.ask("images", images=page[None])
    names, chances = words(answer["classes"][0]), answer["probabilities"][0]
    return dict(zip(names, chances.tolist(), strict=True))


def on_white(image: np.ndarray) -> np.ndarray:
    """Returns an image with an alpha channel as it looks on white, uint8 of three channels."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[2] == 3:
        return image.astype("uint8")
    alpha = image[..., 3:].astype("float32") / 255
    return (image[..., :3] * alpha + 255 * (1 - alpha)).round().astype("uint8")
