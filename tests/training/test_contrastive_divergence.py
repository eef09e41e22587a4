"""Contrastive divergence follows its gradient, and the exact one with many Gibbs steps."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models import deep_belief_network, restricted_boltzmann_machine
from dlrecipes.training import ContrastiveDivergence
from dlrecipes.training._engine import stateless_random

W = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 0.25]])
A = np.array([0.5, -1.0, 0.25])
B = np.array([-0.5, 1.0])
V = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
DATA = V[[1, 3, 3, 6, 7]].astype("float32")
RATE, SEED = 0.5, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def machine(w=W, a=A, b=B, **kwargs):
    layer = RestrictedBoltzmannMachine(w.shape[1], **kwargs)
    layer.build((None, w.shape[0]))
    for weight, value in zip(
        (layer.kernel, layer.visible_bias, layer.hidden_bias), (w, a, b), strict=True
    ):
        weight.assign(value)
    return layer


def trainer(layer=None, optimizer=None, compiled=None, **kwargs):
    model = ContrastiveDivergence(layer or machine(), seed=SEED, **kwargs)
    model.compile(optimizer or keras.optimizers.SGD(RATE), **(compiled or {}))
    return model


def weights(model):
    layer = model.machine
    return [np.array(w) for w in (layer.kernel, layer.visible_bias, layer.hidden_bias)]


def fit(model, x=DATA, epochs=1, batch_size=None):
    return model.fit(
        x, batch_size=batch_size or len(x), epochs=epochs, shuffle=False, verbose=0
    ).history


def uniform(shape, step, stream):
    return np.array(stateless_random.uniform(shape, SEED, tf.constant(step), stream))


def chain(v, w, a, b, steps, step, sampled):
    """Runs Gibbs steps with the trainer's random numbers; hidden units use even streams."""
    for k in range(steps):
        h = uniform((len(v), len(b)), step, 2 * k) < sigmoid(v @ w + b)
        v = sigmoid(h @ w.T + a)
        if sampled:
            v = (uniform(v.shape, step, 2 * k + 1) < v).astype(float)
    return v


def statistics(v, w, b):
    """Returns the means of v h, v and p(h = 1 | v)."""
    h = sigmoid(v @ w + b)
    return v.T @ h / len(v), v.mean(axis=0), h.mean(axis=0)


def model_probabilities(w, a, b, v=V):
    """Returns p(v) by enumeration; the sum over h factorizes."""
    unnormalised = np.exp(v @ a) * np.prod(1 + np.exp(v @ w + b), axis=1)
    return unnormalised / unnormalised.sum()


def exact_gradient(data, w, a, b):
    """Returns the gradient of the mean log-likelihood: the data's statistics minus the model's."""
    p, h = model_probabilities(w, a, b), sigmoid(V @ w + b)
    expected = (V * p[:, None]).T @ h, p @ V, p @ h
    return [d - m for d, m in zip(statistics(data, w, b), expected, strict=True)]


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("sampled", [None, True])
def test_a_step_follows_the_statistics_of_data_minus_samples(steps, sampled):
    model = trainer(steps=steps, sample_visible=sampled)
    history = fit(model)
    samples = chain(DATA, W, A, B, steps, 0, sampled)
    gradient = [
        d - s for d, s in zip(statistics(DATA, W, B), statistics(samples, W, B), strict=True)
    ]
    for actual, old, change in zip(weights(model), (W, A, B), gradient, strict=True):
        np.testing.assert_allclose(actual, old + RATE * change, atol=1e-5)
    np.testing.assert_allclose(
        history["gradient_norm"], [np.linalg.norm(flat(gradient))], rtol=1e-5
    )


def test_persistent_chains_continue_from_the_last_step():
    model = trainer(steps=2, persistent=True, chains=7)
    states, current = np.array(model.states), [W, A, B]
    assert states.shape == (7, 3)
    for step in range(3):
        fit(model)
        w, a, b = current
        states = chain(states, w, a, b, 2, step, True)
        change = zip(statistics(DATA, w, b), statistics(states, w, b), strict=True)
        current = [old + RATE * (d - s) for old, (d, s) in zip(current, change, strict=True)]
        np.testing.assert_array_equal(np.array(model.states), states)
        for actual, expected in zip(weights(model), current, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_gaussian_visible_units_are_reconstructed_as_means():
    # The gradient of the free energy with respect to the bias of a Gaussian visible unit is a - v.
    data = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    model = trainer(machine(visible="gaussian"))
    fit(model, data)
    h = uniform((6, 2), 0, 0) < sigmoid(data @ W + B)
    samples = h @ W.T + A
    expected = [
        d - s for d, s in zip(statistics(data, W, B), statistics(samples, W, B), strict=True)
    ]
    for actual, old, change in zip(weights(model), (W, A, B), expected, strict=True):
        np.testing.assert_allclose(actual, old + RATE * change, atol=1e-5)


def test_gaussian_hidden_units_are_sampled_around_their_mean():
    model = trainer(machine(hidden="gaussian"))
    fit(model)
    noise = np.array(stateless_random.normal((5, 2), SEED, tf.constant(0), 0))
    samples = sigmoid((DATA @ W + B + noise) @ W.T + A)
    kernel = W + RATE / 5 * (DATA.T @ (DATA @ W + B) - samples.T @ (samples @ W + B))
    np.testing.assert_allclose(weights(model)[0], kernel, atol=1e-5)


def test_a_regularizer_is_added_to_the_gradient_and_the_loss():
    plain, regular = trainer(), trainer(machine(kernel_regularizer=keras.regularizers.L2(0.1)))
    losses = [fit(model)["loss"][0] for model in (plain, regular)]
    np.testing.assert_allclose(losses[1] - losses[0], 0.1 * np.sum(W**2), rtol=1e-4)
    change = weights(regular)[0] - weights(plain)[0]
    np.testing.assert_allclose(change, -RATE * 2 * 0.1 * W, atol=1e-5)


def test_logs_use_the_weights_before_the_step():
    model = trainer()
    logs = {name: values[0] for name, values in fit(model).items()}
    samples = chain(DATA, W, A, B, 1, 0, False)

    def free(v):
        return np.mean(-v @ A - np.sum(np.log1p(np.exp(v @ W + B)), axis=1))

    restored = sigmoid(sigmoid(DATA @ W + B) @ W.T + A)
    assert logs["free_energy"] == pytest.approx(free(DATA), rel=1e-5)
    assert logs["loss"] == pytest.approx(free(DATA) - free(samples), rel=1e-4)
    assert logs["reconstruction_error"] == pytest.approx(np.mean((DATA - restored) ** 2), rel=1e-5)


def test_validation_logs_the_free_energy_of_other_data():
    model, other = trainer(), V.astype("float32")
    before = weights(model)
    logs = model.evaluate(other, batch_size=3, verbose=0, return_dict=True)
    expected = np.mean(-V @ A - np.sum(np.log1p(np.exp(V @ W + B)), axis=1))
    assert logs["free_energy"] == pytest.approx(expected, rel=1e-5)
    assert set(logs) == {"free_energy", "reconstruction_error"}
    assert all(np.array_equal(*pair) for pair in zip(before, weights(model), strict=True))
    history = model.fit(DATA, validation_data=(other,), verbose=0).history
    assert {"val_free_energy", "val_reconstruction_error"} <= set(history)


def test_the_pseudo_likelihood_is_estimated_from_one_unit_given_the_others():
    model = trainer(pseudo_likelihood=True)
    logs = model.evaluate(DATA, batch_size=5, verbose=0, return_dict=True)
    # After the two streams of the one Gibbs step.
    units = np.floor(uniform((5,), 0, 2) * 3).astype(int)
    p = dict(zip(map(tuple, V), model_probabilities(W, A, B), strict=True))
    each = []
    for v, unit in zip(DATA, units, strict=True):
        flipped = v.copy()
        flipped[unit] = 1 - v[unit]
        each.append(3 * np.log(p[tuple(v)] / (p[tuple(v)] + p[tuple(flipped)])))
    assert logs["pseudo_likelihood"] == pytest.approx(np.mean(each), rel=1e-4)


def test_many_gibbs_steps_give_the_exact_gradient_of_the_likelihood():
    data = np.tile(DATA, (1600, 1))
    model = trainer(steps=30, sample_visible=True, compiled={"run_eagerly": True})
    fit(model, data)
    change = flat(weights(model)) - flat([W, A, B])
    exact = flat(exact_gradient(DATA, W, A, B))
    # A statistic of 8,000 samples has a standard deviation of at most 0.5 / sqrt(8000) = 0.006.
    np.testing.assert_allclose(change / RATE, exact, atol=4 * 0.006)
    assert cosine(change, exact) > 0.99


def test_persistent_chains_converge_to_the_exact_gradient_of_the_likelihood():
    model = trainer(optimizer=keras.optimizers.SGD(0.0), persistent=True, chains=8000)
    fit(model, epochs=30)
    assert all(np.array_equal(*pair) for pair in zip(weights(model), (W, A, B), strict=True))
    model.optimizer.learning_rate = RATE
    fit(model)
    change = flat(weights(model)) - flat([W, A, B])
    exact = flat(exact_gradient(DATA, W, A, B))
    np.testing.assert_allclose(change / RATE, exact, atol=4 * 0.006)
    assert cosine(change, exact) > 0.99


def test_one_gibbs_step_is_biased_but_increases_the_likelihood():
    data = np.tile(DATA, (1600, 1))
    model = trainer()
    fit(model, data)
    change = flat(weights(model)) - flat([W, A, B])
    assert 0.3 < cosine(change, flat(exact_gradient(DATA, W, A, B))) < 0.99


def bars_and_stripes():
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    bars, stripes = np.tile(rows, (1, 3)), np.repeat(rows, 3, axis=1)
    return np.unique(np.concatenate([bars, stripes]), axis=0)


@pytest.mark.parametrize(
    "kwargs",
    [{"steps": 1}, pytest.param({"persistent": True, "chains": 140}, marks=pytest.mark.slow)],
)
def test_training_increases_the_exact_likelihood_of_bars_and_stripes(kwargs):
    patterns = bars_and_stripes()
    assert len(patterns) == 14
    keras.utils.set_random_seed(2)
    rbm = restricted_boltzmann_machine(9, 16)
    model = trainer(rbm.get_layer("rbm"), keras.optimizers.SGD(0.1, momentum=0.5), **kwargs)
    states = np.array(list(itertools.product([0.0, 1.0], repeat=9)))

    def likelihood():
        p = model_probabilities(*weights(model), v=states)
        index = (patterns @ 2 ** np.arange(8, -1, -1)).astype(int)
        return np.mean(np.log(p[index]))

    # Small weights give all 512 states about the same probability.
    assert likelihood() == pytest.approx(-9 * np.log(2), abs=0.05)
    data = np.tile(patterns, (100, 1)).astype("float32")
    model.fit(data, batch_size=140, epochs=100, verbose=0)
    # The best possible value is -log 14 = -2.64.
    assert likelihood() > -4.0


def test_a_step_is_the_same_eagerly_and_runs_under_xla():
    usual, eager, compiled = (
        trainer(persistent=True, chains=4, compiled=options)
        for options in ({"jit_compile": False}, {"run_eagerly": True}, {"jit_compile": True})
    )
    for model in (usual, eager, compiled):
        assert np.isfinite(fit(model, epochs=2)["loss"]).all()
    for a, b in zip(weights(usual), weights(eager), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_small_batches_integers_and_targets_are_accepted():
    model = trainer()
    fit(model, DATA, batch_size=2)
    fit(model, DATA[:1])
    model.fit(DATA.astype("uint8"), np.arange(5), verbose=0)
    assert model.optimizer.iterations == 3 + 1 + 1


def test_inference_equals_the_machines():
    model = trainer(restricted_boltzmann_machine(3, 2))
    np.testing.assert_array_equal(np.array(model(DATA)), np.array(model.rbm(DATA)))
    assert model.predict(DATA, verbose=0).shape == (5, 2)


def test_only_the_machine_is_trained_and_chains_are_stored():
    model = trainer(persistent=True, chains=4)
    assert len(model.trainable_variables) == 3
    assert [v.shape for v in model.non_trainable_variables if v.name == "chains"] == [(4, 3)]
    assert trainer(persistent=True).states.shape == (100, 3)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer of at least 1, not 0"),
        ({"seed": -1}, ValueError, "seed must be"),
        ({"chains": 5}, ValueError, "chains needs persistent=True"),
        ({"persistent": True, "chains": 0}, ValueError, "chains must be an integer"),
        ({"rbm": RestrictedBoltzmannMachine(2)}, ValueError, "has no weights yet"),
        ({"rbm": keras.layers.Dense(2)}, TypeError, "rbm must be a RestrictedBoltzmannMachine"),
        ({"rbm": deep_belief_network(3, (2,), 2)}, TypeError, "'deep_belief_network'"),
        ({"rbm": "rbm"}, TypeError, "not 'rbm'"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, error, message):
    with pytest.raises(error, match=message):
        ContrastiveDivergence(**{"rbm": machine(), **kwargs})


def test_the_pseudo_likelihood_of_gaussian_units_is_rejected():
    with pytest.raises(ValueError, match="Bernoulli visible units"):
        ContrastiveDivergence(machine(visible="gaussian"), pseudo_likelihood=True)


@pytest.mark.parametrize("eager", [True, False])
def test_values_outside_0_and_1_stop_training_of_bernoulli_units(eager):
    model = trainer(compiled={"run_eagerly": eager, "jit_compile": False})
    later = tf.data.Dataset.from_tensor_slices(np.concatenate([DATA, 255 * DATA])).batch(len(DATA))
    # The first batch is checked before training, and the others in the step.
    with pytest.raises(ValueError, match=r"must lie between 0 and 1\.$"):
        model.fit(later, verbose=0)
    fit(trainer(machine(visible="gaussian")), 2 * DATA)


def test_data_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r"of shape \(batch, 3\), not \(.*4\)"):
        fit(trainer(), np.zeros((5, 4), "float32"))
    with pytest.raises(ValueError, match="leave it out"):
        trainer().fit(DATA, DATA, sample_weight=np.ones(5), verbose=0)


def test_chains_of_batches_in_one_accumulated_update_have_their_own_random_numbers():
    states = []
    for steps in (None, 2):
        optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=steps)
        model = trainer(optimizer=optimizer, persistent=True, chains=64)
        fit(model, np.tile(DATA, (4, 1)), batch_size=len(DATA))
        states.append(np.array(model.states))
    # The weights stay the same, so the chains must not depend on the accumulation.
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"metrics": ["accuracy"]}])
def test_losses_and_metrics_of_compile_are_rejected(options):
    with pytest.raises(ValueError, match=f"its own losses .* takes no {next(iter(options))}"):
        trainer(compiled=options)
