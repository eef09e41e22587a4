"""A GAN's updates, losses and labels equal their definitions, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gan_case import Spy, X, conditional, plain

from dlrecipes.training import GAN

# The generator computes g z, the discriminator w x^2; both use SGD with this rate.
G, W, RATE, WEIGHT = 0.7, 0.3, 0.1, 10.0


def one_weight(value, seen, square):
    layers = [keras.Input((1,)), Spy(seen)]
    layers += [keras.layers.Lambda(tf.square)] * square
    network = keras.Sequential([*layers, keras.layers.Dense(1, use_bias=False)])
    network.set_weights([np.array([[value]])])
    return network


def spied(**kwargs):
    """Returns a GAN of two weights, and the lists of the networks' inputs so far."""
    noise, examples = [], []
    model = GAN(one_weight(G, noise, False), one_weight(W, examples, True), **kwargs)
    model.compile(keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), run_eagerly=True)
    return model, noise, examples


def weight_of(network):
    return float(network.get_weights()[-1][0, 0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


# By objective: losses of a score (real, generated, the generator's), and their derivatives.
OBJECTIVES = {
    "minimax": (
        (lambda s: softplus(-s), softplus, lambda s: -softplus(s)),
        (lambda s: sigmoid(s) - 1, sigmoid, lambda s: -sigmoid(s)),
    ),
    "non_saturating": (
        (lambda s: softplus(-s), softplus, lambda s: softplus(-s)),
        (lambda s: sigmoid(s) - 1, sigmoid, lambda s: sigmoid(s) - 1),
    ),
    "least_squares": (
        (lambda s: (s - 1) ** 2 / 2, lambda s: s**2 / 2, lambda s: (s - 1) ** 2 / 2),
        (lambda s: s - 1, lambda s: s, lambda s: s - 1),
    ),
    "hinge": (
        (lambda s: np.maximum(0, 1 - s), lambda s: np.maximum(0, 1 + s), lambda s: -s),
        (lambda s: -1.0 * (s < 1), lambda s: 1.0 * (s > -1), lambda s: 0 * s - 1),
    ),
    "wasserstein": (
        (lambda s: -s, lambda s: s, lambda s: -s),
        (lambda s: 0 * s - 1, lambda s: 0 * s + 1, lambda s: 0 * s - 1),
    ),
}


@pytest.mark.parametrize(
    ("objective", "one_sided"), [*((name, False) for name in OBJECTIVES), ("wasserstein", True)]
)
def test_one_step_follows_the_derivatives_of_the_objective(objective, one_sided):
    """With D(x) = w x^2 and G(z) = g z, by the chain rule.

    The discriminator's loss has the derivative mean(r'(D(x)) x^2) + mean(f'(D(G(z))) G(z)^2) with
    respect to w, and the generator's has mean(l'(D(G(z))) 2 w G(z) z) with respect to g, with the
    new w. The slope at a point p is 2 w p, so that the penalty is mean((|2 w p| - 1)^2); a
    one-sided one counts the points with a slope above 1 alone.
    """
    model, noise, examples = spied(
        objective=objective, gradient_penalty_weight=WEIGHT, one_sided_penalty=one_sided
    )
    logs = model.fit(X, batch_size=4, verbose=0, shuffle=False).history
    (z1, _), (z2, _) = noise
    (r, f, g), (dr, df, dg) = OBJECTIVES[objective]
    real, fake = W * X**2, W * (G * z1) ** 2
    loss = np.mean(r(real)) + np.mean(f(fake))
    slope = np.mean(dr(real) * X**2) + np.mean(df(fake) * (G * z1) ** 2)
    if objective == "wasserstein":
        points = examples[2][0]
        assert ((points - X) * (points - G * z1) < 0).all()
        fraction = (points - G * z1) / (X - G * z1)
        assert np.ptp(fraction) > 0.1
        excess = np.abs(2 * W * points) - 1
        if one_sided:
            assert (excess < 0).any()
            excess = np.maximum(excess, 0)
        loss += WEIGHT * np.mean(excess**2)
        slope += WEIGHT * np.mean(2 * excess * np.sign(W * points) * 2 * points)
    w = W - RATE * slope
    fooled = w * (G * z2) ** 2
    generator_slope = np.mean(dg(fooled) * 2 * w * (G * z2) * z2)
    assert weight_of(model.discriminator) == pytest.approx(w, rel=1e-4)
    assert weight_of(model.generator) == pytest.approx(G - RATE * generator_slope, rel=1e-4)
    squash = sigmoid if objective in ("minimax", "non_saturating") else lambda s: s
    assert {name: values[0] for name, values in logs.items()} == pytest.approx(
        {
            "generator_loss": np.mean(g(fooled)),
            "discriminator_loss": loss,
            "real_score": np.mean(squash(real)),
            "fake_score": np.mean(squash(fake)),
            "gradient_norm": abs(generator_slope),
            "discriminator_gradient_norm": abs(slope),
        },
        rel=1e-4,
    )


def test_each_update_uses_its_own_examples_and_noise():
    model, noise, examples = spied(discriminator_steps=3)
    x = np.arange(1, 25, dtype="float32")[:, None]
    model.fit(x, batch_size=12, verbose=0, shuffle=False)
    assert model.discriminator_optimizer.iterations.numpy() == 2 * 3
    assert model.optimizer.iterations.numpy() == 2
    # In a step, three updates and the generator's use noise; the discriminator reads real and
    # generated examples in three updates, and generated ones in the generator's.
    assert len(noise) == 2 * (3 + 1) and len(examples) == 2 * (3 * 2 + 1)
    assert {z.shape for z, _ in noise} == {(4, 1)} == {x.shape for x, _ in examples}
    for step in range(2):
        real = [examples[7 * step + 2 * update][0] for update in range(3)]
        assert sorted(np.concatenate(real).ravel()) == list(range(12 * step + 1, 12 * step + 13))
    assert len(np.unique([z for z, _ in noise])) == 2 * 4 * 4
    assert all(training for _, training in [*noise, *examples])


def test_batches_of_one_accumulated_update_have_their_own_noise():
    model, noise, _ = spied()
    model.compile(
        *(keras.optimizers.SGD(RATE, gradient_accumulation_steps=3) for _ in range(2)),
        run_eagerly=True,
    )
    model.fit(np.ones((12, 1), "float32"), batch_size=4, verbose=0)
    # Three batches of four examples, each with noise for both networks.
    assert len(np.unique([z for z, _ in noise])) == 3 * 4 * 2


def test_at_the_end_both_networks_get_the_averages_of_their_own_weights():
    model, _, _ = spied()
    model.compile(
        *(keras.optimizers.SGD(RATE, use_ema=True, ema_momentum=0.5) for _ in range(2)),
        run_eagerly=True,
    )
    networks = (model.generator, model.discriminator)
    steps = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(
            [weight_of(network) for network in networks]
        )
    )
    model.fit(X, batch_size=1, verbose=0, callbacks=[note])
    # The average begins with the weights after the first step.
    averages = np.array(steps[0])
    for weights in steps[1:]:
        averages = 0.5 * averages + 0.5 * np.array(weights)
    assert len(steps) == 4
    assert [weight_of(network) for network in networks] == pytest.approx(list(averages))
    assert list(averages) != pytest.approx(steps[-1])


def test_noise_is_normal_or_uniform():
    def noise_in_training(noise):
        model, seen, _ = spied(noise=noise)
        model.fit(np.ones((2000, 1)), batch_size=2000, verbose=0)
        return np.concatenate([z for z, _ in seen])

    normal, uniform = noise_in_training("normal"), noise_in_training("uniform")
    # Standard errors of 4,000 numbers: 0.016 for a mean of variance 1, 0.011 for its deviation.
    assert abs(normal.mean()) < 0.06 and abs(normal.std() - 1) < 0.05
    assert np.abs(uniform).max() <= 1
    assert abs(uniform.mean()) < 0.04 and abs(uniform.std() - 1 / np.sqrt(3)) < 0.03


def stateful_network(inputs, seed):
    """Returns a network with all kinds of state: statistics, vectors and random states."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    dense = layers.SpectralNormalization(layers.Dense(4))
    body = [dense, layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(2)]
    return keras.Sequential([keras.Input((inputs,)), *body])


class Watched(GAN):
    """Records the networks' weights before and after each update."""

    def update(self, optimizer, tape, loss, variables):
        name = "generator" if optimizer is self.optimizer else "discriminator"
        before = self.states()
        norm = super().update(optimizer, tape, loss, variables)
        self.history_of_states += ((name, before, self.states()),)
        return norm

    def states(self):
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {n: [w.numpy().tobytes() for w in net.weights] for n, net in networks.items()}


@pytest.mark.parametrize("objective", ["non_saturating", "wasserstein"])
def test_an_update_does_not_change_a_bit_of_the_other_network(objective):
    model = Watched(
        stateful_network(3, 0), stateful_network(2, 1), discriminator_steps=2, objective=objective
    )
    model.history_of_states = ()
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    now = model.states()
    model.fit(np.random.default_rng(0).normal(size=(16, 2)), batch_size=8, verbose=0)
    assert [name for name, *_ in model.history_of_states] == [
        "discriminator",
        "discriminator",
        "generator",
    ] * 2
    for name, before, after in model.history_of_states:
        other = {"generator": "discriminator", "discriminator": "generator"}[name]
        assert now[other] == before[other] == after[other]
        # Its own statistics change with its calls, and its weights with the update.
        assert now[name] != before[name] != after[name]
        now = after


def test_moving_statistics_of_the_generator_come_from_its_own_updates():
    # The normalized value is always 5; one update moves the mean from 0 to a tenth of it.
    dense = keras.layers.Dense(
        1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(5.0)
    )
    normalization = keras.layers.BatchNormalization(momentum=0.9)
    generator = keras.Sequential([keras.Input((2,)), dense, normalization])
    model = GAN(generator, plain(), discriminator_steps=3)
    model.compile(keras.optimizers.SGD(0.0))
    model.fit(np.ones((3, 1)), batch_size=3, verbose=0)
    assert normalization.moving_mean.numpy() == pytest.approx([0.5])


def test_dropout_of_the_other_network_differs_in_each_call():
    seen = []
    dropout = keras.layers.Dropout(0.5, seed=1)
    layers = [keras.Input((1,)), keras.layers.Lambda(tf.ones_like), dropout, Spy(seen)]
    generator = keras.Sequential([*layers, keras.layers.Dense(1)])
    model = GAN(generator, one_weight(W, [], True), discriminator_steps=3)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    model.fit(np.ones((96, 1)), batch_size=96, verbose=0)
    assert len({mask.tobytes() for mask, _ in seen}) == len(seen) == 4


def test_both_networks_get_the_labels_of_the_real_examples():
    noise, judged = [], []
    model = GAN(conditional("noise", 1, noise), conditional("image", 1, judged), 2)
    model.compile(run_eagerly=True)
    labels = np.arange(8.0, dtype="float32")
    model.fit(np.ones((8, 1)), labels, batch_size=8, verbose=0, shuffle=False)
    first, second = list(labels[::2]), list(labels[1::2])
    assert [list(seen.ravel()) for seen, _ in noise] == [first, second, second]
    assert [list(seen.ravel()) for seen, _ in judged] == [first, first, second, second, second]


def test_a_conditional_generator_learns_the_distribution_of_each_label():
    keras.utils.set_random_seed(0)
    labels = np.tile([0, 1], 1600)
    rng = np.random.default_rng(0)
    x = rng.normal(np.where(labels, 2.0, -2.0), 0.5)[:, None].astype("float32")
    model = GAN(conditional("noise", 1), conditional("image", 1), noise="uniform")
    model.compile(keras.optimizers.Adam(5e-3, beta_1=0.5), steps_per_execution=25)
    model.fit(x, labels, batch_size=128, epochs=16, verbose=0)
    for label, mean in ((0, -2.0), (1, 2.0)):
        samples = model.sample(500, labels=np.full(500, label)).numpy()
        assert samples.mean() == pytest.approx(mean, abs=0.5)


def test_the_generated_distribution_approaches_the_datas():
    """Measured by the Wasserstein-1 distance and the fractions of the two modes, 0.4 and 0.6."""
    keras.utils.set_random_seed(0)
    networks = (
        keras.Sequential(
            [
                keras.Input((1,)),
                *(keras.layers.Dense(32, "relu") for _ in range(2)),
                keras.layers.Dense(1),
            ]
        )
        for _ in range(2)
    )
    model = GAN(*networks, discriminator_steps=3, noise="uniform")
    rates = [keras.optimizers.schedules.CosineDecay(2e-3, steps) for steps in (1000, 3000)]
    model.compile(
        *(keras.optimizers.Adam(rate, beta_1=0.5) for rate in rates), steps_per_execution=50
    )
    rng = np.random.default_rng(0)
    first = rng.random(3 * 256 * 50) < 0.4
    data = np.where(first, rng.normal(-2, 0.5, first.size), rng.normal(1.5, 0.8, first.size))
    truth = np.sort(data[:20_000])
    distances = []
    for epochs in (0, 20):
        model.fit(data.astype("float32")[:, None], batch_size=3 * 256, epochs=epochs, verbose=0)
        generated = np.sort(model.sample(20_000).numpy(), axis=None)
        distances.append(np.abs(generated - truth).mean())
    assert distances[0] > 1
    assert distances[1] < 0.25
    assert np.mean(generated < -0.4) == pytest.approx(0.4, abs=0.1)


def test_evaluation_uses_the_given_examples_and_changes_nothing():
    model, noise, _ = spied()
    rows = np.concatenate([X, X[:2]])
    logs = [model.evaluate(rows, batch_size=4, verbose=0, return_dict=True) for _ in range(2)]
    assert logs[0] == logs[1]
    # Two batches, each with its own noise.
    z = np.concatenate([z for z, _ in noise[:2]])
    assert len(np.unique(z)) == 6
    real, fake = W * rows**2, W * (G * z) ** 2
    assert logs[0] == pytest.approx(
        {
            "generator_loss": softplus(-fake).mean(),
            "discriminator_loss": softplus(-real).mean() + softplus(fake).mean(),
            "real_score": sigmoid(real).mean(),
            "fake_score": sigmoid(fake).mean(),
        },
        rel=1e-5,
    )
    assert (weight_of(model.generator), weight_of(model.discriminator)) == pytest.approx((G, W))


def test_samples_are_a_function_of_the_seed_in_inference_mode():
    model, noise, _ = spied()
    first, again, other = model.sample(5), model.sample(5), model.sample(5, seed=1)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    np.testing.assert_allclose(first, G * noise[0][0], rtol=1e-5)
    np.testing.assert_allclose(model(X), G * X, rtol=1e-5)
    assert not any(training for _, training in noise)
