"""The model has the moving averages while it is validated and saved, and else its weights."""

import keras
import numpy as np
import pytest

from dlrecipes.training import AveragedWeights, Checkpoints, MagnitudePruning, SupervisedTrainer

MOMENTUM = 0.75
X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X[:, :1]


def trainer(plain=False, **options):
    keras.utils.set_random_seed(3)
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(1, name="dense")(keras.layers.Dropout(0.2)(x)))
    if not plain:
        model = SupervisedTrainer(model)
    optimizer = keras.optimizers.Adam(0.1, **{"use_ema": True, "ema_momentum": MOMENTUM, **options})
    model.compile(optimizer, "mse")
    return model


def kernel(model):
    return np.array(getattr(model, "network", model).get_layer("dense").kernel)


def fit(model, *callbacks, epochs=3, start=0, validate=True):
    validation = {"validation_data": (X, Y)} if validate else {}
    return model.fit(
        X, Y, 4, epochs, 0, callbacks, initial_epoch=start, shuffle=False, **validation
    ).history  # fmt: skip


class Record(keras.callbacks.Callback):
    """Keeps the kernel after each step, in each validation, and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.steps, self.validated, self.ended = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(kernel(self.model))

    def on_test_batch_begin(self, batch, logs=None):
        self.validated.append(kernel(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.ended.append(kernel(self.model))


def averages(steps):
    """Returns a_1 = w_1 and a_t = m a_(t-1) + (1 - m) w_t."""
    results = [steps[0]]
    for weights in steps[1:]:
        results.append(MOMENTUM * results[-1] + (1 - MOMENTUM) * weights)
    return results


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("validate", [True, False])
def test_validation_and_the_end_of_an_epoch_have_the_averages(plain, validate):
    model, record = trainer(plain), Record()
    fit(model, AveragedWeights(), record, validate=validate)
    expected = averages(record.steps)[2::3]
    np.testing.assert_allclose(record.ended, expected, rtol=1e-5)
    np.testing.assert_allclose(kernel(model), expected[-1], rtol=1e-5)
    if validate:
        # A validation has three batches as well.
        np.testing.assert_allclose(record.validated, np.repeat(expected, 3, 0), rtol=1e-5)


def test_training_steps_are_those_without_the_callback():
    with_averages, without = Record(), Record()
    fit(trainer(), AveragedWeights(), with_averages)
    fit(trainer(use_ema=False), without)
    # Keras has another order of operations with averages than the fused update without.
    np.testing.assert_allclose(with_averages.steps, without.steps, rtol=1e-4)


def test_a_resumed_training_has_the_same_weights_and_averages(tmp_path):
    def run(folder, epochs):
        model, record = trainer(), Record()
        checkpoints = Checkpoints(folder, "val_loss")
        checkpoints.resume(model)
        fit(model, AveragedWeights(), record, checkpoints, epochs=epochs, start=checkpoints.epochs)
        return model, record, checkpoints

    model, expected, _ = run(tmp_path / "whole", 4)
    run(tmp_path / "part", 2)
    resumed, record, checkpoints = run(tmp_path / "part", 4)
    np.testing.assert_array_equal(record.steps, expected.steps[6:])
    np.testing.assert_array_equal(kernel(resumed), kernel(model))
    # The best epoch has the averages as well.
    checkpoints.restore_best(resumed)
    best = kernel(resumed)
    np.testing.assert_array_equal(best, expected.ended[checkpoints.best - 1])


def test_a_saved_model_has_the_averages(tmp_path):
    model, record = trainer(), Record()
    path = tmp_path / "best.keras"
    saved = keras.callbacks.ModelCheckpoint(path)
    fit(model, AveragedWeights(), record, saved, epochs=2)
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(kernel(loaded), averages(record.steps)[-1], rtol=1e-5)
    assert len(loaded.weights) == 2


def test_a_second_training_continues_with_new_averages():
    model, record = trainer(), Record()
    fit(model, AveragedWeights(), record, epochs=1)
    fit(model, AveragedWeights(), record, epochs=1)
    first = averages(record.steps[:3])[-1]
    # The second training begins with the model's weights, which are the averages.
    expected = first
    for weights in record.steps[3:]:
        expected = MOMENTUM * expected + (1 - MOMENTUM) * weights
    np.testing.assert_allclose(record.ended[-1], expected, rtol=1e-5)


def test_averages_of_pruned_weights_are_pruned():
    model = trainer()
    record = Record()
    fit(model, MagnitudePruning(0.6, 0, 3, 1), AveragedWeights(), record, epochs=2)
    # 3 weights, of which round(0.6 * 3) = 2 are zero.
    assert np.count_nonzero(kernel(model) == 0) == 2


def test_an_optimizer_without_averages_is_rejected():
    with pytest.raises(ValueError, match="keeps no average: give it use_ema=True"):
        fit(trainer(use_ema=False, ema_momentum=0.99), AveragedWeights())
