"""Fields for images that are uploaded, pasted or taken, and a model's test images below them."""

from __future__ import annotations

import io

import gradio as gr
import numpy as np
from PIL import Image

from dlrecipes.demo.limits import bounded
from dlrecipes.demo.model import Model


def photo_field(height: int, label: str = "Image", name: str | None = None) -> gr.Image:
    """Returns a field whose image is uploaded, taken or pasted.

    Args:
        height: Height in pixels.
        label: Label of the field. Defaults to `"Image"`.
        name: Its name in the page. Defaults to `None`.
    """
    return bounded(
        gr.Image(
            label=label,
            type="numpy",
            sources=["upload", "webcam", "clipboard"],
            height=height,
            elem_id=name,
        )
    )


def offer_examples(model: Model, field: gr.Image) -> None:
    """Lays out the model's test images, if it has any; a click puts one into the field.

    Args:
        model: The model.
        field: Field for an image.
    """
    examples = example_images(model)
    if examples:
        gr.Examples([[example] for example in examples], [field], label="Test images")


def example_images(model: Model, count: int = 6) -> list[np.ndarray]:
    """Returns test images that were stored when the model was published.

    Args:
        model: Model that classifies images.
        count: Maximum number of images. Defaults to 6.
    """
    files = model.stored_example("", "image_bytes")[:count]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
