"""Cases of the learning rules that do not use automatic differentiation."""

import keras
import numpy as np
from trainer_contract import TrainerCase

from dlrecipes.models import mlp, perceptron
from dlrecipes.training import BackPropagation, PerceptronRule

EXAMPLES, FEATURES = 16, 4


def perceptron_rule(units=2, output="binary"):
    def make():
        model = PerceptronRule(perceptron(FEATURES, units, output=output))
        model.compile(keras.optimizers.SGD(0.5), metrics=["mae"])
        return model

    return make


def classes(low=0):
    def make():
        rng = np.random.default_rng(2)
        x = rng.normal(size=(EXAMPLES, FEATURES)).astype("float32")
        return x, np.where(x @ rng.normal(size=(FEATURES, 2)) > 0.3, 1, low).astype("int32")

    return make


def back_propagation(optimizer, activation="sigmoid", **options):
    def make():
        network = mlp((FEATURES,), 2, (5, 3), activation, output_activation="sigmoid")
        model = BackPropagation(network, **options)
        # A new one, because models cannot share an optimizer.
        model.compile(keras.optimizers.get(optimizer), metrics=["mae"])
        return model

    return make


CLIPPED = {"class_name": "Adam", "config": {"learning_rate": 0.02, "global_clipnorm": 0.1}}
CASES = {
    "PerceptronRule": TrainerCase(perceptron_rule(), classes()),
    "PerceptronRule, bipolar": TrainerCase(perceptron_rule(output="bipolar"), classes(-1)),
    "BackPropagation": TrainerCase(back_propagation("sgd"), classes()),
    "BackPropagation, decayed": TrainerCase(back_propagation("sgd", error_share=0.9), classes()),
    "BackPropagation, accumulated": TrainerCase(
        back_propagation(CLIPPED, "tanh", mode="accumulated", error_share=0.9), classes()
    ),
}
