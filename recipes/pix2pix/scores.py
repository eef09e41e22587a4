"""How like the truth drawn images are, and how well a network that knows it reads them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.data.generated.facades import CLASSES, PALETTE, classes_of
from dlrecipes.errors import DataError
from dlrecipes.layers import BatchNormalization
from dlrecipes.metrics.generation import frechet_distance
from dlrecipes.metrics.inception import inception_features, weights_file
from dlrecipes.metrics.segmentation import segmentation_scores
from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy

BATCH = 20
# An image is a map of classes where so many pixels have nearly a colour of the palette: JPEG
# blurs the edges.
NEAR, MOSTLY = 70.0, 0.75
SEGMENTER_STEPS, SEGMENTER_BATCH = 300, 16
LEVELS = (16, 32, 64)


def image_quality(truth: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """Returns the mean absolute difference (of 0 to 1), PSNR in dB and SSIM.

    Args:
        truth: uint8, `(count, size, size, 3)`.
        drawn: Likewise.

    Reference:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image quality assessment: from error
        visibility to structural similarity" (SSIM).
    """
    pairs = [(truth[k : k + BATCH], drawn[k : k + BATCH]) for k in range(0, len(truth), BATCH)]
    found = {
        "psnr": np.concatenate([tf.image.psnr(*pair, 255).numpy() for pair in pairs]),
        "ssim": np.concatenate([tf.image.ssim(*pair, 255).numpy() for pair in pairs]),
    }
    difference = np.abs(truth.astype("float32") - drawn) / 255
    # Of two equal images the PSNR is infinite.
    return {
        "l1": float(difference.mean()),
        "psnr": float(np.minimum(found["psnr"], 100).mean()),
        "ssim": float(found["ssim"].mean()),
    }


def fid(truth: np.ndarray, drawn: np.ndarray, download: bool) -> dict[str, float]:
    """Returns the FID of drawn images; nothing, and a note, where Inception's weights are not.

    Args:
        truth: uint8, `(count, size, size, 3)`.
        drawn: Likewise.
        download: Whether weights that are not there are fetched.

    Reference:
        Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, 2017, "GANs trained by a two
        time-scale update rule converge to a local Nash equilibrium", equation 6.
    """
    try:
        if not download and not weights_file().is_file():
            raise DataError(
                f"Inception v3's weights are not at {weights_file()}.",
                "--fid download fetches them (88 MB), --fid off leaves it out without a note.",
            )
        return {"fid": frechet_distance(*map(inception_features, (truth, drawn)))}
    except DataError as error:
        print(f"Note: FID is left out. {error}", file=sys.stderr)
        return {}


def is_map(images: np.ndarray) -> bool:
    """Returns whether images are maps of classes in the colours of the CMP database."""
    some = images[:8].astype("float32")
    gaps = np.linalg.norm(some[..., None, :] - PALETTE.astype("float32"), axis=-1).min(axis=-1)
    return bool(np.mean(gaps < NEAR) > MOSTLY)


@dataclass(frozen=True)
class SegmentationJudge:
    """Tells the classes of photographs, as it learned from real ones and their maps.

    Args:
        network: From photographs, 0 to 1, to scores of the classes.
    """

    network: keras.Model

    def classes(self, photographs: np.ndarray) -> np.ndarray:
        """Returns the class of each pixel of photographs, uint8."""
        call = tf.function(lambda x: tf.argmax(self.network(x, training=False), axis=-1))
        parts = [
            call(photographs[k : k + BATCH].astype("float32") / 255).numpy()
            for k in range(0, len(photographs), BATCH)
        ]
        return np.concatenate(parts).astype("uint8")

    @classmethod
    def trained(cls, photographs: np.ndarray, maps: np.ndarray, seed: int) -> SegmentationJudge:
        """Returns a reader that has learned from real photographs and the maps of them.

        Args:
            photographs: uint8, `(count, size, size, 3)`.
            maps: Likewise, in the palette's colours.
            seed: Decides its weights and the order.

        Reference:
            Isola, Zhu, Zhou and Efros, 2017, section 4.1 (the FCN score).
        """
        rates = keras.optimizers.schedules.CosineDecay(3e-3, SEGMENTER_STEPS)
        network = _segmenter(photographs.shape[1])
        loss = SparseCategoricalCrossentropy(from_logits=True)
        network.compile(keras.optimizers.Adam(rates), loss, jit_compile=False)
        rng = np.random.default_rng(seed)
        classes = classes_of(maps)
        for _ in range(SEGMENTER_STEPS):
            rows = rng.integers(len(maps), size=SEGMENTER_BATCH)
            x, y = photographs[rows].astype("float32") / 255, classes[rows]
            if rng.random() < 0.5:
                x, y = x[:, :, ::-1], y[:, :, ::-1]
            network.train_on_batch(x, y)
        return cls(network)


def read_scores(maps: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Returns how well classes were read, by the names of the FCN score.

    Args:
        maps: The true maps, in the palette's colours.
        found: The class of each pixel.
    """
    scores = segmentation_scores(classes_of(maps), found, len(CLASSES))
    return {f"fcn_{name}": value for name, value in scores.items()}


def _segmenter(size: int) -> keras.Model:
    layers = keras.layers

    def block(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(BatchNormalization(momentum=0.9)(x))

    x = photographs = keras.Input((size, size, 3), name="photographs")
    kept = []
    for filters in LEVELS:
        x = block(x, filters)
        kept.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, LEVELS[-1])
    for filters, other in zip(reversed(LEVELS), reversed(kept), strict=True):
        x = block(layers.Concatenate()([layers.UpSampling2D()(x), other]), filters)
    return keras.Model(photographs, layers.Conv2D(len(CLASSES), 1, name="scores")(x), name="reader")
