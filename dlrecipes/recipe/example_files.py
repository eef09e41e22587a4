"""Test inputs that a run keeps as files, so that its closing message names inputs that exist."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.file_names import slug
from dlrecipes._utils.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

FOLDER = "examples"
# Larger images are reduced to this many pixels on the longer side.
LARGEST = 1024


@dataclass(frozen=True)
class ExampleFile:
    """A test input, which the runner writes to the run's folder of examples.

    Args:
        name: Name of the file, such as `"cat-3.png"`.
        content: Lines of text, which `dlrecipes predict` reads from standard input; or the bytes of
            a file; or an image, uint8 of shape `(height, width)` or `(height, width, channels)`,
            which is written as PNG.
    """

    name: str
    content: str | bytes | np.ndarray


@dataclass(frozen=True)
class StandardInput:
    """A file for standard input.

    Args:
        path: Path of the file.
    """

    path: Path


# The arguments of one suggested command.
Command = tuple[str | Path | StandardInput, ...]


def write_examples(
    examples: Sequence[str | ExampleFile | tuple[str | ExampleFile, ...]], folder: Path
) -> list[Command]:
    """Writes the files among a recipe's examples; returns the arguments of each command.

    Args:
        examples: Results of `Recipe.example_inputs`.
        folder: Folder to write to, which is made if it is needed.
    """

    def argument(part: str | ExampleFile) -> str | Path | StandardInput:
        if not isinstance(part, ExampleFile):
            return part
        folder.mkdir(exist_ok=True)
        path = folder / Path(part.name).name
        if isinstance(part.content, str):
            atomic_write(path, part.content)
            return StandardInput(path)
        atomic_write(path, part.content if isinstance(part.content, bytes) else _png(part.content))
        return path

    commands = []
    for example in examples:
        parts = example if isinstance(example, tuple) else (example,)
        commands.append(tuple(argument(part) for part in parts))
    return commands


def _png(pixels: Any) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    image.thumbnail((LARGEST, LARGEST))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def class_images(
    image: Callable[[int], np.ndarray], labels: Sequence[int], names: Sequence[str], count: int = 3
) -> tuple[ExampleFile, ...]:
    """Returns the first test image of each of some classes, with the class in the file's name.

    Args:
        image: Function from the number of a test image to its pixels, uint8.
        labels: Index of the true class of each test image.
        names: Names of the classes.
        count: Maximum number of images. Defaults to 3.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.recipe.example_files import class_images
    >>> blank = np.zeros((8, 8), "uint8")
    >>> [file.name for file in class_images(lambda row: blank, [1, 1, 0], ["cat", "A dog"])]
    ['a-dog-0.png', 'cat-2.png']
    """
    first: dict[int, int] = {}
    for row, label in enumerate(labels):
        first.setdefault(int(label), row)
        if len(first) == count:
            break
    return tuple(
        ExampleFile(f"{slug(names[label])}-{row}.png", image(row)) for label, row in first.items()
    )
