"""A tab for autoencoders: an image, and what its code restores."""

from __future__ import annotations

import bisect

import gradio as gr
import numpy as np

from dlrecipes.demo.digits import composite_on_white
from dlrecipes.demo.model import Model
from dlrecipes.demo.photos import offer_examples, photo_field

SIDE = 320


def fits(model: Model) -> bool:
    """Returns whether a model restores images from codes."""
    return model.takes("images", ["images"], ["code", "restored", "error"])


def build(model: Model) -> None:
    """Lays out the tab."""
    with gr.Row():
        image = photo_field(SIDE, name=f"{model.name}-image")
        restored = gr.Image(label="Restored", type="numpy", interactive=False, height=SIDE)
    about = gr.Markdown()
    image.change(
        lambda pixels: restore(model, pixels), image, [restored, about], show_progress="minimal"
    )
    offer_examples(model, image)


def restore(model: Model, pixels: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """Returns the restored image, and how unusual the image is; nothing without an image.

    Args:
        model: Model that restores images.
        pixels: uint8 array of shape `(height, width)` or `(height, width, channels)`.
    """
    if pixels is None:
        return None, ""
    outputs = model.ask("images", images=composite_on_white(pixels)[None])
    code, restored, error = (outputs[name][0] for name in ("code", "restored", "error"))
    text = f"{len(code)} numbers, squared error {error:.2f}"
    percentiles = [float(line) for line in model.extra("errors.txt").split()]
    if percentiles:
        above = min(100, max(0, bisect.bisect(percentiles, float(error)) - 1))
        text += f": larger than for {above} % of the validation images"
    if "label" in outputs:
        text += f"; class {outputs['label'][0].decode('utf-8', 'replace')}"
    return np.repeat(restored, 3 // restored.shape[-1], axis=-1), f"{text}."
