"""What pix2pix shows: sheets of drawn images, and how its files are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.files import atomic_write
from dlrecipes.data import image_files
from dlrecipes.errors import UsageError, reason

from .config import PredictOptions

SHEET, JUDGED = 12, 4
# Of all epochs these many are shown, closer together at the beginning.
EPOCHS = 6


def answers(function: Callable, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns where each image that was drawn lies.

    Raises:
        UsageError: If a file is not there, or the folder cannot be written to.
        DataError: If a file is no image.
    """
    if not inputs:
        raise UsageError("There is no image to draw from.", "Name image files.")
    folder = Path(options.output).expanduser()
    if not folder.is_dir():
        raise UsageError(f"--output {options.output}: there is no such folder.")
    stems = [Path(name).stem for name in inputs]
    for name, stem in zip(inputs, stems, strict=True):
        if stems.count(stem) > 1:
            raise UsageError(
                f"{name}: several of these are named {stem}, and would be drawn to one file.",
                "Give them one by one, each with its own --output.",
            )
    lines = []
    for name in inputs:
        path = Path(name).expanduser()
        if not path.is_file():
            kind = "this is a folder" if path.is_dir() else "there is no such file"
            raise UsageError(f"{name}: {kind}.", "Name image files.")
        read = image_files.read_image(path, "RGB")
        found = function(image_bytes=tf.constant([tf.io.encode_png(read).numpy()]))
        place = folder / f"{path.stem}.drawn.png"
        try:
            atomic_write(place, found["png_bytes"].numpy()[0])
        except OSError as error:
            raise UsageError(f"{place} cannot be written: {reason(error)}.") from None
        lines.append(f"{name}: drawn to {place}")
    return lines


def sheet(inputs: np.ndarray, drawn: np.ndarray, targets: np.ndarray) -> Figure:
    """Draws test images: what is read, what is drawn of it, and the truth."""
    columns = 2 if len(inputs) > 4 else 1
    rows = -(-len(inputs) // columns)
    figure = Figure(figsize=(5.4 * columns, 1.75 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, 3 * columns, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for number, trio in enumerate(zip(inputs, drawn, targets, strict=True)):
        row, column = number // columns, 3 * (number % columns)
        for place, image in enumerate(trio):
            axes[row, column + place].imshow(image)
            if not row:
                axes[row, column + place].set_title(("input", "drawn", "truth")[place])
    return figure


def over_epochs(
    inputs: np.ndarray, targets: np.ndarray, snapshots: Mapping[int, np.ndarray]
) -> Figure:
    """Draws what became of some validation images after some epochs."""
    known = sorted(snapshots)
    places = np.unique(np.geomspace(1, len(known), min(EPOCHS, len(known))).round().astype(int))
    chosen = [known[place - 1] for place in places]
    figure = Figure(
        figsize=(1.75 * (len(chosen) + 2), 1.75 * len(inputs) + 0.4), layout="constrained"
    )
    axes = figure.subplots(len(inputs), len(chosen) + 2, squeeze=False)
    titles = ["input", *(f"epoch {epoch}" for epoch in chosen), "truth"]
    for row in range(len(inputs)):
        shown = [inputs[row], *(snapshots[epoch][row] for epoch in chosen), targets[row]]
        for axis, image, title in zip(axes[row], shown, titles, strict=True):
            axis.imshow(image)
            axis.axis("off")
            if not row:
                axis.set_title(title)
    return figure


def patches(
    inputs: np.ndarray, targets: np.ndarray, drawn: np.ndarray, judged: Sequence[np.ndarray]
) -> Figure:
    """Draws how real the discriminator takes each patch for, of the truth and of what is drawn.

    Args:
        inputs: What is read.
        targets: The truth.
        drawn: What is drawn.
        judged: Probabilities of each patch, `(count, rows, columns, 1)`, of truth and drawn.
    """
    count = len(judged[0])
    figure = Figure(figsize=(9.5, 1.8 * count + 0.5), layout="constrained")
    axes = figure.subplots(count, 5, squeeze=False)
    titles = ("input", "truth", "taken for real", "drawn", "taken for real")
    for row in range(count):
        shown = (inputs[row], targets[row], judged[0][row], drawn[row], judged[1][row])
        for axis, image, title in zip(axes[row], shown, titles, strict=True):
            if image.shape[-1] == 1:
                last = axis.imshow(image[..., 0], cmap="RdYlGn", vmin=0, vmax=1)
            else:
                axis.imshow(image)
            axis.axis("off")
            if not row:
                axis.set_title(title)
    figure.colorbar(last, ax=axes, shrink=0.5, label="probability that a patch is real")
    return figure


def usage(name: str, size: int) -> str:
    """Returns how the published files are called, in Markdown."""
    return "\n\n".join(
        [
            "A PNG or JPEG file to the SavedModel, as TensorFlow Serving takes it, or from this "
            "folder; a PNG file comes back:",
            '```\necho \'{"instances": [{"b64": "\'$(base64 -w0 map.png)\'"}]}\' | \\\n'
            f"    curl -d @- localhost:8501/v1/models/{name}:predict\n```",
            "```python\nimport tensorflow as tf\n"
            'model = tf.saved_model.load(".")\n'
            'draw = model.signatures["serving_default"]\n'
            'drawn = draw(image_bytes=tf.constant([tf.io.read_file("map.png")]))\n'
            'tf.io.write_file("photo.png", drawn["png_bytes"][0])\n```',
            "The signature `images` takes arrays, `images`, uint8 `(batch, height, width, "
            f"channels)` of any size with 1 to 4 channels, and returns `images`, uint8 "
            f"`(batch, {size}, {size}, 3)`.",
            f"`model.tflite` takes images of {size}x{size} as numbers from 0 to 1, float32 "
            f"`(batch, {size}, {size}, 3)`, and returns `images` of the same kind:",
            "```python\nfrom ai_edge_litert.interpreter import Interpreter\n"
            'draw = Interpreter("model.tflite").get_signature_runner("serving_default")\n'
            "draw(images=images)\n```",
        ]
    )
