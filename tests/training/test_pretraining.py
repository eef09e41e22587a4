import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.batches import training_batches
from dlrecipes.errors import RecipeError
from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.models import autoencoder, deep_belief_network
from dlrecipes.training import (
    ContrastiveDivergence,
    StopOnGeneralizationGap,
    StopOnPlateau,
    SupervisedTrainer,
    pretrain,
)

FEATURES, EXAMPLES = 6, 30
X = np.random.default_rng(0).uniform(size=(EXAMPLES, FEATURES)).astype("float32")
SIZES = {"epochs": 3, "batch_size": 8, "seed": 5}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def network(**kwargs):
    keras.utils.set_random_seed(kwargs.pop("seed", 1))
    return deep_belief_network(FEATURES, (5, 4), num_classes=3, **kwargs)


def coder(hidden=(5, 4), seed=1, **kwargs):
    keras.utils.set_random_seed(seed)
    return autoencoder(FEATURES, hidden, code_units=2, **kwargs)


def values(model):
    return [np.array(v) for v in model.weights]


def assert_same(one, other):
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class Watched:
    """Keeps the trainer of each stage; ends at a step where that is wanted."""

    def __init__(self, end_at=None):
        self.trainers = {}
        self.end_at = end_at

    def __call__(self, number):
        def seen(batch, logs):
            self.trainers[number] = callback.model
            callback.batches = getattr(callback, "batches", 0) + 1
            if self.end_at == (number, callback.batches):
                raise KeyboardInterrupt

        callback = keras.callbacks.LambdaCallback()
        callback.on_train_batch_end = seen
        return [callback]


def test_stack_is_trained_as_machines_by_hand_on_the_probabilities_below():
    model = network()
    machines = [copy.deepcopy(model.get_layer(f"rbm_{n}").get_weights()) for n in (1, 2)]
    scores = model.get_layer("scores").get_weights()
    histories = pretrain(model, X, **SIZES)
    seen = X
    for number, (initial, units) in enumerate(zip(machines, (5, 4), strict=True), 1):
        layer = RestrictedBoltzmannMachine(units)
        layer.build((None, seen.shape[1]))
        layer.set_weights(initial)
        trainer = ContrastiveDivergence(layer, seed=5 + number)
        trainer.compile(keras.optimizers.SGD(0.1, momentum=0.5))
        batches = training_batches({"x": seen}, {}, 8, seed=5 + number).map(lambda x, _: x["x"])
        history = trainer.fit(
            batches, epochs=3, steps_per_epoch=4, shuffle=False, verbose=0
        ).history
        found = model.get_layer(f"rbm_{number}").get_weights()
        for one, expected in zip(found, layer.get_weights(), strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-6)
        assert histories[number - 1].keys() == history.keys()
        np.testing.assert_allclose(histories[number - 1]["loss"], history["loss"], atol=1e-5)
        kernel, _, bias = found
        seen = sigmoid(seen @ kernel + bias).astype("float32")
    assert_same(scores, model.get_layer("scores").get_weights())


def test_machines_are_unrolled_into_encoder_and_decoder():
    model, watched = coder(), Watched()
    pretrain(model, X, callbacks=watched, **SIZES)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    ups = [encoder.get_layer(name) for name in ("hidden_1", "hidden_2", "code")]
    downs = [decoder.get_layer(name) for name in ("outputs", "hidden_1", "hidden_2")]
    x = tf.constant(X)
    for number, (up, down) in enumerate(zip(ups, downs, strict=True), 1):
        machine = watched.trainers[number].machine
        assert np.array_equal(up.kernel, machine.kernel)
        assert np.array_equal(up.bias, machine.hidden_bias)
        assert np.array_equal(down.kernel, np.transpose(machine.kernel))
        assert np.array_equal(down.bias, machine.visible_bias)
        assert (machine.visible, machine.hidden) == (
            "bernoulli",
            ("bernoulli", "gaussian")[up.name == "code"],
        )
        x = machine.hidden_probabilities(x)
    np.testing.assert_allclose(np.array(encoder(X)), np.array(x), atol=1e-5)


def test_layers_below_stay_as_they_are():
    model, before = network(), []

    def callbacks(number):
        if number == 2:
            before.extend(model.get_layer("rbm_1").get_weights())
        return []

    pretrain(model, X, callbacks=callbacks, **SIZES)
    assert_same(before, model.get_layer("rbm_1").get_weights())


def test_shallow_autoencoders_are_trained_on_what_those_below_give():
    model, watched = coder(activation="tanh"), Watched()
    first = coder(activation="tanh")
    histories = pretrain(model, X, method="autoencoder", callbacks=watched, **SIZES)
    # A sigmoid restores by cross-entropy, a hyperbolic tangent by the squared error.
    losses = [watched.trainers[number].loss for number in (1, 2, 3)]
    assert losses == ["binary_crossentropy", "mean_squared_error", "mean_squared_error"]
    assert all(history["loss"][-1] < history["loss"][0] for history in histories)
    code = model.get_layer("encoder").get_layer("code")
    assert np.array_equal(code.kernel, watched.trainers[3].network.layers[1].kernel)
    moved = [not np.array_equal(*pair) for pair in zip(values(model), values(first), strict=True)]
    assert all(moved)
    # The model's layers were called in no other graph.
    assert tuple(code.output.shape) == (None, 2)


@pytest.mark.parametrize(
    ("builder", "end_at"),
    [
        (network, (1, 6)),
        (coder, (2, 11)),
        pytest.param(network, (2, 11), marks=pytest.mark.slow),
        pytest.param(coder, (1, 6), marks=pytest.mark.slow),
    ],
)
def test_killed_pretraining_ends_in_the_very_weights_of_an_uninterrupted_one(
    builder, end_at, tmp_path
):
    whole = builder()
    expected = pretrain(whole, X, **SIZES)
    with pytest.raises(KeyboardInterrupt):
        pretrain(builder(), X, folder=tmp_path, callbacks=Watched(end_at), **SIZES)
    # Another process may have made other weights.
    again, watched = builder(seed=9), Watched()
    histories = pretrain(again, X, folder=tmp_path, callbacks=watched, **SIZES)
    assert_same(values(again), values(whole))
    assert histories == expected
    assert min(watched.trainers) == end_at[0]


def test_finished_pretraining_is_read_from_its_folder(tmp_path):
    whole, again, watched = coder(), coder(seed=9), Watched()
    expected = pretrain(whole, X, folder=tmp_path, method="autoencoder", **SIZES)
    found = pretrain(again, X, folder=tmp_path, method="autoencoder", callbacks=watched, **SIZES)
    assert_same(values(again), values(whole))
    assert found == expected
    assert not watched.trainers


def test_layer_that_was_stopped_early_is_not_trained_on(tmp_path):
    def callbacks(number):
        return [keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)]

    whole, again = network(), network(seed=9)
    expected = pretrain(whole, X, folder=tmp_path, callbacks=callbacks, **SIZES)
    assert [len(history["loss"]) for history in expected] == [2, 2]
    assert pretrain(again, X, folder=tmp_path, callbacks=callbacks, **SIZES) == expected
    assert_same(values(again), values(whole))


def settling():
    # No epoch changes the error by so much: the third is the second such one.
    return StopOnPlateau(change=1e9, rounds=2)


def parting():
    """Ends after the first epoch of three in which the figure of the script rises."""
    return StopOnGeneralizationGap("falling", "reconstruction_error")


class Scripted(keras.callbacks.Callback):
    """Logs errors that part from the third epoch on: the second is the best."""

    def on_epoch_end(self, epoch, logs=None):
        logs["falling"] = 1.0 - epoch
        logs["reconstruction_error"] = (3.0, 1.0, 2.0, 4.0, 5.0)[epoch]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "epochs"), [(settling, 3), (parting, 3)])
@pytest.mark.parametrize("end_at", [(1, 6), (1, 10), (2, 10)])
def test_killed_pretraining_stops_early_where_the_whole_one_does(rule, epochs, end_at, tmp_path):
    """Killed in the second or third epoch, of four steps each."""

    def callbacks(watched):
        return lambda number: [*watched(number), Scripted(), rule()]

    sizes = {**SIZES, "epochs": 5}
    whole = network()
    expected = pretrain(whole, X, callbacks=callbacks(Watched()), **sizes)
    assert [len(history["loss"]) for history in expected] == [epochs, epochs]
    with pytest.raises(KeyboardInterrupt):
        pretrain(network(), X, folder=tmp_path, callbacks=callbacks(Watched(end_at)), **sizes)
    # The first goes on; the second reads what is finished.
    for _ in range(2):
        again = network(seed=9)
        found = pretrain(again, X, folder=tmp_path, callbacks=callbacks(Watched()), **sizes)
        assert found == expected
        assert_same(values(again), values(whole))


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (
            lambda: keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
            "EarlyStopping must have restore_best_weights=False",
        ),
        (
            lambda: StopOnGeneralizationGap("reconstruction_error", "loss"),
            "validation='reconstruction_error', whose best epoch is kept, not 'loss'",
        ),
    ],
)
def test_callback_whose_weights_a_folder_does_not_keep_is_refused(callback, message, tmp_path):
    def callbacks(number):
        return [callback()]

    with pytest.raises(ValueError, match=message) as error:
        pretrain(network(), X, folder=tmp_path, callbacks=callbacks, **SIZES)
    assert "\n" not in str(error.value)
    # In one process it does what it says.
    pretrain(network(), X, callbacks=callbacks, **SIZES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 4}, "epochs 3, not 4"),
        ({"optimizer": "adam"}, "optimizers"),
        ({"x": 1 - X}, "examples"),
    ],
)
def test_folder_of_another_pretraining_is_refused(changed, message, tmp_path):
    pretrain(network(), **{"x": X, **SIZES, "folder": tmp_path})
    with pytest.raises(RecipeError, match=message) as error:
        pretrain(network(), **{"x": X, **SIZES, "folder": tmp_path, **changed})
    assert "\n" not in str(error.value)


def test_folder_that_is_damaged_is_told_in_a_line(tmp_path):
    pretrain(network(), X, folder=tmp_path, **SIZES)
    (tmp_path / "initial.weights.h5").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match=r"initial\.weights\.h5 does not fit"):
        pretrain(network(), X, folder=tmp_path, **SIZES)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(RecipeError, match="cannot be read"):
        pretrain(network(), X, folder=tmp_path, **SIZES)


def curves(count, rng):
    """Images of 8 x 8 of a smooth curve: three numbers make each."""
    grid = (np.arange(8) + 0.5) / 8
    a, b, c = rng.uniform(0, 1, (3, count, 1))
    height = a + (b - a) * grid + 0.8 * (c - 0.5) * np.sin(np.pi * grid)
    return np.exp(-((grid[None, :, None] - height[:, None, :]) ** 2) / 0.02).reshape(count, 64)


@pytest.mark.slow
def test_pretraining_gives_a_deep_autoencoder_a_lower_error_after_the_same_tuning():
    rng = np.random.default_rng(0)
    train, test = (curves(n, rng).astype("float32") for n in (1000, 300))
    errors = {}
    for pretrained in (False, True):
        keras.utils.set_random_seed(3)
        model = autoencoder(64, (48, 32, 16), code_units=6)
        if pretrained:
            pretrain(model, train, epochs=20, batch_size=50, optimizer=keras.optimizers.Adam(0.005))
        trainer = SupervisedTrainer(model)
        trainer.compile(keras.optimizers.Adam(0.002), "mse")
        trainer.fit(train, train, batch_size=50, epochs=20, verbose=0)
        errors[pretrained] = trainer.evaluate(test, test, verbose=0, return_dict=True)["loss"]
    assert errors[True] < 0.7 * errors[False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"steps": 0}, "steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"method": "wake_sleep"}, "method must be one of"),
        ({"method": "autoencoder"}, "wants a model of an encoder and a decoder"),
        ({"x": X[:, :4]}, r"x must be of shape \(examples, 6\), not \(30, 4\)"),
        ({"x": X[:0]}, "x must be of shape"),
        ({"x": 255 * X}, r"x must lie in \[0, 1\] for Bernoulli units"),
        ({"x": np.full_like(X, np.nan)}, "no finite numbers"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        pretrain(network(), **{"x": X, **SIZES, **change})


def test_models_without_stages_are_refused():
    inputs = keras.Input((FEATURES,))
    dense = keras.Model(inputs, keras.layers.Dense(2)(inputs), name="dense")
    with pytest.raises(ValueError, match="dense must begin with RestrictedBoltzmannMachine"):
        pretrain(dense, X)
    with pytest.raises(ValueError, match="hidden_1's activation is relu"):
        pretrain(coder(activation="relu"), X)
    with pytest.raises(ValueError, match="one must be 'bernoulli'"):
        pretrain(coder((), output_activation=None), X)
    x = RestrictedBoltzmannMachine(4, hidden="gaussian", name="one")(inputs)
    mixed = keras.Model(inputs, RestrictedBoltzmannMachine(3, name="two")(x))
    with pytest.raises(ValueError, match=r"two has bernoulli visible units, but .* gaussian"):
        pretrain(mixed, X)


def test_gaussian_machines_take_standardised_data_of_any_kind_of_number():
    model = network(visible="gaussian")
    histories = pretrain(model, 10 * X.astype("float64") - 5, **SIZES)
    assert all(np.isfinite(history["loss"]).all() for history in histories)
