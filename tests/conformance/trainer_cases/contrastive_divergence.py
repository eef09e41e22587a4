"""Cases of contrastive divergence."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models import restricted_boltzmann_machine
from dlrecipes.training import ContrastiveDivergence

FEATURES, UNITS, EXAMPLES = 6, 4, 24


def model(visible="bernoulli", **kwargs):
    def make():
        rbm = restricted_boltzmann_machine(FEATURES, UNITS, visible=visible)
        trainer = ContrastiveDivergence(rbm, seed=3, **kwargs)
        trainer.compile(keras.optimizers.SGD(0.05, momentum=0.5))
        return trainer

    return make


def layer(**kwargs):
    def make():
        rbm = RestrictedBoltzmannMachine(UNITS, hidden="gaussian", kernel_regularizer="l2")
        rbm.build((None, FEATURES))
        trainer = ContrastiveDivergence(rbm, seed=3, **kwargs)
        trainer.compile(keras.optimizers.Adam(0.02, global_clipnorm=0.5))
        return trainer

    return make


def binary():
    rng = np.random.default_rng(0)
    half = rng.integers(0, 2, (EXAMPLES, FEATURES // 2)).astype("float32")
    return np.concatenate([half, half], axis=1)


def standardised():
    return np.random.default_rng(1).normal(size=(EXAMPLES, FEATURES)).astype("float32")


CASES = {
    "ContrastiveDivergence": TrainerCase(model(pseudo_likelihood=True), binary),
    "ContrastiveDivergence, 3 steps": TrainerCase(model("gaussian", steps=3), standardised),
    "ContrastiveDivergence, linear code": TrainerCase(layer(), binary),
    "ContrastiveDivergence, persistent": TrainerCase(
        model(persistent=True, chains=10, steps=2), binary
    ),
}
