"""A tab for images that are uploaded, pasted or taken, for classifiers that explain themselves."""

from __future__ import annotations

import io

import gradio as gr
import numpy as np
from PIL import Image

from dlrecipes.demo.digits import composite_on_white
from dlrecipes.demo.model import Model, words
from dlrecipes.demo.photos import offer_examples, photo_field

# Classes with bars, and classes that are named above.
BARS, SHOWN = 10, 30
SIDE = 320


def fits(model: Model) -> bool:
    """Returns whether a model classifies images and draws heat maps."""
    return model.takes("images", ["images"], ["label", "probabilities", "classes"]) and model.takes(
        "explain", ["image_bytes"], ["explanation_bytes"]
    )


def build(model: Model) -> None:
    """Lays out the tab."""
    names = model.extra("labels.txt").splitlines()
    listed = ", ".join(f"`{name}`" for name in names[:SHOWN])
    gr.Markdown(f"Classes: {listed}{', ...' if len(names) > SHOWN else '.'}" if names else "")
    with gr.Row():
        image = photo_field(SIDE, name=f"{model.name}-image")
        label = gr.Label(label="Prediction", num_top_classes=BARS)
        heat_map = gr.Image(
            label="Parts that decided", type="numpy", interactive=False, height=SIDE
        )
    image.change(
        lambda pixels: classify(model, pixels), image, [label, heat_map], show_progress="minimal"
    )
    offer_examples(model, image)


def classify(model: Model, pixels: np.ndarray | None) -> tuple[dict[str, float], np.ndarray | None]:
    """Returns the probability of each class, and the heat map; nothing without an image.

    Args:
        model: Model that classifies images.
        pixels: uint8 array of shape `(height, width)` or `(height, width, channels)`.
    """
    if pixels is None:
        return {}, None
    image = composite_on_white(pixels)
    outputs = model.ask("images", images=image[None])
    pairs = zip(words(outputs["classes"][0]), outputs["probabilities"][0].tolist(), strict=True)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    (heat_map,) = model.ask("explain", image_bytes=[file.getvalue()])["explanation_bytes"]
    return dict(pairs), np.asarray(Image.open(io.BytesIO(heat_map)).convert("RGB"))
