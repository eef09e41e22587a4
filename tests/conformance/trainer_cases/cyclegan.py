"""Cases of `CycleGAN`."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.models import patchgan
from dlrecipes.training import CycleGAN

EXAMPLES, SIZE = 16, 8


def generator():
    # Without normalisation, which on maps of a few pixels amplifies rounding errors a hundredfold
    # per step.
    x = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")(x)
    outputs = keras.layers.Conv2D(3, 3, padding="same", dtype="float32")(hidden)
    return keras.Model(x, keras.layers.Activation("tanh", dtype="float32")(outputs))


def cyclegan(**options):
    def make():
        kinds = {"layers": 1, "filters": 2, "condition_channels": 0, "norm": "none"}
        discriminators = [patchgan(**kinds, kernel_initializer="glorot_uniform") for _ in "ab"]
        model = CycleGAN(generator(), generator(), *discriminators, **options)
        # The epsilon keeps Adam from reducing gradients near 0 to their sign.
        model.compile(keras.optimizers.Adam(0.002, beta_1=0.5, epsilon=1e-3))
        return model

    return make


def unpaired():
    rng = np.random.default_rng(6)
    shape = (EXAMPLES, SIZE, SIZE, 3)
    return rng.uniform(-1, 0, shape).astype("float32"), rng.uniform(0, 1, shape).astype("float32")


# The pool becomes full during the second step.
POOL = cyclegan(pool_size=11, image_size=SIZE)
NO_POOL = cyclegan(pool_size=0, identity_weight=0.0, objective="non_saturating")
CASES = {
    "CycleGAN": TrainerCase(POOL, unpaired, loss="generator_loss"),
    "CycleGAN, no pool": TrainerCase(NO_POOL, unpaired, loss="cycle"),
}
