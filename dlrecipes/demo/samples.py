"""A tab with a seed, for models that generate images without an input image."""

from __future__ import annotations

import gradio as gr
import numpy as np

from dlrecipes.demo.model import Model, value_or

SIDE = 96
COUNT = 16
ALL = "all in turn"


def fits(model: Model) -> bool:
    """Returns whether a model generates images from a seed, with or without a class."""
    return any(
        model.takes("", [*inputs, "seed", "count"], ["images"]) for inputs in ([], ["label"])
    )


def build(model: Model) -> None:
    """Lays out the tab."""
    names = model.extra("labels.txt").split("\n")[:-1]
    seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
    count = gr.Slider(1, 64, COUNT, step=1, label="Images")
    label = gr.Dropdown([ALL, *names], value=ALL, label="Class", visible=bool(names))
    generate = gr.Button("Generate", variant="primary")
    gallery = gr.Gallery(label="Samples", columns=8, object_fit="contain", format="png")

    def update(seed: float | None, count: float | None, label: str | None):
        index = names.index(label) if label in names else -1
        return samples(model, int(value_or(seed, 0)), int(value_or(count, COUNT)), index)

    for event in (seed.release, generate.click):
        event(update, [seed, count, label], gallery)


def samples(model: Model, seed: int, count: int, label: int = -1) -> list[np.ndarray]:
    """Returns generated images, enlarged for display, as uint8 of shape `(height, width, 3)`.

    Args:
        model: Model that generates images.
        seed: Seed of the model.
        count: Number of images.
        label: Index of the class. Defaults to -1, which means all classes in turn.
    """
    images = model.ask(seed=[seed], count=[count], label=[label])["images"]
    scale = max(1, SIDE // images.shape[1])
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    return list(np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images)
