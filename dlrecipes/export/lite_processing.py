"""Requests to tensors, and tensors to answers, with NumPy and Pillow; does not load TensorFlow.

Each class or function does what the graph of a SavedModel does before or after the network.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlrecipes.data.image_decoding import decode_image
from dlrecipes.data.image_resizing import as_channels, fit_array, scale_array
from dlrecipes.errors import DataError, PublishError
from dlrecipes.export import checksums
from dlrecipes.export.version import RejectedInput

Arrays = dict[str, np.ndarray]


class Prepared(NamedTuple):
    """One example for the LiteRT interpreter.

    Args:
        tensors: Its inputs by name.
        source: Parts of the request for the answer, such as the words. Defaults to `None`.
    """

    tensors: Arrays
    source: Any = None


def lines(folder: Path, name: str) -> list[str]:
    """Returns the lines of a text file of a version, which must be the published one.

    A vocabulary with other lines would give other words' ids, and no error.

    Args:
        folder: Folder of the version's extra files.
        name: Name of the file.

    Raises:
        PublishError: If the file is missing, or was changed after it was published.
    """
    try:
        # The checksums are written last, after the version was compared.
        if (folder / checksums.CHECKSUMS_FILE).is_file():
            checksums.check_file(folder.parent, f"{folder.name}/{name}")
        return (folder / name).read_text(encoding="utf-8").split("\n")[:-1]
    except PublishError as error:
        raise PublishError(
            error.message,
            "Delete its folder and run the recipe again, or predict with --saved-model.",
        ) from None


class Images:
    """Decodes and fits images: the input `image_bytes`.

    Args:
        folder: Folder of the version's extra files.
        fit: `"stretch"`, as `image_resizing.fit`; `"scale"`, as `tf.image.resize` with
            antialiasing; or `"handwriting"`, as `handwriting.normalise`.
        size: Height and width of the network's input.
        channels: 1 for grey, 3 for colour.
        crop: Fraction of each side that is kept, with `"scale"`. Defaults to 1.0.
    """

    inputs = ("image_bytes",)

    def __init__(self, folder: Path, fit: str, size: int, channels: int, crop: float = 1.0):
        self.fit: Callable[[np.ndarray], np.ndarray] = {
            "stretch": lambda image: fit_array(image, size),
            "scale": lambda image: scale_array(image, size, channels, crop),
            "handwriting": lambda image: _handwriting(image, size),
        }[fit]

    def __call__(self, image_bytes: Sequence[bytes | np.ndarray]) -> list[Prepared]:
        """Returns the images, given as files or as upright uint8 arrays, for the network."""
        return [Prepared({"images": self.fit(_decoded(image))[None]}) for image in image_bytes]


def _decoded(image: bytes | np.ndarray) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return image
    try:
        return np.asarray(decode_image(io.BytesIO(image), "the image"))
    except DataError as error:
        raise RejectedInput(error.message, error.hint) from error


def _handwriting(image: np.ndarray, size: int) -> np.ndarray:
    from dlrecipes.data.handwriting_arrays import normalise

    # A colour photograph in floats would take four times the memory of its file.
    grey = as_channels(image, 1)[..., 0] / np.float32(255)
    return normalise(grey, size)[..., None]


class Sentences:
    """Splits and looks up sentences: the input `sentences`.

    Args:
        folder: Folder of the version's extra files, with `words.txt` and perhaps `ngrams.txt`.
        tokenizer: `"words"` or `"whitespace"`.
        names: Names of the tensors: `words`, and perhaps `ngrams`.
        **encoding: Further arguments of `dlrecipes.data.text_arrays.ArrayEncoder`.
    """

    inputs = ("sentences",)

    def __init__(self, folder: Path, tokenizer: str, names: Sequence[str], **encoding: Any):
        from dlrecipes.data.text_arrays import ArrayEncoder

        self.tokenizer, self.names = tokenizer, names
        # The first two lines stand for padding and for unknown words.
        entries: dict[str, Any] = {name: lines(folder, f"{name}.txt")[2:] for name in names}
        self.encode = ArrayEncoder(**entries, **encoding)

    def __call__(self, sentences: Sequence[str | bytes]) -> list[Prepared]:
        """Returns the ids of each sentence; its words are the source."""
        from dlrecipes.data.text_arrays import tokenize

        prepared = []
        for sentence in sentences:
            text = sentence if isinstance(sentence, str) else sentence.decode("utf-8", "replace")
            tokens = tokenize(text, self.tokenizer)
            # The graph pads an empty sentence to one word.
            ids = self.encode(tokens or [""])
            prepared.append(Prepared({name: ids[name] for name in self.names}, tokens))
        return prepared


class Noise:
    """Draws the noise of a generator: the inputs `seed`, `count` and perhaps `label`.

    Args:
        folder: Folder of the version's extra files.
        units: Length of a noise vector.
        classes: Number of classes; 0 for a model without. Defaults to 0.
    """

    def __init__(self, folder: Path, units: int, classes: int = 0):
        self.units, self.classes = units, classes
        self.inputs = ("seed", "count", "label") if classes else ("seed", "count")

    def __call__(
        self, seed: Sequence[int], count: Sequence[int], label: Sequence[int] = ()
    ) -> list[Prepared]:
        """Returns noise from -1 to 1, with the class of each image for a conditional model."""
        from dlrecipes.data.philox import stateless_uniform

        noise = stateless_uniform((int(count[0]), self.units), (int(seed[0]), 0), -1.0, 1.0)
        if not self.classes:
            return [Prepared({"noise": row[None]}) for row in noise]
        chosen = int(label[0])
        # A negative label stands for all classes in turn.
        classes = [k % self.classes if chosen < 0 else chosen for k in range(len(noise))]
        pairs = zip(noise, classes, strict=True)
        return [Prepared({"noise": row[None], "label": np.array([k], "int32")}) for row, k in pairs]


class Numbers:
    """Takes the network's own inputs, such as codes to decode.

    Args:
        folder: Folder of the version's extra files.
        names: Names of the inputs.
    """

    def __init__(self, folder: Path, names: Sequence[str]):
        self.inputs = tuple(names)

    def __call__(self, **arrays: Any) -> list[Prepared]:
        """Returns the rows of the arrays as float32."""
        columns = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
        count = len(columns[self.inputs[0]])
        return [
            Prepared({name: values[row : row + 1] for name, values in columns.items()})
            for row in range(count)
        ]


BEFORE: Mapping[str, Callable[..., Any]] = {
    "images": Images,
    "sentences": Sentences,
    "noise": Noise,
    "numbers": Numbers,
}


def _classes(
    folder: Path, examples: Sequence[Prepared], rows: Sequence[Arrays], blank: bool = False
) -> Arrays:
    """Returns probabilities and names of the classes; with `blank`, no label of an empty image."""
    names = np.array([name.encode() for name in lines(folder, "labels.txt")], object)
    probabilities = np.concatenate([row["probabilities"] for row in rows])
    labels = names[probabilities.argmax(axis=1)]
    if blank:
        labels[[not example.tensors["images"].any() for example in examples]] = b""
    every = np.tile(names, (len(rows), 1))
    return {"label": labels, "probabilities": probabilities, "classes": every}


def _same(folder: Path, examples: Sequence[Prepared], rows: Sequence[Arrays]) -> Arrays:
    """Returns the network's own outputs."""
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _images(
    folder: Path,
    examples: Sequence[Prepared],
    rows: Sequence[Arrays],
    names: Sequence[str],
    source: str = "images",
) -> Arrays:
    """Returns images from 0 to 1 as 8 bits: the outputs `images` and `png_bytes`.

    `source` is the network's output with the images; other names are the network's own outputs.
    """
    outputs = _same(folder, examples, rows)
    floats = outputs[source]
    images = np.round(np.clip(floats * np.float32(255), 0, 255)).astype(np.uint8)
    outputs["images"] = images
    if "png_bytes" in names:
        outputs["png_bytes"] = np.array([_png(image) for image in images], object)
    return {name: outputs[name] for name in names}


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(content, "PNG")
    return content.getvalue()


def _tags(folder: Path, examples: Sequence[Prepared], rows: Sequence[Arrays]) -> Arrays:
    """Returns words, tags and their probabilities, padded to the longest sentence, and intents."""
    names = [tag.encode() for tag in lines(folder, "tags.txt")]
    longest = max(len(example.source) for example in examples)
    tokens, tags = (np.full((len(rows), longest), b"", object) for _ in range(2))
    probabilities = np.zeros((len(rows), longest), np.float32)
    for number, (example, row) in enumerate(zip(examples, rows, strict=True)):
        count = len(example.source)
        tokens[number, :count] = [token.encode() for token in example.source]
        tags[number, :count] = [names[k] for k in row["tags"][0, :count]]
        probabilities[number, :count] = row["probabilities"][0, :count]
    outputs = {"tokens": tokens, "tags": tags, "probabilities": probabilities}
    if "intent" in rows[0]:
        intents = [intent.encode() for intent in lines(folder, "intents.txt")]
        pairs = list(zip(examples, rows, strict=True))
        outputs["intent"] = np.array(
            [intents[row["intent"][0]] if one.source else b"" for one, row in pairs], object
        )
        outputs["intent_probability"] = np.array(
            [row["intent_probability"][0] if one.source else 0 for one, row in pairs], np.float32
        )
    return outputs


AFTER: Mapping[str, Callable[..., Arrays]] = {
    "classes": _classes,
    "same": _same,
    "images": _images,
    "tags": _tags,
}
