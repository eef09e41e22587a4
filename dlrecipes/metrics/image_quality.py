"""Quality of images against the images that they should equal: L1, PSNR and SSIM."""

from __future__ import annotations

import numpy as np

BATCH = 20
# The PSNR of equal images is infinite; means are computed with this one.
HIGHEST_PSNR = 100


def image_quality(expected: np.ndarray, images: np.ndarray) -> dict[str, float]:
    """Returns the mean absolute difference, PSNR and SSIM of images.

    Args:
        expected: Reference images, uint8 of shape `(count, height, width, channels)`; SSIM needs
            at least 11 pixels per side.
        images: Images to measure, uint8 of the same shape.

    Returns:
        `l1` (of values from 0 to 1), `psnr` in dB, at most 100 per image, and `ssim`, each the
        mean over the images.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.image_quality import image_quality
    >>> images = np.zeros((1, 16, 16, 3), "uint8")
    >>> image_quality(images, images)
    {'l1': 0.0, 'psnr': 100.0, 'ssim': 1.0}

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error
        visibility to structural similarity" (SSIM), https://doi.org/10.1109/TIP.2003.819861.
    """
    import tensorflow as tf

    from dlrecipes.data.batches import map_batches

    psnr, ssim = (
        map_batches(
            lambda a, b, metric=metric: metric(a, b, 255), expected, images, batch_size=BATCH
        )
        for metric in (tf.image.psnr, tf.image.ssim)
    )
    difference = np.abs(expected.astype("float32") - images) / 255
    return {
        "l1": float(difference.mean()),
        "psnr": float(np.minimum(psnr, HIGHEST_PSNR).mean()),
        "ssim": float(ssim.mean()),
    }
