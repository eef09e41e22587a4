"""Collages of drawn objects with their boxes: built-in data for object detection."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.generated.chance import Chance
from dlrecipes.data.generated.scenes.collage import Collage
from dlrecipes.data.generated.scenes.objects import OBJECTS

__all__ = ["CLASSES", "scenes"]

CLASSES = tuple(OBJECTS)


def scenes(
    count: int, seed: int, size: int = 192, first: int = 0
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Returns collages of cars, fish, hearts, houses, stars and trees, deterministic by seed.

    A scene has 3 to 12 objects in front of patterned hills, between shapes that belong to no
    class. Objects cover one another and are cut by the edges of the image; at most 40 % of each is
    hidden. Only shapes depend on the class: objects, clutter and background have the same colours
    and patterns, so that a detector by colour finds next to nothing.

    The images are equal on every machine up to rounding: another version of NumPy or Pillow may
    change a few values.

    Args:
        count: Number of scenes, at least 1.
        seed: Random seed, at least 0; a scene depends on the seed, its number and the size.
        size: Height and width in pixels, at least 32. Defaults to 192.
        first: Number of the first scene, at least 0. Defaults to 0.

    Returns:
        - Images, uint8 of shape `(count, size, size, 3)`.
        - Boxes of each scene, float32 of shape `(n, 4)`: left, top, right and bottom in pixels.
          Each is the tight box of what is seen of its object, to half a pixel.
        - Classes of each scene, int32 of shape `(n,)`, indices of `CLASSES`.

    Raises:
        ValueError: If an argument is out of bounds.

    Example:

    >>> from dlrecipes.data.generated.scenes import CLASSES, scenes
    >>> images, boxes, classes = scenes(2, seed=0)
    >>> images.shape, boxes[0].shape == (len(classes[0]), 4)
    ((2, 192, 192, 3), True)
    >>> CLASSES
    ('car', 'fish', 'heart', 'house', 'star', 'tree')
    """
    bounds = {"count": (count, 1), "seed": (seed, 0), "size": (size, 32), "first": (first, 0)}
    for name, (value, least) in bounds.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value!r}.")
    images = np.empty((count, size, size, 3), "uint8")
    boxes, classes = [], []
    for place in range(count):
        collage = Collage(size, Chance(seed, first + place))
        images[place] = collage.image()
        boxes.append(collage.boxes())
        classes.append(np.array([CLASSES.index(name) for name in collage.classes], "int32"))
    return images, boxes, classes
