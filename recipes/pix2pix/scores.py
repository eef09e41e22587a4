"""Metrics of pix2pix beyond image quality: the FCN score of facades, and FID."""

from __future__ import annotations

import sys

import numpy as np

from dlrecipes.data.generated.facades import CLASSES, classes_of
from dlrecipes.errors import DataError
from dlrecipes.metrics.generation import frechet_distance
from dlrecipes.metrics.inception import inception_features, weights_file
from dlrecipes.metrics.segmentation import segmentation_scores


def fcn_scores(maps: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Returns the FCN score: how well the classes of a label map were recognized.

    Args:
        maps: True label maps in the palette's colours, uint8 of shape `(count, size, size, 3)`.
        classes: Recognized class of each pixel, `(count, size, size)`.
    """
    scores = segmentation_scores(classes_of(maps), classes, len(CLASSES))
    return {f"fcn_{name}": value for name, value in scores.items()}


def fid(targets: np.ndarray, translated: np.ndarray, download: bool) -> dict[str, float]:
    """Returns the FID of translated images; nothing, with a note, if Inception has no weights.

    Args:
        targets: Real images, uint8 of shape `(count, size, size, 3)`.
        translated: Images to measure, of the same shape.
        download: Whether to download missing weights.

    Reference:
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two
        time-scale update rule converge to a local Nash equilibrium", equation 6,
        https://arxiv.org/abs/1706.08500.
    """
    try:
        if not download and not weights_file().is_file():
            raise DataError(
                f"Inception v3's weights are not at {weights_file()}.",
                "--fid download downloads them (88 MB); --fid off omits FID and this note.",
            )
        return {"fid": frechet_distance(*map(inception_features, (targets, translated)))}
    except DataError as error:
        print(f"Note: FID is not measured. {error}", file=sys.stderr)
        return {}
