"""Layer-wise pre-training trains each layer as by hand, and resumes bit for bit."""

import copy
import shutil

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


def new_network(**kwargs):
    keras.utils.set_random_seed(kwargs.pop("seed", 1))
    return deep_belief_network(FEATURES, (5, 4), num_classes=3, **kwargs)


def new_autoencoder(hidden=(5, 4), seed=1, **kwargs):
    keras.utils.set_random_seed(seed)
    return autoencoder(FEATURES, hidden, code_units=2, **kwargs)


def values(model):
    return [np.array(v) for v in model.weights]


def assert_same(actual, expected):
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))


class StageRecorder:
    """Records the trainer of each stage, and interrupts training at a given step."""

    def __init__(self, end_at=None):
        self.trainers = {}
        self.end_at = end_at

    def __call__(self, number):
        def record(batch, logs):
            self.trainers[number] = callback.model
            callback.batches = getattr(callback, "batches", 0) + 1
            if self.end_at == (number, callback.batches):
                raise KeyboardInterrupt

        callback = keras.callbacks.LambdaCallback()
        callback.on_train_batch_end = record
        return [callback]


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    """The folder of a finished pre-training, which is only read."""
    folder = tmp_path_factory.mktemp("pretraining")
    pretrain(new_network(), X, folder=folder, **SIZES)
    return folder


@pytest.fixture
def finished(shared_folder, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(shared_folder, tmp_path / "finished")


def test_machines_are_trained_in_turn_on_the_probabilities_of_the_layer_below():
    model = new_network()
    machines = [copy.deepcopy(model.get_layer(f"rbm_{n}").get_weights()) for n in (1, 2)]
    scores = model.get_layer("scores").get_weights()
    histories = pretrain(model, X, **SIZES)
    examples = X
    for number, (initial, units) in enumerate(zip(machines, (5, 4), strict=True), 1):
        layer = RestrictedBoltzmannMachine(units)
        layer.build((None, examples.shape[1]))
        layer.set_weights(initial)
        trainer = ContrastiveDivergence(layer, seed=5 + number)
        trainer.compile(keras.optimizers.SGD(0.1, momentum=0.5))
        batches = training_batches({"x": examples}, {}, 8, seed=5 + number).map(lambda x, _: x["x"])
        history = trainer.fit(
            batches, epochs=3, steps_per_epoch=4, shuffle=False, verbose=0
        ).history
        weights = model.get_layer(f"rbm_{number}").get_weights()
        for actual, expected in zip(weights, layer.get_weights(), strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-6)
        assert histories[number - 1].keys() == history.keys()
        np.testing.assert_allclose(histories[number - 1]["loss"], history["loss"], atol=1e-5)
        kernel, _, bias = weights
        examples = sigmoid(examples @ kernel + bias).astype("float32")
    assert_same(scores, model.get_layer("scores").get_weights())


def test_dropout_does_not_change_pretraining():
    plain, dropped = (
        deep_belief_network(X.shape[1], (5, 4), 3, seed=1, **rates)
        for rates in ({}, {"dropout": 0.5, "input_dropout": 0.5})
    )
    dropped.set_weights(plain.get_weights())
    for model in (plain, dropped):
        pretrain(model, X, epochs=1, batch_size=8)
    assert_same(plain.get_weights(), dropped.get_weights())


def test_machines_are_unrolled_into_encoder_and_decoder():
    model, recorder = new_autoencoder(), StageRecorder()
    pretrain(model, X, callbacks=recorder, **SIZES)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    ups = [encoder.get_layer(name) for name in ("hidden_1", "hidden_2", "code")]
    downs = [decoder.get_layer(name) for name in ("outputs", "hidden_1", "hidden_2")]
    x = tf.constant(X)
    for number, (up, down) in enumerate(zip(ups, downs, strict=True), 1):
        machine = recorder.trainers[number].machine
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


def test_layers_below_do_not_change():
    model, before = new_network(), []

    def callbacks(number):
        if number == 2:
            before.extend(model.get_layer("rbm_1").get_weights())
        return []

    pretrain(model, X, callbacks=callbacks, **SIZES)
    assert_same(before, model.get_layer("rbm_1").get_weights())


def test_shallow_autoencoders_are_trained_on_the_outputs_of_the_layer_below():
    model, recorder = new_autoencoder(activation="tanh"), StageRecorder()
    first = new_autoencoder(activation="tanh")
    histories = pretrain(model, X, method="autoencoder", callbacks=recorder, **SIZES)
    # A sigmoid layer is trained by cross-entropy, a hyperbolic tangent by the squared error.
    losses = [recorder.trainers[number].loss for number in (1, 2, 3)]
    assert losses == ["binary_crossentropy", "mean_squared_error", "mean_squared_error"]
    assert all(history["loss"][-1] < history["loss"][0] for history in histories)
    code = model.get_layer("encoder").get_layer("code")
    assert np.array_equal(code.kernel, recorder.trainers[3].network.layers[1].kernel)
    pairs = zip(values(model), values(first), strict=True)
    assert all(not np.array_equal(*pair) for pair in pairs)
    # The model's layers have no further calls in another graph.
    assert tuple(code.output.shape) == (None, 2)


@pytest.mark.parametrize(
    ("builder", "end_at"),
    [
        (new_network, (1, 6)),
        (new_autoencoder, (2, 11)),
        pytest.param(new_network, (2, 11), marks=pytest.mark.slow),
        pytest.param(new_autoencoder, (1, 6), marks=pytest.mark.slow),
    ],
)
def test_resumed_pretraining_equals_an_uninterrupted_one(builder, end_at, tmp_path):
    whole = builder()
    expected = pretrain(whole, X, **SIZES)
    with pytest.raises(KeyboardInterrupt):
        pretrain(builder(), X, folder=tmp_path, callbacks=StageRecorder(end_at), **SIZES)
    # A new process may have other initial weights.
    again, recorder = builder(seed=9), StageRecorder()
    histories = pretrain(again, X, folder=tmp_path, callbacks=recorder, **SIZES)
    assert_same(values(again), values(whole))
    assert histories == expected
    assert min(recorder.trainers) == end_at[0]


def test_finished_pretraining_is_restored_from_its_folder(tmp_path):
    whole, again, recorder = new_autoencoder(), new_autoencoder(seed=9), StageRecorder()
    expected = pretrain(whole, X, folder=tmp_path, method="autoencoder", **SIZES)
    histories = pretrain(
        again, X, folder=tmp_path, method="autoencoder", callbacks=recorder, **SIZES
    )
    assert_same(values(again), values(whole))
    assert histories == expected
    assert not recorder.trainers


def test_a_layer_that_stopped_early_is_not_trained_further(tmp_path):
    def callbacks(number):
        return [keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)]

    whole, again = new_network(), new_network(seed=9)
    expected = pretrain(whole, X, folder=tmp_path, callbacks=callbacks, **SIZES)
    assert [len(history["loss"]) for history in expected] == [2, 2]
    assert pretrain(again, X, folder=tmp_path, callbacks=callbacks, **SIZES) == expected
    assert_same(values(again), values(whole))


def plateau():
    # No epoch changes the error by 1e9, so that training stops after the third.
    return StopOnPlateau(change=1e9, rounds=2)


def gap():
    """Stops after the first of three epochs in which the script's error rises."""
    return StopOnGeneralizationGap("falling", "reconstruction_error")


class Scripted(keras.callbacks.Callback):
    """Logs errors with a growing gap from the third epoch on; the second epoch is the best."""

    def on_epoch_end(self, epoch, logs=None):
        logs["falling"] = 1.0 - epoch
        logs["reconstruction_error"] = (3.0, 1.0, 2.0, 4.0, 5.0)[epoch]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "epochs"), [(plateau, 3), (gap, 3)])
@pytest.mark.parametrize("end_at", [(1, 6), (1, 10), (2, 10)])
def test_resumed_pretraining_stops_early_where_an_uninterrupted_one_does(
    rule, epochs, end_at, tmp_path
):
    """Training is killed in the second or third epoch, of four steps each."""

    def callbacks(recorder):
        return lambda number: [*recorder(number), Scripted(), rule()]

    sizes = {**SIZES, "epochs": 5}
    whole = new_network()
    expected = pretrain(whole, X, callbacks=callbacks(StageRecorder()), **sizes)
    assert [len(history["loss"]) for history in expected] == [epochs, epochs]
    with pytest.raises(KeyboardInterrupt):
        pretrain(
            new_network(), X, folder=tmp_path, callbacks=callbacks(StageRecorder(end_at)), **sizes
        )
    # The first call resumes, and the second one restores the finished weights.
    for _ in range(2):
        again = new_network(seed=9)
        histories = pretrain(
            again, X, folder=tmp_path, callbacks=callbacks(StageRecorder()), **sizes
        )
        assert histories == expected
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
def test_callbacks_that_restore_weights_outside_the_folder_are_rejected(
    callback, message, tmp_path
):
    def callbacks(number):
        return [callback()]

    with pytest.raises(ValueError, match=message) as error:
        pretrain(new_network(), X, folder=tmp_path, callbacks=callbacks, **SIZES)
    assert "\n" not in str(error.value)
    # Without a folder they are accepted.
    pretrain(new_network(), X, callbacks=callbacks, **SIZES)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 4}, "epochs 3, not 4"),
        ({"optimizer": "adam"}, "optimizers"),
        ({"x": 1 - X}, "examples"),
    ],
)
def test_a_folder_of_other_pretraining_is_rejected(changed, message, finished):
    with pytest.raises(RecipeError, match=message) as error:
        pretrain(new_network(), **{"x": X, **SIZES, "folder": finished, **changed})
    assert "\n" not in str(error.value)


def test_a_damaged_folder_raises_an_error_that_names_the_file(finished):
    (finished / "initial.weights.h5").write_bytes(b"nothing")
    with pytest.raises(RecipeError, match=r"initial\.weights\.h5 does not fit"):
        pretrain(new_network(), X, folder=finished, **SIZES)
    (finished / "settings.json").write_text("{")
    with pytest.raises(RecipeError, match="cannot be read"):
        pretrain(new_network(), X, folder=finished, **SIZES)


def curves(count, rng):
    """Returns images of 8 x 8 with a smooth curve, each defined by three numbers."""
    grid = (np.arange(8) + 0.5) / 8
    a, b, c = rng.uniform(0, 1, (3, count, 1))
    height = a + (b - a) * grid + 0.8 * (c - 0.5) * np.sin(np.pi * grid)
    return np.exp(-((grid[None, :, None] - height[:, None, :]) ** 2) / 0.02).reshape(count, 64)


@pytest.mark.slow
def test_pretraining_lowers_the_error_of_a_deep_autoencoder_after_fine_tuning():
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
        ({"method": "autoencoder"}, "needs a model of an encoder and a decoder"),
        ({"x": X[:, :4]}, r"x must be of shape \(examples, 6\), not \(30, 4\)"),
        ({"x": X[:0]}, "x must be of shape"),
        ({"x": 255 * X}, r"x must lie in \[0, 1\] for Bernoulli units"),
        ({"x": np.full_like(X, np.nan)}, "x contains NaN or infinity"),
    ],
)
def test_invalid_arguments_are_rejected(change, message):
    with pytest.raises(ValueError, match=message):
        pretrain(new_network(), **{"x": X, **SIZES, **change})


def test_models_that_cannot_be_pretrained_are_rejected():
    inputs = keras.Input((FEATURES,))
    dense = keras.Model(inputs, keras.layers.Dense(2)(inputs), name="dense")
    with pytest.raises(ValueError, match="dense must begin with RestrictedBoltzmannMachine"):
        pretrain(dense, X)
    with pytest.raises(ValueError, match="hidden_1's activation is relu"):
        pretrain(new_autoencoder(activation="relu"), X)
    with pytest.raises(ValueError, match="one must be 'bernoulli'"):
        pretrain(new_autoencoder((), output_activation=None), X)
    x = RestrictedBoltzmannMachine(4, hidden="gaussian", name="first")(inputs)
    mixed = keras.Model(inputs, RestrictedBoltzmannMachine(3, name="second")(x))
    with pytest.raises(ValueError, match=r"second has bernoulli visible units, but .* gaussian"):
        pretrain(mixed, X)


def test_gaussian_machines_accept_standardized_data_of_any_dtype():
    model = new_network(visible="gaussian")
    histories = pretrain(model, 10 * X.astype("float64") - 5, **SIZES)
    assert all(np.isfinite(history["loss"]).all() for history in histories)
