"""What DCGAN shows: sheets of images, and how its files are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import UsageError, reason
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.metrics.verification import squared_distances

from .config import Config, PredictOptions

SHEET, COMPARED, STEPS = 64, 6, 8
# Of all epochs these many are shown, closer together at the beginning.
EPOCHS = 6
FRAMES = 60


def answers(
    function: Callable, inputs: Sequence[str], options: PredictOptions, names: Sequence[str]
) -> list[str]:
    """Draws a sheet of images to a file; returns where it lies.

    Args:
        function: The published SavedModel's.
        inputs: Nothing: options say all.
        options: What is drawn.
        names: The classes of a conditional model.

    Raises:
        UsageError: If there are inputs, or the class is not known, or the file cannot be written.
    """
    if inputs:
        raise UsageError(f"{inputs[0]}: dcgan draws of nothing.", "Give --count and --seed.")
    request = {"seed": tf.constant([options.seed]), "count": tf.constant([options.count])}
    if options.label and options.label not in names:
        known = f"It knows {', '.join(names)}." if names else "Leave it out."
        what = "is no class of this model" if names else "is of a model without classes"
        raise UsageError(f"--label {options.label}: this {what}.", known)
    if names:
        label = names.index(options.label) if options.label else -1
        request["label"] = tf.constant([label])
    path = Path(options.output).expanduser()
    if path.is_dir():
        raise UsageError(f"--output {options.output}: this is a folder; a file is wanted.")
    if not path.parent.is_dir():
        raise UsageError(f"--output {options.output}: there is no such folder.")
    images = function(**request)["images"].numpy()
    try:
        atomic_write(path, tf.io.encode_png(tiled(images)).numpy())
    except OSError as error:
        raise UsageError(f"--output {options.output}: {reason(error)}.") from None
    return [f"{options.count} images of seed {options.seed}: drawn to {options.output}"]


def label_names(version: ModelVersion) -> tuple[str, ...]:
    """Returns the classes of a conditional model; of others none."""
    path = version.folder / EXTRAS / "labels.txt"
    return tuple(path.read_text("utf-8").splitlines()) if path.is_file() else ()


def tiled(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """Returns images side by side on white, about as many rows as columns; uint8."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, "uint8"
    )
    for number, image in enumerate(images):
        top = gap + number // columns * (height + gap)
        left = gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def sheet(images: np.ndarray) -> Figure:
    """Draws many images as one."""
    figure = Figure(figsize=(7, 7.3), layout="constrained")
    axis = figure.subplots()
    _show(axis, tiled(images))
    axis.set_title(f"{len(images)} images of noise")
    return figure


def over_epochs(snapshots: Mapping[int, np.ndarray]) -> Figure:
    """Draws images of the same noise after some epochs."""
    known = sorted(snapshots)
    places = np.unique(np.geomspace(1, len(known), min(EPOCHS, len(known))).round().astype(int))
    chosen = [known[place - 1] for place in places]
    columns = min(3, len(chosen))
    rows_ = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.7 * rows_), layout="constrained")
    axes = np.ravel(figure.subplots(rows_, columns, squeeze=False))
    for axis in axes:
        axis.axis("off")
    for axis, epoch in zip(axes, chosen, strict=False):
        _show(axis, tiled(snapshots[epoch]))
        axis.set_title(f"epoch {epoch}")
    return figure


def frames(snapshots: Mapping[int, np.ndarray]) -> np.ndarray:
    """Returns images of the same noise epoch after epoch, as frames of a GIF."""
    known = sorted(snapshots)
    places = np.unique(np.linspace(0, len(known) - 1, min(FRAMES, len(known))).round().astype(int))
    return np.stack([tiled(snapshots[known[place]]) for place in places])


def rows(images: np.ndarray, title: str) -> Figure:
    """Draws rows of images, `(rows, columns, height, width, channels)`."""
    count, across = images.shape[:2]
    figure = Figure(figsize=(1.1 * across, 1.15 * count + 0.4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(count, across, squeeze=False)
    for axis, image in zip(axes.ravel(), images.reshape(-1, *images.shape[2:]), strict=True):
        _show(axis, image)
    return figure


def nearest(made: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns each made image and the training images that are nearest by their pixels."""
    flat = [part.reshape(len(part), -1).astype("float32") for part in (made, training)]
    order = np.argsort(squared_distances(*flat), axis=1)[:, : STEPS - 1]
    return np.concatenate([made[:, None], training[order]], axis=1)


def usage(name: str, config: Config, conditional: bool) -> str:
    """Returns how the published files are called, in Markdown."""
    label = ', "label": [3]' if conditional else ""
    told = ", and `label`, int32 `(batch,)`" if conditional else ""
    return "\n\n".join(
        [
            "A seed and a count to the SavedModel, as TensorFlow Serving takes them, or from this "
            "folder; the same seed draws the same images:",
            f'```\ncurl -d \'{{"inputs": {{"seed": [7], "count": [16]{label}}}}}\' \\\n'
            f"    localhost:8501/v1/models/{name}:predict\n```",
            "```python\nimport tensorflow as tf\n"
            'model = tf.saved_model.load(".")\n'
            'draw = model.signatures["serving_default"]\n'
            "found = draw(seed=tf.constant([7]), count=tf.constant([16])"
            f"{', label=tf.constant([3])' if conditional else ''})\n"
            'tf.io.write_file("first.png", found["png_bytes"][0])\n```',
            "It returns `images`, uint8 `(count, height, width, channels)`, and `png_bytes`. "
            f"The signature `noise` takes float32 `(batch, {config.latent_size})`, uniform in "
            f"[-1, 1){told}."
            + (" `label` of the first is -1 for all classes in turn." if conditional else ""),
            "`model.tflite` takes the same and returns `images` as numbers from 0 to 1.",
        ]
    )


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
    axis.axis("off")
