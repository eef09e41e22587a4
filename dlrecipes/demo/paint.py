"""A tab with a paint canvas, for models that translate images into images."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from dlrecipes.data.generated.facades import CLASSES, PALETTE, coloured, generated_facades
from dlrecipes.demo.digits import choose_brush, composite_on_white
from dlrecipes.demo.limits import bounded
from dlrecipes.demo.model import Model, value_or

SIDE = 384
DESIGNED = 64


def fits(model: Model) -> bool:
    """Returns whether a model translates images into images."""
    return model.takes("images", ["images"], ["images"])


def build(model: Model) -> None:
    """Lays out the tab."""
    legend = " ".join(
        f"<span style='background:{_hex(colour)};padding:0 .7em;border-radius:.2em'>&nbsp;</span>"
        f"&nbsp;{name}&ensp;"
        for name, colour in zip(CLASSES, PALETTE, strict=True)
    )
    gr.HTML(f"<div>Paint a facade's label map: {legend}</div>")
    with gr.Row():
        with gr.Column():
            page = bounded(
                gr.ImageEditor(
                    value=example_label_map(0),
                    label="Input",
                    type="numpy",
                    canvas_size=(SIDE, SIDE),
                    fixed_canvas=True,
                    layers=False,
                    brush=gr.Brush(
                        default_size=24,
                        colors=[_hex(colour) for colour in PALETTE],
                        default_color=_hex(PALETTE[CLASSES.index("window")]),
                        color_mode="fixed",
                    ),
                    elem_id=f"painting-{id(model)}",
                )
            )
        with gr.Column():
            output = gr.Image(label="Output", type="numpy", interactive=False)
    with gr.Row():
        generate = gr.Button("Generate the photograph", variant="primary")
        seed = gr.Slider(0, 100, 0, step=1, label="Example label map")
    choose_brush(page)
    generate.click(lambda painting: translate(model, painting), page, output)
    seed.release(lambda number: example_label_map(int(value_or(number, 0))), seed, page).then(
        lambda painting: translate(model, painting), page, output
    )


def example_label_map(number: int) -> np.ndarray:
    """Returns the label map of a generated facade, uint8 of shape `(SIDE, SIDE, 3)`."""
    maps, _ = generated_facades(1, seed=1, size=DESIGNED, first=number)
    scale = SIDE // DESIGNED
    return coloured(maps[0]).repeat(scale, axis=0).repeat(scale, axis=1)


def translate(model: Model, painting: dict[str, Any] | None) -> np.ndarray | None:
    """Returns the translation of a painted image, enlarged for display, or `None` for none."""
    if not painting or painting.get("composite") is None:
        return None
    image = model.ask("images", images=composite_on_white(painting["composite"])[None])["images"][0]
    scale = max(1, SIDE // len(image))
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def _hex(colour: np.ndarray) -> str:
    return "#" + bytes(colour.tolist()).hex()
