"""Layers that train fast on a CPU agree with Keras' plain recurrence up to rounding."""

import keras
import numpy as np
import pytest
from contract import gradients, on_tensorflow

from dlrecipes import layers

UNITS, FEATURES, BATCH = 3, 2, 4
KINDS = {
    "LSTM": (layers.LSTM, keras.layers.LSTM),
    "SimpleRNN": (layers.SimpleRNN, keras.layers.SimpleRNN),
    "PeepholeLSTM": (
        layers.PeepholeLSTM,
        lambda units, dtype=None, **kwargs: keras.layers.RNN(
            layers.PeepholeLSTMCell(units, dtype=dtype), dtype=dtype, **kwargs
        ),
    ),
}
# Unrolled in the graph (two lengths), and in chunks, the last of which is not full.
LENGTHS = (1, 5, 45)

each_kind = pytest.mark.parametrize("kind", KINDS)


def pair(kind, dtype="float64", **kwargs):
    """Our layer and Keras' layer, built with the same random weights."""
    ours, plain = (make(UNITS, dtype=dtype, **kwargs) for make in KINDS[kind])
    rng = np.random.default_rng(0)
    for layer in (ours, plain):
        layer.build((BATCH, None, FEATURES))
    weights = [rng.normal(size=w.shape, scale=0.5) for w in plain.get_weights()]
    for layer in (ours, plain):
        layer.set_weights(weights)
    return ours, plain


def sequences(time):
    return np.random.default_rng(time).normal(size=(BATCH, time, FEATURES))


def ragged_mask(time):
    """Masks steps at random; the first sequence has no real step, the second starts late."""
    mask = np.random.default_rng(1).random((BATCH, time)) < 0.6
    mask[0] = False
    mask[1, : time // 2] = False
    return mask


def outputs_and_gradients(layer, training, x, states=(), **kwargs):
    """Outputs, and gradients of a mix of them with respect to inputs, states and weights."""

    def outputs(x, *states):
        initial = {"initial_state": list(states)} if states else {}
        return keras.tree.flatten(layer(x, training=training, **initial, **kwargs))

    def mix(*tensors):
        # The sine gives each output a different gradient.
        return sum(
            keras.ops.sum(keras.ops.sin((1 + index) * y))
            for index, y in enumerate(outputs(*tensors))
        )

    computed = gradients(mix, x, *states, variables=layer.trainable_variables)
    return [keras.ops.convert_to_numpy(y) for y in outputs(x, *states)], computed


def assert_agrees_with_keras(kind, time, states=False, mask=False, **kwargs):
    x = sequences(time)
    rng = np.random.default_rng(2)
    count = 1 if kind == "SimpleRNN" else 2
    options = {"states": [rng.normal(size=(BATCH, UNITS)) for _ in range(count)]} if states else {}
    if mask:
        options["mask"] = keras.ops.convert_to_tensor(ragged_mask(time))
    ours, plain = pair(kind, **kwargs)
    actual = outputs_and_gradients(ours, True, x, **options)
    expected = outputs_and_gradients(plain, True, x, **options)
    for ours, theirs in zip(keras.tree.flatten(actual), keras.tree.flatten(expected), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


@on_tensorflow
@each_kind
@pytest.mark.parametrize("time", LENGTHS)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_outputs_and_gradients_agree_with_the_plain_recurrence(kind, time, mask, return_sequences):
    assert_agrees_with_keras(kind, time, mask=mask, return_sequences=return_sequences)


@on_tensorflow
@each_kind
@pytest.mark.parametrize("time", LENGTHS[1:])
@pytest.mark.parametrize("zeros", [False, True])
def test_initial_states_masks_and_reversal_agree_with_keras(kind, time, zeros):
    assert_agrees_with_keras(
        kind,
        time,
        states=True,
        mask=True,
        return_sequences=True,
        return_state=True,
        go_backwards=True,
        zero_output_for_mask=zeros,
    )


@on_tensorflow
@pytest.mark.parametrize("kind", ["LSTM", "SimpleRNN"])
def test_a_layer_without_bias_and_with_dropout_agrees_with_keras(kind):
    assert_agrees_with_keras(kind, 5, use_bias=False, dropout=0.5, seed=3, return_sequences=True)


@on_tensorflow
@each_kind
def test_fast_recurrence_is_used_only_in_training(kind, monkeypatch):
    from dlrecipes.layers import _cpu_recurrence

    used = []
    run = _cpu_recurrence.run
    monkeypatch.setattr(
        _cpu_recurrence, "run", lambda *args, **kwargs: used.append(1) or run(*args, **kwargs)
    )
    ours, _ = pair(kind)
    for training, expected in ((True, 1), (False, 1), (None, 1), (True, 2)):
        ours(sequences(5), training=training)
        assert len(used) == expected


@on_tensorflow
@pytest.mark.parametrize(
    "kwargs", [{"recurrent_dropout": 0.5}, {"unroll": True}, {"activation": "relu"}]
)
def test_unsupported_options_use_keras_recurrence(kwargs, monkeypatch):
    from dlrecipes.layers import _cpu_recurrence

    monkeypatch.setattr(_cpu_recurrence, "run", None)
    ours, _ = pair("LSTM", **kwargs)
    assert tuple(ours(sequences(5), training=True).shape) == (BATCH, UNITS)


@each_kind
def test_integer_inputs_and_a_mask_with_a_last_axis_agree_with_keras(kind):
    ours, plain = pair(kind, dtype="float32")
    x = np.arange(BATCH * 5 * FEATURES).reshape(BATCH, 5, FEATURES) % 3
    mask = keras.ops.convert_to_tensor(np.ones((BATCH, 5, 1), bool))
    for options in ({}, {"mask": mask}):
        y = keras.ops.convert_to_numpy(ours(x.astype("int32"), training=True, **options))
        expected = keras.ops.convert_to_numpy(plain(x.astype("float32")))
        np.testing.assert_allclose(y, expected, atol=1e-6)


def test_a_custom_cell_is_used_in_training_as_well():
    class Twice(keras.layers.LSTMCell):
        def call(self, inputs, states, training=False):
            h, states = super().call(inputs, states, training=training)
            return 2 * h, states

    layer = layers.LSTM(UNITS)
    layer.cell = Twice(UNITS)
    x = sequences(5).astype("float32")
    inference = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(layer(x, training=True), inference, atol=1e-6)


@on_tensorflow
@each_kind
def test_one_graph_supports_any_batch_and_time(kind):
    import tensorflow as tf

    ours, plain = pair(kind, return_sequences=True)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, None, FEATURES), tf.float64)])
    def gradient(x):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.sin(ours(x, training=True)))
        return tape.gradient(y, x)

    for time in (1, 16, 17, 40):
        x = sequences(time)
        expected = outputs_and_gradients(plain, True, x)[1][0]
        np.testing.assert_allclose(gradient(tf.constant(x)), expected, rtol=1e-8, atol=1e-10)
    assert len(traces) == 1


@on_tensorflow
@each_kind
@pytest.mark.parametrize("backwards", [False, True])
def test_one_graph_supports_masks_of_any_batch_and_time(kind, backwards):
    import tensorflow as tf

    ours, plain = pair(kind, return_sequences=True, return_state=True, go_backwards=backwards)
    spec = tf.TensorSpec((None, None, FEATURES), tf.float64), tf.TensorSpec((None, None), tf.bool)

    def gradients_of(layer):
        def compute(x, mask):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x, mask=mask, training=True)
                total = tf.add_n([tf.reduce_sum(tf.sin(y)) for y in outputs])
            variables = [variable.value for variable in layer.trainable_variables]
            return outputs, tape.gradient(total, [x, *variables])

        return compute

    traced = tf.function(gradients_of(ours), input_signature=spec)
    for time in (1, 4, 5, 20):
        rng = np.random.default_rng(time)
        # At the beginning, at the end, at random, everywhere, and nowhere.
        count = np.array([[time // 2]])
        steps = np.arange(time)[None]
        masks = [steps < count, steps >= count, rng.random((3, time)) < 0.5]
        mask = np.concatenate([*masks, np.ones((1, time), bool), np.zeros((1, time), bool)])
        x = rng.normal(size=(*mask.shape, FEATURES))
        actual = traced(tf.constant(x), tf.constant(mask))
        expected = gradients_of(plain)(tf.constant(x), tf.constant(mask))
        for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@on_tensorflow
def test_masks_stay_outside_of_the_loops():
    import tensorflow as tf

    layer = pair("LSTM", dtype="float32", return_sequences=True)[0]

    @tf.function
    def gradient(x, mask):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=mask, training=True)
        return tape.gradient(y, x)

    traced = gradient.get_concrete_function(
        tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), tf.bool)
    )
    bodies = [
        {node.op for node in function.node_def}
        for function in traced.graph.as_graph_def().library.function
    ]
    loops = [kinds for kinds in bodies if "MatMul" in kinds]
    # Forward and backward.
    assert len(loops) == 2
    assert not any(kinds & {"SelectV2", "Select"} for kinds in loops)


@on_tensorflow
@each_kind
def test_bfloat16_outputs_are_no_less_exact_than_the_plain_recurrence(kind):
    x = sequences(40)
    exact = outputs_and_gradients(pair(kind)[1], True, x)[0][0]
    errors = []
    for layer in pair(kind, dtype="mixed_bfloat16"):
        y = keras.ops.cast(layer(x, training=True), "float64")
        errors.append(np.abs(keras.ops.convert_to_numpy(y) - exact).mean())
    assert errors[0] < 0.02
    assert errors[0] <= 1.1 * errors[1]


@each_kind
def test_bidirectional_wrapper_agrees_with_keras(kind):
    ours, plain = (
        keras.layers.Bidirectional(make(UNITS, return_sequences=True)) for make in KINDS[kind]
    )
    x = sequences(5).astype("float32")
    ours(x), plain(x)
    plain.set_weights(ours.get_weights())
    mask = keras.ops.convert_to_tensor(np.arange(5) < np.array([[5], [3], [1], [4]]))
    for steps in (None, mask):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(ours(x, mask=steps, training=True)),
            keras.ops.convert_to_numpy(plain(x, mask=steps)),
            atol=1e-6,
        )


@each_kind
def test_a_stateful_layer_continues_from_its_last_state(kind):
    whole, _ = pair(kind, dtype="float32", return_sequences=True)
    parts = KINDS[kind][0](UNITS, return_sequences=True, stateful=True)
    parts.build((BATCH, 3, FEATURES))
    parts.set_weights(whole.get_weights())
    x = sequences(6).astype("float32")
    outputs = [
        keras.ops.convert_to_numpy(parts(piece, training=True)) for piece in (x[:, :3], x[:, 3:])
    ]
    expected = keras.ops.convert_to_numpy(whole(x))
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "LSTM" else pytest.mark.slow) for kind in KINDS]
)
def test_fit_learns_as_with_keras_own_layer(kind):
    x = np.random.default_rng(0).normal(size=(64, 6, FEATURES)).astype("float32")
    y = np.cumsum(x[:, :, :1], axis=1) > 0
    losses = []
    for layer in pair(kind, dtype="float32", return_sequences=True):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((None, FEATURES)), layer, keras.layers.Dense(1)])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.05), loss)
        losses.append(model.fit(x, y, epochs=8, verbose=0).history["loss"])
    assert losses[0][-1] < 0.9 * losses[0][0]
    np.testing.assert_allclose(*losses, rtol=0.01)


@on_tensorflow
@each_kind
def test_xla_compiles_it(kind):
    import tensorflow as tf

    ours, plain = pair(kind, dtype="float32")
    x = sequences(5).astype("float32")
    y = tf.function(lambda x: ours(x, training=True), jit_compile=True)(x)
    np.testing.assert_allclose(y, plain(x), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units", [0, -1])
def test_invalid_units_raise(kind, units):
    with pytest.raises(ValueError, match="units"):
        KINDS[kind][0](units)
