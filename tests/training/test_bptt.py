import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as own

from dlrecipes import layers
from dlrecipes.data.streams import stream_batches
from dlrecipes.layers import _cpu_recurrence
from dlrecipes.models import sequence_model
from dlrecipes.training import SupervisedTrainer, TruncatedBPTT
from dlrecipes.training._engine import chunks

RNG = np.random.default_rng(0)
BATCH, TIME, FEATURES = 4, 10, 2
X = RNG.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
Y = RNG.normal(size=(BATCH, TIME, 1)).astype("float32")
PAIR = {
    "LSTM, SimpleRNN": lambda: [layers.LSTM, layers.SimpleRNN],
    "PeepholeLSTM": lambda: [layers.PeepholeLSTM],
    "Keras LSTM, GRU": lambda: [own.LSTM, own.GRU],
}


def network(*kinds, units=3, features=FEATURES):
    keras.utils.set_random_seed(5)
    inputs = x = keras.Input((None, features))
    for kind in kinds or (layers.LSTM, layers.LSTM):
        x = kind(units, return_sequences=True)(x)
    return keras.Model(inputs, own.Dense(1)(x))


def compiled(model, optimizer=None, **kwargs):
    optimizer = keras.optimizers.SGD(0.0) if optimizer is None else optimizer
    model.compile(optimizer, loss="mse", **{"jit_compile": False, **kwargs})
    return model


def fitted(model, x=X, y=Y, batch_size=BATCH, **kwargs):
    return model.fit(x, y, batch_size=batch_size, verbose=0, **{"shuffle": False, **kwargs}).history


def assert_same_weights(model, other, atol=1e-6):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=atol)


# What is computed.


@pytest.mark.parametrize("kinds", PAIR)
def test_window_of_the_whole_length_is_full_back_propagation(kinds):
    found = []
    for make in (lambda net: TruncatedBPTT(net, TIME), SupervisedTrainer):
        model = compiled(make(network(*PAIR[kinds]())), keras.optimizers.Adam(0.01))
        found.append((model.network, fitted(model, epochs=3)))
    assert_same_weights(found[0][0], found[1][0])
    for log in ("loss", "gradient_norm"):
        assert found[0][1][log] == pytest.approx(found[1][1][log], rel=1e-5)


def elman_chunk(weights, h, x, y):
    """Returns the mean loss over a chunk of a linear recurrence, and the state after it."""
    w, u = weights
    losses = []
    for t in range(x.shape[1]):
        h = w * x[:, t] + u * h
        losses.append((h - y[:, t]) ** 2)
    return np.mean(losses), h


def truncated_by_hand(weights, x, y, window, rate):
    """Returns weights, gradients' norms and loss after one sequence of chunks.

    Of h_t = w x_t + u h_(t-1): dh_t/dw = x_t + u dh_(t-1)/dw, dh_t/du = h_(t-1) + u dh_(t-1)/du,
    both from 0 at each chunk's first step, while h goes on.
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
    layer = own.SimpleRNN(1, "linear", use_bias=False, return_sequences=True)
    model = TruncatedBPTT(keras.Model(inputs, layer(inputs)), window)
    layer.set_weights([np.array([[w]]), np.array([[u]])])
    return compiled(model, optimizer, **kwargs)


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}])
@pytest.mark.parametrize("window", [1, 2, 3, 5, 10])
def test_linear_unit_learns_as_by_hand(window, options):
    model = linear_unit(0.7, 0.9, window, keras.optimizers.SGD(0.05), **options)
    history = fitted(model, X[:, :, :1])
    weights, norms, loss = truncated_by_hand((0.7, 0.9), X[:, :, 0], Y[:, :, 0], window, 0.05)
    found = [float(weight[0, 0]) for weight in model.get_weights()[:2]]
    np.testing.assert_allclose(found, weights, rtol=1e-5)
    assert history["gradient_norm"] == pytest.approx([np.mean(norms)], rel=1e-5)
    assert history["loss"] == pytest.approx([loss], rel=1e-5)
    assert int(model.optimizer.iterations) == -(-TIME // window) == len(norms)


def test_hand_gradient_is_the_slope_of_the_truncated_objective():
    """The second chunk's loss as a function of the weights, the state before it being held."""
    x, y = X[:, :, 0].astype("float64"), Y[:, :, 0].astype("float64")
    _, h = elman_chunk((0.7, 0.9), np.zeros(BATCH), x[:, :5], y[:, :5])
    step = 1e-6
    slope = [
        (elman_chunk((0.7 + a, 0.9 + b), h, x[:, 5:], y[:, 5:])[0] - elman_chunk(
            (0.7 - a, 0.9 - b), h, x[:, 5:], y[:, 5:])[0]) / (2 * step)
        for a, b in ((step, 0), (0, step))
    ]  # fmt: skip
    # With no step between them, the chunks' norms tell of the same weights.
    _, norms, _ = truncated_by_hand((0.7, 0.9), x, y, 5, 0.0)
    assert norms[1] == pytest.approx(np.linalg.norm(slope), rel=1e-6)
    # Through both chunks it would be another one.
    _, (whole,), _ = truncated_by_hand((0.7, 0.9), x, y, 10, 0.0)
    assert abs(whole - np.mean(norms)) > 0.01 * whole


@pytest.mark.parametrize("kinds", PAIR)
def test_state_crosses_chunks(kinds):
    """With a rate of 0 the loss over all chunks is the network's over the whole sequence."""
    model = compiled(TruncatedBPTT(network(*PAIR[kinds]()), 3))
    whole = np.mean((np.array(model.network(X)) - Y) ** 2)
    assert fitted(model)["loss"] == pytest.approx([whole], rel=1e-5)
    changed = X.copy()
    changed[:, :3] += 1.0
    later = np.mean((np.array(model.network(changed)) - Y)[:, 3:] ** 2)
    assert later != pytest.approx(np.mean((np.array(model.network(X)) - Y)[:, 3:] ** 2), rel=1e-4)
    whole = np.mean((np.array(model.network(changed)) - Y) ** 2)
    assert fitted(model, changed)["loss"] == pytest.approx([whole], rel=1e-5)


# Clipping.


def test_clipped_update_is_no_longer_than_the_limit_and_the_norm_is_the_one_before():
    free = compiled(TruncatedBPTT(network(), TIME), keras.optimizers.SGD(1.0))
    model = compiled(
        TruncatedBPTT(network(), TIME), keras.optimizers.SGD(1.0, global_clipnorm=0.01)
    )
    before = [np.array(v) for v in model.trainable_variables]
    norm = fitted(free)["gradient_norm"]
    history = fitted(model)
    moved = [np.array(v) - old for v, old in zip(model.trainable_variables, before, strict=True)]
    assert np.sqrt(sum((m**2).sum() for m in moved)) == pytest.approx(0.01, rel=1e-3)
    assert history["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert norm[0] > 0.01
    assert history["clipped"] == [1.0]


def test_each_of_several_updates_keeps_the_limit():
    limit, window = 0.02, 3
    model = compiled(
        TruncatedBPTT(network(), window), keras.optimizers.SGD(1.0, global_clipnorm=limit)
    )
    before = [np.array(v) for v in model.trainable_variables]
    fitted(model)
    moved = [np.array(v) - old for v, old in zip(model.trainable_variables, before, strict=True)]
    updates = -(-TIME // window)
    assert 0 < np.sqrt(sum((m**2).sum() for m in moved)) <= updates * limit * (1 + 1e-4)


def test_clipped_is_the_share_of_chunks_above_the_limit():
    _, norms, _ = truncated_by_hand((0.7, 0.9), X[:, :, 0], Y[:, :, 0], 2, 0.0)
    limit = float(np.sort(norms)[1:3].mean())
    model = linear_unit(0.7, 0.9, 2, keras.optimizers.SGD(0.0, global_clipnorm=limit))
    assert fitted(model, X[:, :, :1])["clipped"] == pytest.approx([3 / 5])
    free = linear_unit(0.7, 0.9, 2, keras.optimizers.SGD(0.0))
    assert "clipped" not in fitted(free, X[:, :, :1])
    assert "clipped" not in model.evaluate(X[:, :, :1], Y, verbose=0, return_dict=True)


# Lengths.


def test_last_chunk_may_be_shorter():
    model = compiled(TruncatedBPTT(network(), 4), metrics=["mae"])
    error = np.array(model.network(X)) - Y
    history = fitted(model)
    assert int(model.optimizer.iterations) == 3
    # In the loss every step counts once; in Keras' metrics every chunk does.
    assert history["loss"] == pytest.approx([np.mean(error**2)], rel=1e-5)
    each = [np.mean(np.abs(error[:, start : start + 4])) for start in (0, 4, 8)]
    assert history["mae"] == pytest.approx([np.mean(each)], rel=1e-5)


def test_unknown_length_gives_the_same_weights():
    found = []
    for known in (True, False):
        model = compiled(TruncatedBPTT(network(), 4), keras.optimizers.Adam(0.01))
        signature = (
            tf.TensorSpec([None, TIME if known else None, FEATURES]),
            tf.TensorSpec([None, TIME if known else None, 1]),
        )
        # 10 steps leave a shorter chunk, 8 do not.
        batches = [(X, Y), (X, Y)] if known else [(X, Y), (X, Y), (X[:, :8], Y[:, :8])]
        data = tf.data.Dataset.from_generator(
            lambda batches=batches: iter(batches), output_signature=signature
        )
        model.fit(data.take(2), verbose=0)
        found.append(model)
        if not known:
            model.fit(data.skip(2), verbose=0)
            assert int(model.optimizer.iterations) == 3 + 3 + 2
        else:
            weights = model.get_weights()
    again = compiled(TruncatedBPTT(network(), 4), keras.optimizers.Adam(0.01))
    fitted(again, epochs=2)
    for one, two in zip(again.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


# XLA compiles for seconds: one case of each kind of layer, the others with `make test-slow`.
@pytest.mark.parametrize(
    "kind, window",
    [
        (layers.LSTM, 4),
        (own.LSTM, 2),
        *(
            pytest.param(kind, window, marks=pytest.mark.slow)
            for kind, window in [
                (layers.LSTM, 2),
                (layers.LSTM, 6),
                (own.LSTM, 4),
                (own.LSTM, 6),
            ]
        ),
    ],
)
def test_compiled_by_xla_it_learns_the_same(kind, window):
    """Five chunks in a loop; two and a shorter one; one and a shorter one, in no loop."""
    found = []
    for jit_compile in (False, True):
        model = compiled(
            TruncatedBPTT(network(kind), window), keras.optimizers.SGD(0.1), jit_compile=jit_compile
        )
        found.append((fitted(model, epochs=2), model))
    assert found[0][0]["loss"] == pytest.approx(found[1][0]["loss"], rel=1e-5)
    assert_same_weights(found[0][1], found[1][1], atol=1e-5)


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


# Streams.


def text_model(streams, window=5, optimizer=None):
    keras.utils.set_random_seed(3)
    net = sequence_model("many_to_many", 6, num_ids=6, embedding_units=3, units=4, depth=2)
    model = TruncatedBPTT(net, window, streams=streams)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.02), loss, jit_compile=False)
    return model


TEXT = np.random.default_rng(2).integers(0, 6, 121).astype("int32")


def test_streams_go_on_from_batch_to_batch_and_begin_anew_each_epoch():
    """Six batches of one chunk are one batch of six chunks."""
    one, many = text_model(None), text_model(4)
    for epochs in (1, 2):
        logs = [
            model.fit(stream_batches(TEXT, 4, length), epochs=epochs, verbose=0).history
            for model, length in ((one, 30), (many, 5))
        ]
        assert_same_weights(one.network, many.network)
        assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=1e-5)
    other = text_model(None)
    other.fit(stream_batches(TEXT, 4, 5), verbose=0)
    again = text_model(4)
    again.fit(stream_batches(TEXT, 4, 5), verbose=0)
    assert any(
        np.abs(a - b).max() > 1e-5
        for a, b in zip(other.network.get_weights(), again.network.get_weights(), strict=True)
    )


def test_evaluation_of_streams_is_that_of_the_whole_text():
    whole, cut = text_model(None), text_model(4)
    expected = whole.evaluate(stream_batches(TEXT, 4, 30), verbose=0)
    for _ in range(2):
        assert cut.evaluate(stream_batches(TEXT, 4, 5), verbose=0) == pytest.approx(expected)


def test_validation_leaves_the_training_alone():
    with_it, without = text_model(4), text_model(4)
    data = stream_batches(TEXT, 4, 5)
    with_it.fit(data, epochs=2, validation_data=data, verbose=0)
    without.fit(data, epochs=2, verbose=0)
    assert_same_weights(with_it.network, without.network, atol=0)


def test_streams_refuse_other_batches_and_shuffling():
    model = text_model(4)
    with pytest.raises(ValueError, match=r"as there are streams: 4\. One has 2"):
        model.fit(stream_batches(TEXT, 2, 5), verbose=0)
    ids = TEXT[:120].reshape(24, 5)
    with pytest.raises(ValueError, match="fit needs shuffle=False"):
        model.fit(ids, ids, batch_size=4, verbose=0)
    assert fitted(model, ids, ids)["loss"]
    with pytest.raises(ValueError, match=r"as there are streams: 4\.$"):
        fitted(model, ids[:10], ids[:10])


# Speed, precision, saving, mistakes.


@pytest.mark.parametrize("streams", [None, BATCH])
def test_chunks_run_the_fast_recurrence_laid_out_in_the_graph(streams, monkeypatch):
    laid_out = []

    class Unrolled(_cpu_recurrence._Unrolled):
        def __init__(self, steps, z, states, mask):
            laid_out.append(z.shape[1])
            super().__init__(steps, z, states, mask)

    monkeypatch.setattr(_cpu_recurrence, "_Unrolled", Unrolled)
    monkeypatch.setattr(_cpu_recurrence, "_Chunked", None)
    model = compiled(TruncatedBPTT(network(), 4, streams=streams))
    fitted(model)
    # Two layers, in the loop's body and in the shorter chunk after it.
    assert sorted(laid_out) == [2, 2, 4, 4]


def test_bfloat16_learns_about_the_same():
    losses = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            model = compiled(TruncatedBPTT(network(), 4), keras.optimizers.Adam(0.01))
            losses.append(fitted(model, epochs=4)["loss"][-1])
        finally:
            keras.config.set_dtype_policy("float32")
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_weights_of_steps_are_cut_with_them():
    model = compiled(TruncatedBPTT(network(), 5))
    error = (np.array(model.network(X)) - Y)[:, :, 0] ** 2
    steps = RNG.uniform(size=(BATCH, TIME)).astype("float32")
    found = fitted(model, sample_weight=steps)["loss"]
    assert found == pytest.approx([np.mean(error * steps)], rel=1e-5)


def test_saved_trainer_is_the_same(tmp_path):
    model = text_model(4)
    data = stream_batches(TEXT, 4, 5)
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.window, again.streams) == (5, 4)
    for one in (model, again):
        one.fit(data, verbose=0)
    assert_same_weights(model, again)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: TruncatedBPTT(network(), 0), "window must be an integer of at least 1, not 0"),
        (lambda: TruncatedBPTT(network(), 2.0), "window must be an integer"),
        (lambda: TruncatedBPTT(network(), 2, streams=0), "streams must be an integer"),
        (lambda: TruncatedBPTT(keras.Sequential([own.LSTM(2)]), 2), "has no weights yet"),
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
            lambda: TruncatedBPTT(keras.Sequential([keras.Input((6, 2)), own.Dense(2)]), 2),
            r"must have inputs of shape \(batch, time, \.\.\.\).* not \(None, 6, 2\)",
        ),
    ],
)
def test_nonsense_is_refused_early(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_targets_without_a_step_each_are_refused():
    model = compiled(TruncatedBPTT(network(), 4))
    for data in ({"y": Y[:, 0, 0]}, {"sample_weight": np.ones(BATCH)}):
        with pytest.raises(ValueError, match="values for each step, not"):
            fitted(compiled(TruncatedBPTT(network(), 4)), **data)
    with pytest.raises(ValueError, match="must have the same length"):
        fitted(model, y=Y[:, :6])
