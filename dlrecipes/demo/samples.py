"""A tab with a seed, for models that draw images of nothing."""

from __future__ import annotations

import gradio as gr
import numpy as np

from dlrecipes.demo.model import Model, given

SIDE = 96
COUNT = 16
ALL = "all in turn"


def fits(model: Model) -> bool:
    """Returns whether a model draws images of a seed, with or without a class."""
    return any(
        model.takes("", [*inputs, "seed", "count"], ["images"]) for inputs in ([], ["label"])
    )


def build(model: Model) -> None:
    """Lays out the tab."""
    names = model.extra("labels.txt").split("\n")[:-1]
    seed = gr.Slider(0, 1000, 0, step=1, label="Seed")
    count = gr.Slider(1, 64, COUNT, step=1, label="Images")
    label = gr.Dropdown([ALL, *names], value=ALL, label="Class", visible=bool(names))
    draw = gr.Button("Draw", variant="primary")
    found = gr.Gallery(label="Samples", columns=8, object_fit="contain", format="png")

    def drawn(seed: float | None, count: float | None, label: str | None):
        place = names.index(label) if label in names else -1
        return samples(model, int(given(seed, 0)), int(given(count, COUNT)), place)

    for event in (seed.release, draw.click):
        event(drawn, [seed, count, label], found)


def samples(model: Model, seed: int, count: int, label: int = -1) -> list[np.ndarray]:
    """Returns images of a seed, enlarged for the eye, uint8 of shape `(height, width, 3)`."""
    images = model.ask(seed=[seed], count=[count], label=[label])["images"]
    times = max(1, SIDE // images.shape[1])
    images = images.repeat(times, axis=1).repeat(times, axis=2)
    return list(np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images)
