"""A tab for images that are uploaded, pasted or taken, for models that find objects in them."""

from __future__ import annotations

import gradio as gr
import numpy as np
from PIL import Image

from dlrecipes.demo.digits import composite_on_white
from dlrecipes.demo.model import Model, words
from dlrecipes.demo.photos import offer_examples, photo_field
from dlrecipes.figures import draw_boxes

SIDE = 420
# Least score of the boxes that are drawn at first.
THRESHOLD = 0.5
HEADERS = ("class", "score", "left", "top", "right", "bottom")


def fits(model: Model) -> bool:
    """Returns whether a model finds objects in images."""
    return model.takes("images", ["images"], ["boxes", "scores", "labels", "count"])


def build(model: Model) -> None:
    """Lays out the tab."""
    with gr.Row():
        image = photo_field(SIDE, name=f"{model.name}-image")
        drawing = gr.Image(label="Objects", type="numpy", interactive=False, height=SIDE)
    threshold = gr.Slider(0, 1, THRESHOLD, step=0.05, label="Least score")
    table = gr.Dataframe(headers=list(HEADERS), label="Objects", interactive=False)
    for event in (image.change, threshold.release):
        event(
            lambda pixels, least: detect(model, pixels, least),
            [image, threshold],
            [drawing, table],
            show_progress="minimal",
        )
    offer_examples(model, image)


def detect(
    model: Model, pixels: np.ndarray | None, threshold: float | None
) -> tuple[np.ndarray | None, list[list[str | float]]]:
    """Returns an image with its boxes, and a row for each; nothing without an image.

    Args:
        model: Model that finds objects.
        pixels: uint8 array of shape `(height, width)` or `(height, width, channels)`.
        threshold: Least score; `None` for the one at first.
    """
    if pixels is None:
        return None, []
    image = composite_on_white(pixels)
    outputs = {name: value[0] for name, value in model.ask("images", images=image[None]).items()}
    least = THRESHOLD if threshold is None else threshold
    shown = np.flatnonzero(
        (np.arange(len(outputs["scores"])) < outputs["count"]) & (outputs["scores"] >= least)
    )
    boxes, scores = outputs["boxes"][shown], outputs["scores"][shown]
    labels = words(outputs["labels"][shown])
    drawn = draw_boxes(Image.fromarray(image), boxes, labels, scores)
    rows = [
        [label, round(float(score), 3), *box.round(1).tolist()]
        for label, score, box in zip(labels, scores, boxes, strict=True)
    ]
    return np.asarray(drawn), rows
