"""What FaceNet shows: figures, who is who, and how its files are used."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from dlrecipes.data import image_files
from dlrecipes.data.faces import FaceImages, Size
from dlrecipes.data.gallery import Gallery
from dlrecipes.errors import DataError, UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.metrics.verification import ReceiverOperatingCharacteristic, squared_distances

from .config import PredictOptions
from .scores import compared as all_pairs

THRESHOLD_FILE = "threshold.txt"
ENROLLED_AT_ONCE = 64
SHOWN_IN_MATRIX = 30
SHOWN_IN_MAP = 120
SHOWN_NEIGHBOURS, NEIGHBOURS = 8, 7


def answers(version: ModelVersion, inputs: list[str], options: PredictOptions) -> list[str]:
    """Returns what `dlrecipes predict` prints.

    Raises:
        UsageError: If there is nothing to compare with.
        DataError: If an image cannot be read, or a gallery not be used.
    """
    if not options.gallery:
        if options.enrol:
            raise UsageError("--enrol keeps a gallery.", "Give --gallery FOLDER, too.")
        if len(inputs) < 2:
            raise UsageError(
                "One image alone has nothing to be compared with.",
                "Give two images, or --gallery FOLDER with one folder of images a person.",
            )
    elif not inputs and not options.enrol:
        raise UsageError("There is no image to look for.", "Give images after the options.")
    function = version.function()
    threshold = options.threshold or float(version.file(f"{EXTRAS}/{THRESHOLD_FILE}").read_text())
    if not options.gallery:
        return compared(function, inputs, threshold)
    gallery = _gallery(function, Path(options.gallery).expanduser(), fingerprint(version))
    lines = []
    if options.enrol:
        gallery.save(Path(options.enrol).expanduser())
        lines.append(
            f"{options.enrol}: {len(gallery.names):,} images of {len(set(gallery.names)):,} "
            "people are enrolled"
        )
    for name, embedding in zip(inputs, _embeddings(function, inputs), strict=True):
        lines.append(f"{name}: {_who(gallery, embedding, threshold)}")
    return lines


def compared(function: Callable, inputs: Sequence[str], threshold: float | None) -> list[str]:
    """Returns a line for each two images: their distance, and whether they show one person."""
    found = dict(enumerate(_embeddings(function, inputs)))
    lines = []
    for first, second in itertools.combinations(range(len(inputs)), 2):
        distance = float(np.sum((found[first] - found[second]) ** 2))
        told = f"distance {distance:.3f}"
        if threshold is not None:
            same = "one person" if distance <= threshold else "two people"
            told = f"{same} ({told}, threshold {threshold:.3f})"
        lines.append(f"{inputs[first]} and {inputs[second]}: {told}")
    return lines


def fingerprint(version: ModelVersion) -> str:
    """Returns what tells a published model's weights from others: a digest of their index."""
    index = version.file("variables/variables.index").read_bytes()
    return hashlib.sha256(index).hexdigest()


def _who(gallery: Gallery, embedding: np.ndarray, threshold: float) -> str:
    first, *others = gallery.nearest(embedding, 2)
    told = f"distance {first.distance:.3f}, threshold {threshold:.3f}"
    if first.distance > threshold:
        return f"unknown ({told} is passed even by {first.name}, who is nearest)"
    other = f"; next {others[0].name}, {others[0].distance:.3f}" if others else ""
    return f"{first.name} ({told}{other})"


def _gallery(function: Callable, path: Path, model: str) -> Gallery:
    if not path.is_dir():
        if not path.exists():
            raise DataError(f"{path}: there is no such folder or file.")
        return Gallery.load(path, model)
    people = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    files = {
        folder.name: image_files.list_images(folder) for folder in people if folder.name[0] != "."
    }
    for name, own in files.items():
        if not own:
            raise DataError(f"{path / name}: the person has no images.")
    if not files:
        raise DataError(f"{path}: there is no folder of images in it.", "Make one a person.")
    names = [name for name, own in files.items() for _ in own]
    paths = [str(file) for own in files.values() for file in own]
    return Gallery(_embeddings(function, paths), names, model)


def _embeddings(function: Callable, paths: Sequence[str]) -> np.ndarray:
    """Returns the embeddings of files: read here, so that one that is damaged is named."""
    found = []
    for start in range(0, len(paths), ENROLLED_AT_ONCE):
        files = [_file(name) for name in paths[start : start + ENROLLED_AT_ONCE]]
        found.append(function(image_bytes=tf.constant(files))["embedding"].numpy())
    return np.concatenate(found) if found else np.zeros((0, 0), "float32")


def _file(name: str) -> bytes:
    """Returns an image file's pixels as PNG: of any kind that is read, PGM and TIFF, too."""
    path = Path(name).expanduser()
    if not path.is_file():
        reason = "this is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(f"{name}: {reason}.", "Name image files.")
    return tf.io.encode_png(image_files.read_image(path, "RGB")).numpy()


def roc(curves: Mapping[str, ReceiverOperatingCharacteristic]) -> Figure:
    """Draws the ROC of each way to compare images; FAR is logarithmic."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axis = figure.subplots()
    for (name, curve), colour in zip(curves.items(), (BLUE, ORANGE, GREY), strict=False):
        label = f"{name}: EER {curve.equal_error_rate:.1%}, AUC {curve.auc:.3f}"
        axis.plot(curve.false_accepts, curve.true_accepts, color=colour, label=label)
    least = min(curve.false_accepts[curve.false_accepts > 0].min() for curve in curves.values())
    axis.set(
        title="Verification of people whom training has not seen",
        xlabel="false accepts (pairs of two people)",
        ylabel="true accepts (pairs of one person)",
        xscale="log",
        xlim=(least, 1),
        ylim=(0, 1.01),
    )
    # Written out: mathematics is switched off where figures are drawn.
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axis.legend(loc="lower right", fontsize=8)
    axis.grid(color=GREY, alpha=0.2)
    return figure


def distances(embeddings: np.ndarray, labels: np.ndarray, threshold: float) -> Figure:
    """Draws how far images of one person, and of two, are from one another."""
    found, same = all_pairs(embeddings, labels)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    bins = np.linspace(0, float(found.max()), 60)
    for kind, colour, label in ((same, BLUE, "one person"), (~same, ORANGE, "two people")):
        weights = np.full(int(kind.sum()), 1 / kind.sum())
        axis.hist(found[kind], bins, weights=weights, color=colour, alpha=0.6, label=label)
    axis.axvline(threshold, color=GREY, linestyle=":", label=f"threshold {threshold:.2f}")
    axis.set(
        title="Distances between test images",
        xlabel="squared distance",
        ylabel="share of the pairs",
    )
    axis.legend(fontsize=8)
    return figure


def matrix(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws the distances between some images, which stand along the edges."""
    rows = _some(examples, SHOWN_IN_MATRIX)
    squared = squared_distances(embeddings[rows], embeddings[rows])
    figure = Figure(figsize=(9.5, 9), layout="constrained")
    axis = figure.subplots()
    shown = axis.imshow(squared, cmap="viridis_r", vmin=0)
    figure.colorbar(shown, ax=axis, shrink=0.7, label="squared distance")
    axis.set(xticks=[], yticks=[], title="Distances between test images, by person\n\n")
    zoom = 11 / examples.images.shape[1]
    for place, row in enumerate(rows):
        for spot in ((place, -1.1), (-1.1, place)):
            axis.add_artist(_image(examples.images[row], spot, zoom))
    ends = np.flatnonzero(np.diff(examples.labels[rows])) + 0.5
    axis.hlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    axis.vlines(ends, -0.5, len(rows) - 0.5, color="white", linewidth=1)
    return figure


def neighbours(embeddings: np.ndarray, examples: FaceImages) -> Figure:
    """Draws the images nearest to some: those of others are framed."""
    chosen = _some(examples, SHOWN_NEIGHBOURS, each=1)
    squared = squared_distances(embeddings[chosen], embeddings)
    figure = Figure(
        figsize=(1.25 * (NEIGHBOURS + 1), 1.4 * len(chosen) + 0.5), layout="constrained"
    )
    figure.suptitle("Each test image (left) and its nearest; orange: of another person")
    axes = figure.subplots(len(chosen), NEIGHBOURS + 1, squeeze=False)
    for row, image, found in zip(axes, chosen, squared, strict=True):
        order = [place for place in np.argsort(found, kind="stable") if place != image]
        for axis, place in itertools.zip_longest(row, [image, *order][: NEIGHBOURS + 1]):
            axis.set(xticks=[], yticks=[])
            if place is None:
                axis.axis("off")
                continue
            _show(axis, examples.images[place])
            right = examples.labels[place] == examples.labels[image]
            for spine in axis.spines.values():
                spine.set(color=GREY if right else ORANGE, linewidth=1 if right else 3)
            if place != image:
                axis.set_title(f"{found[place]:.2f}", fontsize=8)
    return figure


def chart(embeddings: np.ndarray, examples: FaceImages, seed: int) -> Figure:
    """Draws a map on which near images have near embeddings (t-SNE).

    Reference:
        Van der Maaten and Hinton, 2008, "Visualizing data using t-SNE".
    """
    from sklearn.manifold import TSNE

    rows = _some(examples, SHOWN_IN_MAP)
    perplexity = min(12.0, (len(rows) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        embeddings[rows]
    )
    figure = Figure(figsize=(9, 9), layout="constrained")
    axis = figure.subplots()
    colours = np.unique(examples.labels[rows], return_inverse=True)[1]
    axis.scatter(*places.T, c=colours, cmap="tab20", s=420, marker="s")
    for row, place in zip(rows, places, strict=True):
        axis.add_artist(_image(examples.images[row], place, 16 / examples.images.shape[1]))
    axis.set(xticks=[], yticks=[], title="Test images by embedding (t-SNE); a colour a person")
    axis.margins(0.06)
    return figure


def usage(name: str, size: Size, threshold: float) -> str:
    """Returns how the published files are called, in Markdown."""
    colour = "colour" if size.channels == 3 else "grey"
    return "\n\n".join(
        [
            "PNG or JPEG files to the SavedModel, as TensorFlow Serving takes them, or from this "
            "folder:",
            '```\necho \'{"instances": [{"b64": "\'$(base64 -w0 photo.jpg)\'"}]}\' | \\\n'
            f"    curl -d @- localhost:8501/v1/models/{name}:predict\n```",
            "```python\nimport tensorflow as tf\n"
            'model = tf.saved_model.load(".")\n'
            'embed = model.signatures["serving_default"]\n'
            'embed(image_bytes=tf.constant([tf.io.read_file("photo.jpg")]))["embedding"]\n```',
            "Images show one face that fills them about as in training. The squared distance "
            f"of two embeddings is from 0 to 4; up to {threshold:.3f} it is taken for one person "
            f"(`{EXTRAS}/{THRESHOLD_FILE}`).",
            "The signature `images` takes arrays, `images`, uint8 `(batch, height, width, "
            "channels)` with 1 to 4 channels and any size.",
            f"`model.tflite` takes {colour} images of {size.side}x{size.side} as numbers from 0 "
            f"to 1, float32 `(batch, {size.side}, {size.side}, {size.channels})`, and returns "
            "`embedding`:",
            "```python\nfrom ai_edge_litert.interpreter import Interpreter\n"
            'embed = Interpreter("model.tflite").get_signature_runner("serving_default")\n'
            "embed(images=images)\n```",
        ]
    )


def _some(examples: FaceImages, count: int, each: int | None = None) -> np.ndarray:
    """Returns rows of as many people as fit, person by person."""
    people = np.unique(examples.labels)
    own = [np.flatnonzero(examples.labels == name) for name in people]
    most = each or max(2, min(6, count // len(own)))
    return np.concatenate([rows[:most] for rows in own])[:count]


def _image(image: np.ndarray, place: Any, zoom: float) -> AnnotationBbox:
    shown = OffsetImage(image.squeeze(), zoom=zoom, cmap="gray", dpi_cor=True)
    return AnnotationBbox(shown, tuple(place), frameon=False, pad=0, annotation_clip=False)


def _show(axis, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
