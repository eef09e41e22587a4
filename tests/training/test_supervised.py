"""The members of an ensemble are trained independently, as if each were the only network."""

import keras
import numpy as np
import pytest

from dlrecipes.models import ensemble
from dlrecipes.training import SupervisedTrainer

RNG = np.random.default_rng(3)
X = RNG.normal(size=(12, 5)).astype("float32")
Y = RNG.normal(size=(12, 2)).astype("float32")
WEIGHTS = RNG.uniform(0.5, 2.0, 12).astype("float32")


def dense(name):
    x = keras.Input((5,), name="x")
    return keras.Model(x, keras.layers.Dense(2)(x), name=name)


def copy_of(network, name):
    other = dense(name)
    other.set_weights(network.get_weights())
    return other


def trained(network, rate, **options):
    model = SupervisedTrainer(network)
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"], jit_compile=False)
    history = model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0, **options).history
    return {name: values[-1] for name, values in history.items()}


@pytest.mark.parametrize("options", [{}, {"sample_weight": WEIGHTS}])
def test_members_are_trained_as_single_networks_are(options):
    members = [dense("a"), dense("b")]
    singles = [copy_of(member, f"{member.name}_single") for member in members]
    logs = [trained(network, 0.1, **options) for network in singles]
    # The loss is the mean over the members, so that each has half of its gradient.
    together = trained(ensemble(members), 0.2, **options)
    for member, single in zip(members, singles, strict=True):
        for actual, expected in zip(member.get_weights(), single.get_weights(), strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-5)
    for name in ("loss", "mae"):
        assert together[name] == pytest.approx(np.mean([log[name] for log in logs]), rel=1e-5)


def test_validation_uses_the_mean_of_the_members():
    members = [dense("a"), dense("b")]
    model = SupervisedTrainer(ensemble(members))
    model.compile("sgd", "mse", jit_compile=False)
    mean = np.mean([member.predict(X, verbose=0) for member in members], axis=0)
    loss = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(np.mean((mean - Y) ** 2), rel=1e-5)
