"""Cases of `Pix2Pix`."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.models import patchgan, pix2pix_unet
from dlrecipes.training import LinearDecay, Pix2Pix

EXAMPLES, SIZE = 16, 8


def pix2pix(norm="none", dropout=0.0, **options):
    def make():
        # With the paper's small initial weights many gradients are near 0, where Adam amplifies
        # rounding errors.
        sizes = {"filters": 2, "norm": norm, "kernel_initializer": "glorot_uniform"}
        generator = pix2pix_unet(size=SIZE, dropout=dropout, seed=4, **sizes)
        discriminator = patchgan(layers=1, **sizes)
        model = Pix2Pix(generator, discriminator, **options)
        model.compile(keras.optimizers.Adam(LinearDecay(0.01, 3, 20), beta_1=0.5, epsilon=1e-3))
        return model

    return make


def pairs():
    rng = np.random.default_rng(5)
    images = rng.uniform(-1, 1, (EXAMPLES, SIZE, SIZE, 3)).astype("float32")
    return images, -images


LEAST_SQUARES = pix2pix(objective="least_squares", l1_weight=10.0)
AS_PUBLISHED = TrainerCase(
    pix2pix("batch", dropout=0.5),
    pairs,
    loss="l1",
    # In bfloat16 dropout drops other units.
    cosine=0.5,
    not_distributed="each replica samples dropout and normalises independently",
)
CASES = {
    "Pix2Pix": TrainerCase(pix2pix(), pairs, loss="l1"),
    "Pix2Pix, least squares": TrainerCase(LEAST_SQUARES, pairs, loss="generator_loss"),
    "Pix2Pix, dropout and batch normalisation": AS_PUBLISHED,
}
