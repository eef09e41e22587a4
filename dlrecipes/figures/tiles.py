"""Images side by side in one array; does not load matplotlib."""

from __future__ import annotations

import numpy as np


def tiled(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """Returns images side by side on white, in about as many rows as columns.

    Args:
        images: uint8 of shape `(count, height, width, channels)`.
        gap: Pixels between images. Defaults to 2.

    Returns:
        uint8 of shape `(height, width, channels)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import tiled
    >>> tiled(np.zeros((4, 8, 8, 1), "uint8")).shape
    (22, 22, 1)
    """
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
