"""A searchable gallery of people, represented by the embeddings of their images."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlrecipes._utils.files import atomic_write
from dlrecipes.data.image_folders import Note, classes, ignore
from dlrecipes.errors import DataError, reason

KEYS = ("embeddings", "names", "model")


class Match(NamedTuple):
    """A person in a gallery.

    Args:
        name: Name of the person.
        distance: Squared distance to the nearest of the person's images.
    """

    name: str
    distance: float


@dataclass(frozen=True)
class Gallery:
    """Embeddings of images with the names of the people they show.

    Args:
        embeddings: float32 array of shape `(images, units)`.
        names: Name of the person in each image.
        model: Identifier of the model that computed the embeddings.

    Raises:
        ValueError: If there are no embeddings, or not one name for each.
    """

    embeddings: np.ndarray
    names: Sequence[str]
    model: str
    _vectors: np.ndarray = field(init=False, repr=False, compare=False)
    _lengths: np.ndarray = field(init=False, repr=False, compare=False)

    def nearest(self, embedding: np.ndarray, people: int = 1) -> list[Match]:
        """Returns the nearest people, each with the distance of their nearest image.

        The search is exhaustive: 100,000 embeddings of 128 units take a few milliseconds.

        Args:
            embedding: Embedding of shape `(units,)`.
            people: Maximum number of people, at least 1. Defaults to 1.

        Returns:
            Matches of different people, nearest first.

        Example:

        >>> import numpy as np
        >>> from dlrecipes.data.gallery import Gallery
        >>> gallery = Gallery(np.array([[0.0, 1], [1, 0], [1, 0.1]]), ["Li", "Ann", "Ann"], "")
        >>> [(match.name, round(match.distance, 2)) for match in gallery.nearest([1, 0.2], 2)]
        [('Ann', 0.01), ('Li', 1.64)]
        """
        embedding = np.asarray(embedding, "float32")
        # |g - e|^2 = |g|^2 - 2 g.e + |e|^2: one product with the whole gallery.
        distances = self._lengths - 2 * (self._vectors @ embedding) + embedding @ embedding
        nearest: dict[str, float] = {}
        count = min(len(distances), 8 * people)
        while True:
            rows = np.argpartition(distances, count - 1)[:count]
            for row in rows[np.argsort(distances[rows], kind="stable")]:
                nearest.setdefault(self.names[row], float(max(distances[row], 0)))
            if len(nearest) >= people or count == len(distances):
                matches = [Match(name, distance) for name, distance in nearest.items()]
                return matches[:people]
            count, nearest = min(len(distances), 8 * count), {}

    def __post_init__(self):
        vectors = np.ascontiguousarray(self.embeddings, "float32")
        if vectors.ndim != 2 or not len(vectors) or len(vectors) != len(self.names):
            raise ValueError("A gallery needs embeddings and one name for each.")
        object.__setattr__(self, "_vectors", vectors)
        object.__setattr__(self, "_lengths", np.einsum("nu,nu->n", vectors, vectors))

    def save(self, path: Path) -> None:
        """Writes the gallery to a file, atomically.

        Args:
            path: File to write, usually with the suffix `.npz`.

        Raises:
            DataError: If the file cannot be written.
        """
        if Path(path).is_dir():
            raise DataError(f"{path}: expected a file, got a folder.", "Give the path of a file.")
        file = io.BytesIO()
        values = (self._vectors, np.array(list(self.names)), np.array(self.model))
        arrays: dict[str, Any] = dict(zip(KEYS, values, strict=True))
        np.savez(file, **arrays)
        try:
            atomic_write(Path(path), file.getvalue())
        except OSError as error:
            raise DataError(f"{path} cannot be written: {reason(error)}.") from None

    @classmethod
    def load(cls, path: Path, model: str) -> Gallery:
        """Returns the gallery that `save` wrote to a file.

        Args:
            path: File that `save` wrote.
            model: Identifier of the model that will search the gallery.

        Raises:
            DataError: If the file is not a gallery, or belongs to another model.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                embeddings, names, made_by = (arrays[key] for key in KEYS)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            has_reason = isinstance(error, OSError) and error.errno
            why = reason(error) if has_reason else "it is not a gallery"
            raise DataError(
                f"{path} cannot be read: {why}.", "Create it with --enrol FILE.npz."
            ) from None
        if str(made_by) != model:
            raise DataError(
                f"{path}: the gallery belongs to another model, so distances would be meaningless.",
                "Enrol the images again: --gallery FOLDER --enrol FILE.npz.",
            )
        return cls(embeddings, [str(name) for name in names], model)


def list_people(folder: Path, note: Note = ignore) -> dict[str, list[Path]]:
    """Returns the image files of each person, given a folder with one folder per person.

    Hidden, empty and system folders are ignored.

    Args:
        folder: Folder to list.
        note: Receives what was left out. Defaults to `image_folders.ignore`.

    Returns:
        Files by person, both in natural order.

    Raises:
        DataError: If there are no people, or the images of one cannot be read.
    """
    return classes(folder, note, least=1)
