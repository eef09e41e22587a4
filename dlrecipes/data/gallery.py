"""A gallery of people who are known by their images' embeddings, to be searched."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dlrecipes._utils.files import atomic_write
from dlrecipes.errors import DataError, reason

KEYS = ("embeddings", "names", "model")


class Match(NamedTuple):
    """A person of a gallery.

    Args:
        name: Who it is.
        distance: Squared distance of the nearest of the person's images.
    """

    name: str
    distance: float


@dataclass(frozen=True)
class Gallery:
    """Embeddings of images, and of whom they are.

    Args:
        embeddings: float32 array of shape `(images, units)`.
        names: Of each image, whom it shows.
        model: What tells the model that made the embeddings from others.
    """

    embeddings: np.ndarray
    names: Sequence[str]
    model: str

    def nearest(self, embedding: np.ndarray, people: int = 1) -> list[Match]:
        """Returns the people whose images are nearest, each by the best of them.

        All images are looked at: 100,000 of 128 numbers take a few milliseconds.

        Args:
            embedding: Shape `(units,)`.
            people: How many at most, at least 1.

        Example:

        >>> gallery = Gallery(np.array([[0.0, 1], [1, 0], [1, 0.1]]), ["Li", "Ann", "Ann"], "")
        >>> [(match.name, round(match.distance, 2)) for match in gallery.nearest([1, 0.2], 2)]
        [('Ann', 0.01), ('Li', 1.64)]
        """
        embedding = np.asarray(embedding, "float32")
        # |g - e|^2 = |g|^2 - 2 g.e + |e|^2: one product with the whole gallery.
        distances = self._lengths - 2 * (self._vectors @ embedding) + embedding @ embedding
        found: dict[str, float] = {}
        wanted = min(len(distances), 8 * people)
        while True:
            near = np.argpartition(distances, wanted - 1)[:wanted]
            for row in near[np.argsort(distances[near], kind="stable")]:
                found.setdefault(self.names[row], float(max(distances[row], 0)))
            if len(found) >= people or wanted == len(distances):
                matches = [Match(name, distance) for name, distance in found.items()]
                return matches[:people]
            wanted, found = min(len(distances), 8 * wanted), {}

    def __post_init__(self):
        vectors = np.ascontiguousarray(self.embeddings, "float32")
        if vectors.ndim != 2 or not len(vectors) or len(vectors) != len(self.names):
            raise ValueError("A gallery needs embeddings, and a name for each.")
        object.__setattr__(self, "_vectors", vectors)
        object.__setattr__(self, "_lengths", np.einsum("nu,nu->n", vectors, vectors))

    def save(self, path: Path) -> None:
        """Writes the gallery to a file, whole or not at all.

        Raises:
            DataError: If it cannot be written.
        """
        if Path(path).is_dir():
            raise DataError(f"{path} cannot be written: this is a folder.", "Name a file.")
        file = io.BytesIO()
        values = (self._vectors, np.array(list(self.names)), np.array(self.model))
        np.savez(file, **dict(zip(KEYS, values, strict=True)))
        try:
            atomic_write(Path(path), file.getvalue())
        except OSError as error:
            raise DataError(f"{path} cannot be written: {reason(error)}.") from None

    @classmethod
    def load(cls, path: Path, model: str) -> Gallery:
        """Returns the gallery of a file.

        Args:
            path: What `save` wrote.
            model: The model that is to search it.

        Raises:
            DataError: If it is no such file, or of another model.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                embeddings, names, made_by = (found[key] for key in KEYS)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            why = (
                reason(error) if isinstance(error, OSError) and error.errno else "it is no gallery"
            )
            raise DataError(
                f"{path} cannot be read: {why}.", "Make it with --enrol FILE.npz."
            ) from None
        if str(made_by) != model:
            raise DataError(
                f"{path}: the gallery was made by another model; its distances mean nothing here.",
                "Enrol the images again: --gallery FOLDER --enrol FILE.npz.",
            )
        return cls(embeddings, [str(name) for name in names], model)
