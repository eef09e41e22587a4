"""Random splits of images with boxes that keep every class in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.errors import DataError


def split_boxes(
    whole: BoxExamples, seed: int, shares: Sequence[float], where: str
) -> tuple[BoxExamples, BoxExamples, BoxExamples]:
    """Returns three parts of images with boxes, split at random.

    An image is held out only if others of the first part show its classes. Each part has an image
    with a box unless its fraction is 0.

    Args:
        whole: Images to split.
        seed: Seed of the split.
        shares: Fractions of the images for the first, second and third part; they sum to 1. A
            fraction of 0 gives an empty part.
        where: Name of the data in error messages.

    Raises:
        DataError: If there are too few images with boxes.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.box_examples import BoxExamples
    >>> from dlrecipes.data.box_split import split_boxes
    >>> images = np.zeros((10, 8, 8, 3), "uint8")
    >>> boxes, classes = [[[0, 0, 4, 4]]] * 10, [[0]] * 10
    >>> whole = BoxExamples.from_arrays(images, boxes, classes, ("cat",))
    >>> [len(part) for part in split_boxes(whole, 0, (0.8, 0.1, 0.1), "cats")]
    [8, 1, 1]
    """
    sizes = [0 if not share else max(1, round(share * len(whole))) for share in shares[1:]]
    shown = [set(whole.classes(k)[~whole.ignored(k)].tolist()) for k in range(len(whole))]
    left = Counter(label for own in shown for label in own)
    order = np.random.default_rng(seed).permutation(len(whole)).tolist()
    parts: list[list[int]] = [[] for _ in sizes]
    # First an image with boxes for each part, then any.
    for needs_box in (True, False):
        for number, part in enumerate(parts):
            for k in order:
                if len(part) >= (min(1, sizes[number]) if needs_box else sizes[number]):
                    break
                if (needs_box and not shown[k]) or any(left[label] < 2 for label in shown[k]):
                    continue
                part.append(k)
                left.subtract(shown[k])
            chosen = set(part)
            order = [k for k in order if k not in chosen]
    is_filled = [
        len(part) == size and (not size or any(shown[k] for k in part))
        for part, size in zip(parts, sizes, strict=True)
    ]
    if not all(is_filled):
        raise DataError(
            f"{where}: {counted(len(whole), 'image is', 'images are')} too few to hold out "
            f"{sum(sizes):,} and keep every class in training.",
            "Give more images, or folders train, valid and test.",
        )
    first, second, third = (whole[np.array(sorted(rows), int)] for rows in (order, *parts))
    return first, second, third
