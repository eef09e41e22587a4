"""Drawn photographs of cats and dogs: built-in data for image classification."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.cats_dogs.photographs import photograph
from dlrecipes.data.generated.chance import Chance

__all__ = ["CLASSES", "cats_dogs"]

CLASSES = ("cat", "dog")


def cats_dogs(
    count: int, seed: int, size: int = 64, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns drawn photographs of cats and dogs, deterministic by seed.

    Each animal has its own breed, pose, coat, light, background and clutter. Only the animal's
    shape and the colour of its eyes and nose depend on the class: coats, poses, framing, light
    and everything around the animal have one distribution, so that a linear model of the pixels
    or of their histogram is right little more often than by chance.

    The images are equal on every machine up to rounding: another version or build of NumPy may
    change a few values by one level.

    Args:
        count: Number of images, at least 1.
        seed: Random seed, at least 0; an image depends on the seed and on its number.
        size: Height and width in pixels, at least 16. Defaults to 64.
        first: Number of the first image, at least 0. Defaults to 0.

    Returns:
        Images, uint8 of shape `(count, size, size, 3)`; labels, int32 of shape `(count,)`,
        indices of `CLASSES`. Images 2k and 2k + 1 are one of each class, in random order.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.cats_dogs import CLASSES, cats_dogs
    >>> images, labels = cats_dogs(4, seed=0)
    >>> images.shape, sorted(CLASSES[label] for label in labels)
    ((4, 64, 64, 3), ['cat', 'cat', 'dog', 'dog'])
    """
    bounds = {"count": (count, 1), "seed": (seed, 0), "size": (size, 16), "first": (first, 0)}
    for name, (value, least) in bounds.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    labels = np.array([_label(seed, number) for number in range(first, first + count)], "int32")
    images = np.empty((count, size, size, 3), "uint8")
    for place, label in enumerate(labels):
        images[place] = photograph(CLASSES[label], size, Chance(seed, first + place))
    return images, labels


def _label(seed: int, number: int) -> int:
    """Returns the class of an image: each pair of numbers has one of each."""
    swapped = Chance(seed, number // 2, 1).happens(0.5)
    return (number + swapped) % 2
