"""Cases of generative adversarial networks with alternating updates."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.training import GAN

LATENT, FEATURES, CLASSES, EXAMPLES = 3, 4, 3, 16


def network(main, size, outputs, conditional):
    inputs = x = keras.Input((size,), name=main)
    if conditional:
        label = keras.Input((), dtype="int32", name="label")
        inputs = {main: inputs, "label": label}
        x = keras.layers.Concatenate()([x, keras.ops.one_hot(label, CLASSES)])
    x = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(x)
    # A bias would have no gradient in the Wasserstein case.
    return keras.Model(inputs, keras.layers.Dense(outputs, use_bias=False, dtype="float32")(x))


def gan(conditional=False, **kwargs):
    def make():
        generator = network("noise", LATENT, FEATURES, conditional)
        discriminator = network("image", FEATURES, 1, conditional)
        model = GAN(generator, discriminator, seed=2, **kwargs)
        model.compile(keras.optimizers.Adam(0.01, global_clipnorm=0.5), keras.optimizers.SGD(0.05))
        return model

    return make


def examples():
    return np.random.default_rng(0).normal(1, 0.5, (EXAMPLES, FEATURES)).astype("float32")


def labelled():
    return examples(), np.arange(EXAMPLES, dtype="int32") % CLASSES


CASES = {
    name: TrainerCase(make, data, loss="discriminator_loss")
    for name, make, data in (
        ("GAN", gan(), examples),
        ("GAN, two discriminator steps", gan(discriminator_steps=2, noise="uniform"), examples),
        ("GAN, wasserstein", gan(discriminator_steps=2, objective="wasserstein"), examples),
        ("GAN, conditional", gan(True, objective="hinge"), labelled),
    )
}
