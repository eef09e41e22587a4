"""Truncated backpropagation: gradients and states, clipping, lengths and arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from bptt_case import BATCH, FEATURES, RNG, TIME, X, Y, assert_same_weights, compiled, fit, network
from trainer_contract import SharedTrainer, TrainerCase

from dlrecipes import layers
from dlrecipes.models import sequence_model
from dlrecipes.training import SupervisedTrainer, TruncatedBPTT
from dlrecipes.training._engine import chunks

NETWORKS = {
    "LSTM, SimpleRNN": lambda: [layers.LSTM, layers.SimpleRNN],
    "PeepholeLSTM": lambda: [layers.PeepholeLSTM],
    "Keras LSTM, GRU": lambda: [keras.layers.LSTM, keras.layers.GRU],
}


@pytest.fixture(scope="module")
def shared_elman():
    """Returns a compiled trainer with a learning rate of 0 whose step is traced once."""

    def make():
        return compiled(TruncatedBPTT(network(), 4), metrics=["mae"])

    return SharedTrainer(TrainerCase(make, lambda: (X, Y)))


@pytest.fixture
def elman(shared_elman):
    """Returns that trainer as it was before training."""
    return shared_elman.fresh()


# Gradients and states.


@pytest.mark.parametrize("kinds", NETWORKS)
def test_window_of_the_whole_length_is_full_back_propagation(kinds):
    truncated = compiled(
        TruncatedBPTT(network(*NETWORKS[kinds]()), TIME), keras.optimizers.Adam(0.01)
    )
    full = compiled(
        SupervisedTrainer(network(*NETWORKS[kinds]())),
        keras.optimizers.Adam(0.01),
        # Without tracing: only a few steps.
        run_eagerly=True,
    )
    history, expected = fit(truncated, epochs=3), fit(full, epochs=3)
    assert_same_weights(truncated.network, full.network)
    for log in ("loss", "gradient_norm"):
        assert history[log] == pytest.approx(expected[log], rel=1e-5)


def elman_chunk(weights, h, x, y):
    """Returns the mean loss over a chunk of a linear recurrence, and the state after it."""
    w, u = weights
    losses = []
    for t in range(x.shape[1]):
        h = w * x[:, t] + u * h
        losses.append((h - y[:, t]) ** 2)
    return np.mean(losses), h


def truncated_by_hand(weights, x, y, window, rate):
    """Returns the weights, the gradient norms and the loss after one sequence of chunks.

    With h_t = w x_t + u h_(t-1): dh_t/dw = x_t + u dh_(t-1)/dw and
    dh_t/du = h_(t-1) + u dh_(t-1)/du. Both start from 0 at each chunk's first step, while h
    continues.
    """
    weights, h, norms, losses = np.array(weights, "float64"), np.zeros(len(x)), [], []
    for start in range(0, x.shape[1], window):
        w, u = weights
        dw, du, gradient = np.zeros(len(x)), np.zeros(len(x)), np.zeros(2)
        steps = range(start, min(start + window, x.shape[1]))
        for t in steps:
            dw, du, h = x[:, t] + u * dw, h + u * du, w * x[:, t] + u * h
            error = 2 * (h - y[:, t])
            losses.append(np.mean((h - y[:, t]) ** 2))
            gradient += np.array([np.mean(error * dw), np.mean(error * du)]) / len(steps)
        norms.append(np.linalg.norm(gradient))
        weights = weights - rate * gradient
    return weights, norms, np.mean(losses)


def linear_unit(w, u, window, optimizer, **kwargs):
    inputs = keras.Input((None, 1))
    layer = keras.layers.SimpleRNN(1, "linear", use_bias=False, return_sequences=True)
    model = TruncatedBPTT(keras.Model(inputs, layer(inputs)), window)
    layer.set_weights([np.array([[w]]), np.array([[u]])])
    return compiled(model, optimizer, **kwargs)


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}])
@pytest.mark.parametrize("window", [1, 2, 3, 5, 10])
def test_linear_unit_learns_as_computed_by_hand(window, options):
    model = linear_unit(0.7, 0.9, window, keras.optimizers.SGD(0.05), **options)
    history = fit(model, X[:, :, :1])
    weights, norms, loss = truncated_by_hand((0.7, 0.9), X[:, :, 0], Y[:, :, 0], window, 0.05)
    learned = [float(weight[0, 0]) for weight in model.get_weights()[:2]]
    np.testing.assert_allclose(learned, weights, rtol=1e-5)
    assert history["gradient_norm"] == pytest.approx([np.mean(norms)], rel=1e-5)
    assert history["loss"] == pytest.approx([loss], rel=1e-5)
    assert int(model.optimizer.iterations) == -(-TIME // window) == len(norms)


def test_hand_gradient_is_the_slope_of_the_truncated_objective():
    """Differentiates the second chunk's loss while the state before that chunk is held fixed."""
    x, y = X[:, :, 0].astype("float64"), Y[:, :, 0].astype("float64")
    _, h = elman_chunk((0.7, 0.9), np.zeros(BATCH), x[:, :5], y[:, :5])
    step = 1e-6
    slope = [
        (elman_chunk((0.7 + a, 0.9 + b), h, x[:, 5:], y[:, 5:])[0] - elman_chunk(
            (0.7 - a, 0.9 - b), h, x[:, 5:], y[:, 5:])[0]) / (2 * step)
        for a, b in ((step, 0), (0, step))
    ]  # fmt: skip
    # With a learning rate of 0 both chunks' norms are those of the same weights.
    _, norms, _ = truncated_by_hand((0.7, 0.9), x, y, 5, 0.0)
    assert norms[1] == pytest.approx(np.linalg.norm(slope), rel=1e-6)
    # The gradient through both chunks differs.
    _, (whole,), _ = truncated_by_hand((0.7, 0.9), x, y, 10, 0.0)
    assert abs(whole - np.mean(norms)) > 0.01 * whole


@pytest.mark.parametrize("kinds", NETWORKS)
def test_state_crosses_chunks(kinds):
    """With a learning rate of 0 the loss over all chunks is the loss over the whole sequence."""
    model = compiled(TruncatedBPTT(network(*NETWORKS[kinds]()), 3))
    whole = np.mean((np.array(model.network(X)) - Y) ** 2)
    assert fit(model)["loss"] == pytest.approx([whole], rel=1e-5)
    changed = X.copy()
    changed[:, :3] += 1.0
    later = np.mean((np.array(model.network(changed)) - Y)[:, 3:] ** 2)
    assert later != pytest.approx(np.mean((np.array(model.network(X)) - Y)[:, 3:] ** 2), rel=1e-4)
    whole = np.mean((np.array(model.network(changed)) - Y) ** 2)
    assert fit(model, changed)["loss"] == pytest.approx([whole], rel=1e-5)


# Clipping.


def test_clipping_limits_the_update_and_the_logged_norm_is_unclipped():
    model = compiled(
        TruncatedBPTT(network(), TIME), keras.optimizers.SGD(1.0, global_clipnorm=0.01)
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model.network(X) - Y))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    norm = np.sqrt(sum(float(tf.reduce_sum(tf.square(gradient))) for gradient in gradients))
    assert norm > 0.01
    before = [np.array(v) for v in model.trainable_variables]
    history = fit(model)
    moved = [np.array(v) - old for v, old in zip(model.trainable_variables, before, strict=True)]
    assert np.sqrt(sum((m**2).sum() for m in moved)) == pytest.approx(0.01, rel=1e-3)
    assert history["gradient_norm"] == pytest.approx([norm], rel=1e-5)
    assert history["clipped"] == [1.0]


def test_each_of_several_updates_is_clipped():
    limit, window = 0.02, 3
    model = compiled(
        TruncatedBPTT(network(), window), keras.optimizers.SGD(1.0, global_clipnorm=limit)
    )
    before = [np.array(v) for v in model.trainable_variables]
    fit(model)
    moved = [np.array(v) - old for v, old in zip(model.trainable_variables, before, strict=True)]
    updates = -(-TIME // window)
    assert 0 < np.sqrt(sum((m**2).sum() for m in moved)) <= updates * limit * (1 + 1e-4)


def test_clipped_is_the_fraction_of_chunks_above_the_limit():
    _, norms, _ = truncated_by_hand((0.7, 0.9), X[:, :, 0], Y[:, :, 0], 2, 0.0)
    limit = float(np.sort(norms)[1:3].mean())
    model = linear_unit(0.7, 0.9, 2, keras.optimizers.SGD(0.0, global_clipnorm=limit))
    assert fit(model, X[:, :, :1])["clipped"] == pytest.approx([3 / 5])
    free = linear_unit(0.7, 0.9, 2, keras.optimizers.SGD(0.0))
    assert "clipped" not in fit(free, X[:, :, :1])
    assert "clipped" not in model.evaluate(X[:, :, :1], Y, verbose=0, return_dict=True)


# Lengths.


def test_last_chunk_may_be_shorter(elman):
    error = np.array(elman.network(X)) - Y
    history = fit(elman)
    assert int(elman.optimizer.iterations) == 3
    # The loss weights each step equally, Keras' metrics weight each chunk equally.
    assert history["loss"] == pytest.approx([np.mean(error**2)], rel=1e-5)
    chunk_errors = [np.mean(np.abs(error[:, start : start + 4])) for start in (0, 4, 8)]
    assert history["mae"] == pytest.approx([np.mean(chunk_errors)], rel=1e-5)


def test_unknown_length_gives_the_same_weights():
    known, unknown = (
        compiled(TruncatedBPTT(network(), 4), keras.optimizers.Adam(0.01)) for _ in range(2)
    )
    fit(known, epochs=2)
    # 10 steps leave a shorter chunk, 8 do not.
    data = tf.data.Dataset.from_generator(
        lambda: iter([(X, Y), (X, Y), (X[:, :8], Y[:, :8])]),
        output_signature=(
            tf.TensorSpec([None, None, FEATURES]),
            tf.TensorSpec([None, None, 1]),
        ),
    )
    unknown.fit(data.take(2), verbose=0)
    assert_same_weights(unknown, known)
    unknown.fit(data.skip(2), verbose=0)
    assert int(unknown.optimizer.iterations) == 3 + 3 + 2


# XLA compiles for seconds: `make test-slow` runs the other layers and windows.
@pytest.mark.parametrize(
    "kind, window",
    [
        (layers.LSTM, 4),
        *(
            pytest.param(kind, window, marks=pytest.mark.slow)
            for kind, window in [
                (layers.LSTM, 2),
                (layers.LSTM, 6),
                (keras.layers.LSTM, 2),
                (keras.layers.LSTM, 4),
                (keras.layers.LSTM, 6),
            ]
        ),
    ],
)
def test_xla_compiled_training_learns_the_same(kind, window):
    """The windows give a loop of five chunks, two and a shorter chunk, and one and a shorter."""
    plain, xla = (
        compiled(
            TruncatedBPTT(network(kind, units=3), window),
            keras.optimizers.SGD(0.1),
            jit_compile=jit_compile,
        )
        for jit_compile in (False, True)
    )
    expected, history = fit(plain, epochs=2), fit(xla, epochs=2)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert_same_weights(xla, plain, atol=1e-5)


def test_graph_does_not_grow_with_the_number_of_chunks():
    traced = []

    @tf.function
    def run(x):
        def step(data, total):
            traced.append(data[0].shape)
            return total + tf.reduce_sum(data[0])

        return chunks.each(step, (x, x, None), 3, 0.0)

    assert float(run(tf.ones([2, 100]))) == 200.0
    assert traced == [(2, 3), (2, 1)]


def test_sample_weights_of_steps_are_cut_into_chunks(elman):
    error = (np.array(elman.network(X)) - Y)[:, :, 0] ** 2
    weights = RNG.uniform(size=(BATCH, TIME)).astype("float32")
    loss = fit(elman, sample_weight=weights)["loss"]
    assert loss == pytest.approx([np.mean(error * weights)], rel=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: TruncatedBPTT(network(), 0), "window must be an integer of at least 1, not 0"),
        (lambda: TruncatedBPTT(network(), 2.0), "window must be an integer"),
        (lambda: TruncatedBPTT(network(), 2, streams=0), "streams must be an integer"),
        (lambda: TruncatedBPTT(keras.Sequential([keras.layers.LSTM(2)]), 2), "has no weights yet"),
        (
            lambda: TruncatedBPTT(
                sequence_model("many_to_many", 2, num_features=2, bidirectional=True), 2
            ),
            "hidden_1 reads from the end",
        ),
        (
            lambda: TruncatedBPTT(sequence_model("many_to_one", 2, num_features=2), 2),
            r"must have outputs of shape \(batch, time, \.\.\.\).* not \(None, 2\)",
        ),
        (
            lambda: TruncatedBPTT(
                keras.Sequential([keras.Input((6, 2)), keras.layers.Dense(2)]), 2
            ),
            r"must have inputs of shape \(batch, time, \.\.\.\).* not \(None, 6, 2\)",
        ),
    ],
)
def test_invalid_arguments_are_rejected_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_targets_and_sample_weights_without_time_are_rejected():
    model = compiled(TruncatedBPTT(network(), 4))
    for data in ({"y": Y[:, 0, 0]}, {"sample_weight": np.ones(BATCH)}):
        with pytest.raises(ValueError, match="values for each step, not"):
            fit(model, **data)
    with pytest.raises(ValueError, match="must have the same length"):
        fit(model, y=Y[:, :6])
