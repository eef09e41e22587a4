"""An ensemble's members are trained each for itself: as if each were alone."""

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


def copied(network, name):
    other = dense(name)
    other.set_weights(network.get_weights())
    return other


def trained(network, rate, **options):
    model = SupervisedTrainer(network)
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"], jit_compile=False)
    history = model.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0, **options).history
    return {name: values[-1] for name, values in history.items()}


@pytest.mark.parametrize("options", [{}, {"sample_weight": WEIGHTS}])
def test_members_learn_as_each_does_alone(options):
    members = [dense("a"), dense("b")]
    alone = [copied(one, f"{one.name}_alone") for one in members]
    logs = [trained(one, 0.1, **options) for one in alone]
    # The loss is the mean over the members: each has half of its gradient.
    together = trained(ensemble(members), 0.2, **options)
    for one, other in zip(members, alone, strict=True):
        for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for name in ("loss", "mae"):
        assert together[name] == pytest.approx(np.mean([log[name] for log in logs]), rel=1e-5)


def test_validation_is_of_the_members_mean():
    members = [dense("a"), dense("b")]
    model = SupervisedTrainer(ensemble(members))
    model.compile("sgd", "mse", jit_compile=False)
    mean = np.mean([one.predict(X, verbose=0) for one in members], axis=0)
    found = model.evaluate(X, Y, verbose=0)
    assert found == pytest.approx(np.mean((mean - Y) ** 2), rel=1e-5)
