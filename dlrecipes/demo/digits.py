"""A tab with a drawing canvas, for image classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from dlrecipes.demo.limits import bounded
from dlrecipes.demo.model import Model, words
from dlrecipes.demo.photos import photo_field

SIDE, PHOTO_HEIGHT = 280, 200
# The canvas makes its buttons when it is shown, and is ready for strokes a moment later.
_CHOOSE_BRUSH = """() => {
  const choose = (tries) => {
    const brush = document.querySelector('#ID button[aria-label="Brush"]');
    const shown = brush && brush.offsetParent !== null;
    if (shown && !brush.dataset.chosen) {
      brush.dataset.chosen = true;
      brush.click();
    } else if (!shown && tries > 0) {
      setTimeout(() => choose(tries - 1), 100);
    }
  };
  choose(100);
}"""
# Number of classes that are listed.
SHOWN = 30


def fits(model: Model) -> bool:
    """Returns whether a model classifies images."""
    return model.takes("images", ["images"], ["label", "probabilities", "classes"])


def build(model: Model) -> None:
    """Lays out the tab."""
    gr.Markdown(task(model.extra("labels.txt").splitlines()))
    # Columns have their final width from the start; a canvas does not move after its first layout.
    with gr.Row():
        with gr.Column():
            pad = bounded(
                gr.Sketchpad(
                    label="Drawing",
                    type="numpy",
                    canvas_size=(SIDE, SIDE),
                    fixed_canvas=True,
                    layers=False,
                    brush=gr.Brush(default_size=20, colors=["#000000"], color_mode="fixed"),
                    elem_id=f"drawing-{id(model)}",
                )
            )
            photo = photo_field(PHOTO_HEIGHT, "Or a photo of a single character")
        with gr.Column():
            label = gr.Label(label="Prediction", num_top_classes=10)
    choose_brush(pad)
    pad.change(lambda drawing: classify(model, drawing), pad, label, show_progress="minimal")
    photo.change(lambda image: classify_photo(model, image), photo, label, show_progress="minimal")


def choose_brush(canvas: gr.ImageEditor) -> None:
    """Selects the brush of a canvas as soon as its tab is shown; otherwise no tool is selected.

    Args:
        canvas: Canvas in a tab, with an `elem_id`.
    """
    block: Any = canvas.parent
    while block is not None and not isinstance(block, gr.Tab | gr.Blocks):
        block = block.parent
    script = _CHOOSE_BRUSH.replace("ID", str(canvas.elem_id))
    root = gr.context.Context.root_block
    if root is not None:
        root.load(None, js=script)
    if isinstance(block, gr.Tab):
        block.select(None, js=script)


def task(classes: Sequence[str]) -> str:
    """Returns what to draw for a model of these classes, as Markdown."""
    if not classes or set(classes) <= set("0123456789"):
        return "Draw a digit."
    names = ", ".join(f"`{name}`" for name in classes[:SHOWN])
    return f"Draw one of {len(classes)} classes: {names}{', ...' if len(classes) > SHOWN else '.'}"


def classify_photo(model: Model, image: np.ndarray | None) -> dict[str, float]:
    """Returns the probability of each class for a photo, or nothing for none."""
    return classify(model, {"composite": image})


def classify(model: Model, drawing: dict[str, Any] | None) -> dict[str, float]:
    """Returns the probability of each class for a drawing, or nothing for a blank canvas."""
    if not drawing or drawing.get("composite") is None:
        return {}
    image = composite_on_white(drawing["composite"])
    if image.min() == image.max():
        return {}
    outputs = model.ask("images", images=image[None])
    classes, probabilities = words(outputs["classes"][0]), outputs["probabilities"][0]
    return dict(zip(classes, probabilities.tolist(), strict=True))


def composite_on_white(image: np.ndarray) -> np.ndarray:
    """Returns an image composited over white, as uint8 with three channels."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[2] == 3:
        return image.astype("uint8")
    alpha = image[..., 3:].astype("float32") / 255
    return (image[..., :3] * alpha + 255 * (1 - alpha)).round().astype("uint8")
