"""Neurons, activations, and layers of the classic networks."""

import numpy as np
from contract import FEATURES, LayerCase

from dlrecipes import layers

STEP = "the derivative of a step is zero"


def with_memory(**kwargs):
    """Returns a Hopfield network that stores two patterns."""
    layer = layers.HopfieldNetwork(6, **kwargs)
    layer.store(np.array([[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]]))
    return layer


CASES = {
    "BipolarStep": LayerCase(layers.BipolarStep, trainable=False),
    "Gaussian": LayerCase(
        lambda **kwargs: layers.Gaussian(center=0.5, width=2.0, **kwargs), trainable=False
    ),
    "HopfieldNetwork": LayerCase(with_memory, ((6,),), trainable=False),
    "Logistic": LayerCase(lambda **kwargs: layers.Logistic(slope=2.0, **kwargs), trainable=False),
    "Maxout": LayerCase(lambda **kwargs: layers.Maxout(4, pieces=3, **kwargs)),
    "MaxoutConv2D": LayerCase(
        lambda **kwargs: layers.MaxoutConv2D(4, 3, strides=2, padding="same", **kwargs),
        ((None, None, FEATURES),),
    ),
    "RestrictedBoltzmannMachine": LayerCase(
        lambda **kwargs: layers.RestrictedBoltzmannMachine(4, seed=1, **kwargs),
        without_gradient={"visible_bias": "the hidden probabilities do not depend on it"},
    ),
    "SelfOrganizingMap": LayerCase(
        lambda **kwargs: layers.SelfOrganizingMap((3, 2), **kwargs), ((FEATURES,),)
    ),
    "Step": LayerCase(layers.Step, trainable=False),
    "ThresholdUnit": LayerCase(
        lambda **kwargs: layers.ThresholdUnit(
            2, [[1, -1], [1, 1], [1, 0]], [0.5, 0.0], output="bipolar", **kwargs
        ),
        without_gradient={"kernel": STEP, "thresholds": STEP},
    ),
}
