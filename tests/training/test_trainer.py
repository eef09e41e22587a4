"""The base trainer logs the gradient's norm, clips, checks data and exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.training import SupervisedTrainer, Trainer

# The model is w * x with w = 2, and targets are 0. The loss mean((w x)^2) has the derivative
# 2 w mean(x^2) = 4 mean(x^2).
W = 2.0
X = np.array([[1.0], [3.0]], "float32")
GRADIENT = 4 * (1 + 9) / 2
ZEROS = np.zeros_like(X)


class OneWeight(Trainer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1, use_bias=False)
        self.dense.build((None, 1))
        self.dense.kernel.assign([[W]])
        self.built = True

    @property
    def weight(self):
        return float(self.dense.kernel[0, 0])

    def call(self, inputs, training=False):
        return self.dense(inputs)


def trainer(optimizer, **kwargs):
    model = OneWeight()
    model.compile(optimizer, loss="mse", **{"jit_compile": False, **kwargs})
    return model


def fitted(model, x=X, batch_size=2, epochs=1):
    y = np.zeros_like(x)
    return model.fit(x, y, batch_size, epochs, verbose=0, shuffle=False).history


@pytest.mark.parametrize(
    "options, weight",
    [
        ({}, W - 0.01 * GRADIENT),
        # The gradient is 20: it is clipped to a norm of 1 or 5, but not to 50.
        ({"global_clipnorm": 1.0}, W - 0.01 * 1),
        ({"global_clipnorm": 5.0}, W - 0.01 * 5),
        ({"global_clipnorm": 50.0}, W - 0.01 * GRADIENT),
    ],
)
def test_the_norm_is_logged_before_clipping_and_the_update_is_clipped(options, weight):
    model = trainer(keras.optimizers.SGD(0.01, **options))
    history = fitted(model)
    assert history["gradient_norm"] == pytest.approx([GRADIENT])
    assert history["loss"] == pytest.approx([W**2 * (1 + 9) / 2])
    assert model.weight == pytest.approx(weight)


def test_gradient_norm_and_loss_are_means_over_the_epoch():
    # Batches x = (1, 3) and (2): gradients 20 and 16, losses 20 and 16 of 2 and 1 examples.
    model = trainer(keras.optimizers.SGD(0.0))
    x = np.array([[1.0], [3.0], [2.0]], "float32")
    history = fitted(model, x, epochs=2)
    assert history["gradient_norm"] == pytest.approx([(20 + 16) / 2] * 2)
    assert history["loss"] == pytest.approx([(2 * 20 + 16) / 3] * 2)


def test_evaluation_logs_the_loss_and_changes_no_weight():
    model = trainer(keras.optimizers.SGD(0.1), metrics=["mae"])
    logs = model.evaluate(X, ZEROS, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(W**2 * (1 + 9) / 2)
    assert logs["mae"] == pytest.approx(W * (1 + 3) / 2)
    assert model.weight == W


def test_sample_weights_are_used_in_the_loss():
    model = trainer(keras.optimizers.SGD(0.0))
    history = model.fit(X, ZEROS, sample_weight=np.array([1.0, 0.0]), verbose=0).history
    # Keras averages weighted losses over all the examples: (4 * 1 + 0) / 2.
    assert history["loss"] == pytest.approx([2.0])
    assert history["gradient_norm"] == pytest.approx([2 * W * 1 / 2])


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": True}])
def test_a_step_is_the_same_eagerly_and_compiled(options):
    model = trainer(keras.optimizers.SGD(0.01, global_clipnorm=1.0), **options)
    assert fitted(model)["gradient_norm"] == pytest.approx([GRADIENT])
    assert model.weight == pytest.approx(W - 0.01)


def test_gradients_of_a_repeated_row_are_summed_before_the_norm():
    """A table's gradient has one slice per use; the norm is computed after summing them.

    Row 1 is used twice with upstream gradient 1 and row 2 once: the gradient is (2, 1) with norm
    sqrt(5), not the sqrt(3) of the slices.
    """

    class Sum(Trainer):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(4, 1)
            self.table.build()
            self.built = True

        def call(self, inputs, training=False):
            return self.table(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.reduce_sum(y_pred)

    model = Sum()
    before = np.array(model.table.embeddings)
    model.compile(keras.optimizers.SGD(1.0, global_clipnorm=1.0), jit_compile=False)
    ids = np.array([[1, 1, 2]])
    history = model.fit(ids, ids, verbose=0).history
    assert history["gradient_norm"] == pytest.approx([np.sqrt(5)])
    # The clipped step has the length 1.
    step = (before - np.array(model.table.embeddings))[:, 0]
    np.testing.assert_allclose(step, [0, 2 / np.sqrt(5), 1 / np.sqrt(5), 0], atol=1e-6)


def test_gradient_norm_does_not_depend_on_the_loss_scale():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=64.0)
    model = trainer(scaled)
    assert fitted(model)["gradient_norm"] == pytest.approx([GRADIENT])
    assert model.weight == pytest.approx(W - 0.01 * GRADIENT)


def test_functional_arguments_are_rejected_before_keras_changes_every_trainer():
    x = keras.Input((1,))
    with pytest.raises(TypeError):
        Trainer(x, x)
    with pytest.raises(TypeError, match=r"SupervisedTrainer\(keras.Model"):
        Trainer(inputs=x, outputs=x)
    assert OneWeight().weight == W


def test_fit_and_evaluate_disable_autotuning_of_data_sets(monkeypatch):
    """TensorFlow's autotuning of a data set ends with a delay of seconds for its timer."""
    seen = []

    def fit(self, x=None, validation_data=None):
        seen.extend([x, validation_data])

    def evaluate(self, x=None):
        seen.append(x)

    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr(keras.Model, "evaluate", evaluate)
    model, data = OneWeight(), tf.data.Dataset.from_tensors(X)
    assert data.options().autotune.enabled is not False
    model.fit(data, validation_data=data)
    model.evaluate(data)
    assert [data.options().autotune.enabled for data in seen] == [False] * 3


@pytest.mark.parametrize(
    "dtype, optimizer", [("bfloat16", "SGD"), ("float64", "SGD"), ("float64", "Adam")]
)
def test_weights_of_any_precision_are_updated(dtype, optimizer):
    layer = keras.layers.Dense(1, use_bias=False, dtype=dtype, kernel_initializer="ones")
    x = keras.Input((1,), dtype=dtype)
    model = SupervisedTrainer(keras.Model(x, layer(x)))
    # The gradient at w = 1 is 2 mean(x^2) = 10; Adam's first step is its rate, for any gradient.
    rate = {"SGD": 0.0125, "Adam": 0.125}[optimizer]
    model.compile(getattr(keras.optimizers, optimizer)(rate), "mse", jit_compile=False)
    history = model.fit(X, ZEROS, verbose=0).history
    assert history["gradient_norm"] == pytest.approx([10], rel=1e-2)
    assert float(layer.kernel[0, 0]) == pytest.approx(1 - 0.125, rel=1e-2)


def test_a_step_skipped_by_loss_scaling_has_a_finite_norm():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=1e38)
    model = trainer(scaled)
    assert fitted(model)["gradient_norm"] == [0]
    assert model.weight == W


def test_export_uses_the_inputs_of_the_network(tmp_path):
    a, b = keras.Input((2,), name="a"), keras.Input((None, 3), name="b")
    summed = keras.layers.Dense(1)(a) + keras.ops.sum(b, axis=(1, 2))[:, None]
    model = SupervisedTrainer(keras.Model({"a": a, "b": b}, summed))
    model.export(tmp_path / "model", verbose=False)
    x = {"a": tf.ones((4, 2)), "b": tf.ones((4, 5, 3))}
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.serve(x), model(x), rtol=1e-6)


def test_export_without_known_inputs_asks_for_a_signature(tmp_path):
    with pytest.raises(ValueError, match="input_signature="):
        OneWeight().export(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "x, y, specs",
    [
        (np.ones((3, 2)), None, (((None, 2), "float64"), None, None)),
        (
            np.array(["a", "b"], object),
            np.arange(2),
            (((None,), "string"), ((None,), "int64"), None),
        ),
        (
            tf.data.Dataset.from_tensors((tf.ones((3, 2)), tf.ones(3), tf.ones(3))),
            None,
            (((3, 2), "float32"), ((3,), "float32"), ((3,), "float32")),
        ),
    ],
)
def test_data_are_checked_before_any_computation(monkeypatch, x, y, specs):
    class RejectedError(Exception):
        pass

    def check_batch(self, *parts):
        actual = tuple(part and (tuple(part.shape), part.dtype.name) for part in parts)
        assert actual == specs
        raise RejectedError

    monkeypatch.setattr(OneWeight, "check_batch", check_batch)
    model = trainer(keras.optimizers.SGD())
    for method in (model.fit, model.evaluate):
        with pytest.raises(RejectedError):
            method(x, y)
    assert model.weight == W


def test_autotuning_is_disabled_for_arrays_as_well():
    seen = []

    class Watched(OneWeight):
        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            super()._maybe_symbolic_build(iterator, data_batch)
            seen.append(iterator._get_iterator().options().autotune.enabled)

    model = Watched()
    model.compile("sgd", "mse")
    model.fit(X, ZEROS, validation_data=(X, ZEROS), verbose=0)
    model.evaluate(X, ZEROS, verbose=0)
    assert seen == [False] * 3
