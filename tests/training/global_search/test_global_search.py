"""Every global search finds the lower of two minima, within its number of evaluations."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import mlp
from dlrecipes.training import (
    BackPropagation,
    EvolutionarySearch,
    GlobalSearch,
    RandomPerturbation,
    Restarts,
    SimulatedAnnealing,
)
from dlrecipes.training.global_search.simulated_annealing import accepts

# The loss is (w^2 - 1)^2 + 0.3 w: two minima with a hill between them, of which the left one is
# lower. Its derivative is 4 w^3 - 4 w + 0.3.
GLOBAL, HILL, LOCAL = np.sort(np.roots([4, 0, -4, 0.3]).real)
ONE = np.ones((1, 1), "float32")
PAIRS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
XOR = np.array([[0], [1], [1], [0]], "float32")
METHODS = {
    "restarts": Restarts(steps=40, initializer=keras.initializers.RandomUniform(-1.5, 1.5)),
    "annealing": SimulatedAnnealing(start_temperature=1.0, end_temperature=1e-3, step=0.5),
    "perturbation": RandomPerturbation(noise=2.0, steps=20),
    "evolution": EvolutionarySearch(parents=5, children=10, step=2.0),
}
each_method = pytest.mark.parametrize("search", METHODS.values(), ids=METHODS)


def height(w):
    return (w**2 - 1) ** 2 + 0.3 * w


def two_minima_model(w=LOCAL, optimizer=None):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer or keras.optimizers.SGD(0.05), lambda y, y_pred: height(y_pred))
    model.set_weights([np.array([[w]])])
    return model


def xor_network():
    keras.utils.set_random_seed(0)
    model = mlp((2,), 1, (4,), activation="tanh", output_activation="sigmoid")
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def weight(model):
    return float(model.get_weights()[0][0, 0])


def test_the_two_minima_and_the_hill_are_where_expected():
    assert height(GLOBAL) < height(LOCAL) < height(HILL)
    assert GLOBAL < -1 < HILL < LOCAL < 1


def test_gradient_descent_stays_at_the_nearest_minimum():
    model = two_minima_model(0.5)
    model.fit(np.tile(ONE, (400, 1)), np.tile(ONE, (400, 1)), 1, verbose=0)
    assert weight(model) == pytest.approx(LOCAL, abs=1e-3)


@each_method
@pytest.mark.parametrize("seed", range(3))
def test_every_method_moves_from_the_local_to_the_global_minimum(search, seed):
    model = two_minima_model(LOCAL)
    result = search.minimize(model, ONE, ONE, evaluations=400, seed=seed)
    assert weight(model) == pytest.approx(GLOBAL, abs=0.05)
    assert result.loss == pytest.approx(height(GLOBAL), abs=5e-3)
    assert result.loss == pytest.approx(height(weight(model)), abs=1e-6)
    assert result.history[0] == pytest.approx(height(LOCAL), abs=1e-6)


@each_method
@pytest.mark.parametrize("evaluations", [1, 2, 39, 57])
def test_the_number_of_evaluations_is_exact_and_the_history_only_falls(search, evaluations):
    calls = []

    def loss(y, y_pred):
        tf.py_function(lambda value: calls.append(float(value[0, 0])), [y_pred], [])
        return height(y_pred)

    model = two_minima_model()
    model.compile(keras.optimizers.SGD(0.05), loss)
    result = search.minimize(model, ONE, ONE, evaluations=evaluations, seed=1)
    assert len(calls) == evaluations == len(result.history)
    losses = height(np.array(calls))
    np.testing.assert_allclose(result.history, np.minimum.accumulate(losses), atol=1e-6)
    assert weight(model) == pytest.approx(calls[int(np.argmin(losses))])
    assert result.loss == result.history[-1] <= result.history[0]


@each_method
def test_the_seed_determines_the_search(search):
    def run(seed):
        model = two_minima_model(0.5)
        return search.minimize(model, ONE, ONE, evaluations=90, seed=seed).history, weight(model)

    (first, w), (again, same), (other, _) = run(3), run(3), run(4)
    np.testing.assert_array_equal(first, again)
    assert w == same
    assert not np.array_equal(first, other)


@each_method
def test_global_random_generators_are_not_used(search):
    model = two_minima_model()
    keras.utils.set_random_seed(5)
    expected = random.random(), np.random.random()
    keras.utils.set_random_seed(5)
    search.minimize(model, ONE, ONE, evaluations=60, seed=0)
    assert (random.random(), np.random.random()) == expected


@each_method
def test_an_interrupted_search_leaves_the_best_weights_so_far(search, monkeypatch):
    heights = []

    def loss(y, y_pred):
        def note(value):
            heights.append((float(height(value[0, 0])), float(value[0, 0])))

        tf.py_function(note, [y_pred], [])
        return height(y_pred)

    def interrupted(objective, rng):
        record = objective._record

        def interrupting(*arguments):
            if len(objective.history) == 30:
                raise KeyboardInterrupt
            return record(*arguments)

        objective._record = interrupting
        type(search).search(search, objective, rng)

    monkeypatch.setattr(search, "search", interrupted)
    model = two_minima_model()
    model.compile(keras.optimizers.SGD(0.05), loss)
    with pytest.raises(KeyboardInterrupt):
        search.minimize(model, ONE, ONE, evaluations=500, seed=0)
    # The interrupted evaluation is not counted.
    assert len(heights) == 31
    assert weight(model) == pytest.approx(min(heights[:30])[1])


@pytest.mark.slow
@each_method
def test_xor_is_learned(search):
    model = xor_network()
    result = search.minimize(model, PAIRS, XOR, evaluations=1500, seed=0)
    assert np.array_equal(np.round(model(PAIRS)), XOR)
    assert result.loss < 0.05
    assert model.evaluate(PAIRS, XOR, verbose=0) == pytest.approx(result.loss, abs=1e-6)


@each_method
def test_the_batch_size_does_not_change_the_loss(search):
    histories = [
        search.minimize(xor_network(), PAIRS, XOR, evaluations=60, seed=0, batch_size=size).history
        for size in (None, 3)
    ]
    np.testing.assert_allclose(*histories, rtol=1e-3)


def test_regularizers_and_the_losses_of_trainers_are_included():
    x, y = np.ones((3, 4), "float32"), np.ones((3, 1), "float32")
    model = BackPropagation(mlp((4,), 1, (2,), "tanh"), error_share=0.5)
    model.compile()
    result = Restarts(steps=10).minimize(model, x, y, evaluations=20, seed=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(result.loss)
    decayed = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_regularizer="l2")])
    decayed.compile("sgd", "mse")
    decayed.set_weights([np.array([[3.0]]), np.array([0.0])])
    result = SimulatedAnnealing().minimize(decayed, ONE, ONE, evaluations=1, seed=0)
    assert result.loss == pytest.approx((3 - 1) ** 2 + 0.01 * 9)


def test_models_with_several_inputs_and_outputs_are_searched():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    first = keras.layers.Dense(1, name="one")(a)
    second = keras.layers.Dense(1, name="two")(keras.layers.Add()([a, b]))
    model = keras.Model({"a": a, "b": b}, {"one": first, "two": second})
    model.compile("adam", {"one": "mse", "two": "mae"})
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(6, 2)) for name in "ab"}
    y = {name: rng.normal(size=(6, 1)) for name in ("one", "two")}
    result = RandomPerturbation(steps=10).minimize(
        model, x, y, evaluations=40, seed=0, batch_size=4
    )
    loss = model.evaluate(x, y, batch_size=6, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(result.loss, abs=1e-5)
    assert result.loss < result.history[0]


@each_method
def test_frozen_weights_do_not_change(search):
    net = mlp((1,), 1, (2,))
    net.get_layer("hidden_1").trainable = False
    net.compile("sgd", "mse")
    before = net.get_layer("hidden_1").get_weights()
    search.minimize(net, ONE, ONE, evaluations=60, seed=0)
    for old, new in zip(before, net.get_layer("hidden_1").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@each_method
def test_nan_losses_are_never_the_best(search):
    model = two_minima_model()
    model.compile("sgd", lambda y, y_pred: tf.where(y_pred < LOCAL, np.nan, height(y_pred)))
    result = search.minimize(model, ONE, ONE, evaluations=100, seed=0)
    assert np.isfinite(result.history).all()
    assert weight(model) >= np.float32(LOCAL)
    model.compile("sgd", lambda y, y_pred: np.nan * y_pred)
    before = weight(model)
    result = search.minimize(model, ONE, ONE, evaluations=100, seed=0)
    assert (result.loss, weight(model)) == (np.inf, before)


def test_descents_use_a_new_optimizer_like_the_models():
    """A descent with momentum begins without speed, and leaves the model's optimizer alone."""
    model = two_minima_model(0.5, keras.optimizers.SGD(0.01, momentum=0.9))
    result = Restarts(steps=6).minimize(model, ONE, ONE, evaluations=6 + 1, seed=0)
    w, speed, path = 0.5, 0.0, []
    for _ in range(6):
        path.append(height(w))
        speed = 0.9 * speed - 0.01 * (4 * w**3 - 4 * w + 0.3)
        w += speed
    # The first evaluation is at the initial weights, before the first descent.
    np.testing.assert_allclose(result.history, np.minimum.accumulate([path[0], *path]), rtol=1e-5)
    assert int(model.optimizer.iterations) == 0


def test_metropolis_accepts_worse_steps_with_their_probability():
    rng = np.random.default_rng(0)
    frequency = np.mean([accepts(0.7, 0.5, rng) for _ in range(20000)])
    probability = np.exp(-0.7 / 0.5)
    error = np.sqrt(probability * (1 - probability) / 20000)
    assert abs(frequency - probability) < 4 * error
    assert all(accepts(rise, 0.5, rng) for rise in (0.0, -1.0, -np.inf, np.nan))
    assert not accepts(np.inf, 0.5, rng)


def test_invalid_arguments_are_rejected():
    for make, message in [
        (lambda: Restarts(steps=1), "steps must be an integer of at least 2"),
        (lambda: Restarts(initializer="zeros"), "initializer must be a random one"),
        (lambda: SimulatedAnnealing(0.0), "start_temperature must be"),
        (lambda: SimulatedAnnealing(1.0, 2.0), "end_temperature must be"),
        (lambda: SimulatedAnnealing(step=-1), "step must be"),
        (lambda: RandomPerturbation(noise=0), "noise must be"),
        (lambda: RandomPerturbation(steps=1), "steps must be"),
        (lambda: EvolutionarySearch(parents=1), "parents must be"),
        (lambda: EvolutionarySearch(children=0), "children must be"),
        (lambda: EvolutionarySearch(step=float("nan")), "step must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    search = SimulatedAnnealing()
    for changed in ({"evaluations": 0}, {"seed": -1}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(changed))} must be an integer"):
            search.minimize(
                two_minima_model(), ONE, ONE, **{"evaluations": 1, "seed": 0, **changed}
            )
    with pytest.raises(ValueError, match="must be compiled"):
        search.minimize(mlp((1,), 1, ()), ONE, ONE, evaluations=1, seed=0)
    with pytest.raises(ValueError, match="x is empty"):
        search.minimize(two_minima_model(), ONE[:0], ONE[:0], evaluations=1, seed=0)
    with pytest.raises(TypeError):
        GlobalSearch()
