import keras
import numpy as np
import pytest
from contract import gradients
from keras import ops

from dlrecipes.models import sequence_model
from dlrecipes.models.recurrent import CELLS, recurrent_cell

RNG = np.random.default_rng(0)
F, IDS, E, U, OUT, STEPS = 3, 7, 5, 4, 2, 3
VECTORS = RNG.normal(size=(2, 5, F)).astype("float32")
PADDED = VECTORS[:1] * (np.arange(5) < 3)[:, None].astype("float32")

each_cell = pytest.mark.parametrize("cell", CELLS)


def array(x):
    return ops.convert_to_numpy(x)


def build(shape, **kwargs):
    """Returns a small network with random weights, including the biases."""
    inputs = {} if "num_ids" in kwargs else {"num_features": F}
    model = sequence_model(shape, OUT, embedding_units=E, units=U, **inputs, **kwargs)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def layer_parameters(cell, features, scores=None):
    inputs, recurrent = features * U, U * U
    scores = U if scores is None else scores
    return {
        "elman": inputs + recurrent + U,
        "jordan": inputs + scores * U + U + U * scores + scores,
        "lstm": 4 * (inputs + recurrent + U),
        "peephole_lstm": 4 * (inputs + recurrent + U) + 3 * U,
        "gru": 3 * (inputs + recurrent + 2 * U),
    }[cell]


def scores_parameters(cell, features=U):
    return 0 if cell == "jordan" else features * OUT + OUT


@pytest.mark.parametrize(
    "shape, kwargs, input_shape, expected",
    [
        ("one_to_one", {}, (2, F), (2, OUT)),
        ("one_to_one", {"num_ids": IDS}, (2,), (2, OUT)),
        ("one_to_many", {"steps": STEPS}, (2, F), (2, STEPS, OUT)),
        ("one_to_many", {"steps": 1, "feedback": True}, (2, F), (2, 1, OUT)),
        ("one_to_many", {"steps": STEPS, "feedback": True, "num_ids": IDS}, (2,), (2, STEPS, OUT)),
        ("many_to_one", {}, (2, 5, F), (2, OUT)),
        ("many_to_one", {"num_ids": IDS, "bidirectional": True}, (2, 5), (2, OUT)),
        ("many_to_many", {}, (2, 5, F), (2, 5, OUT)),
        ("many_to_many", {"num_ids": IDS}, (2, 5), (2, 5, OUT)),
        ("many_to_many", {"steps": STEPS, "bidirectional": True}, (2, 5, F), (2, STEPS, OUT)),
        ("many_to_many", {"steps": STEPS, "feedback": True}, (2, 5, F), (2, STEPS, OUT)),
    ],
)
def test_inputs_and_outputs_have_the_documented_shapes(shape, kwargs, input_shape, expected):
    model = build(shape, **kwargs)
    x = np.ones(input_shape, "int32" if "num_ids" in kwargs else "float32")
    assert tuple(model(x).shape) == expected
    unknown = shape == "many_to_many" and "steps" not in kwargs
    assert model.output.shape == ((None, None, OUT) if unknown else (None, *expected[1:]))
    assert {tensor.name for tensor in model.inputs} == {"ids" if x.dtype == "int32" else "features"}


@each_cell
@pytest.mark.parametrize("depth", [1, 2])
def test_parameter_counts_match_the_equations(cell, depth):
    def hidden(features, scores, last=True):
        sizes = [features] + [U] * (depth - 1)
        outputs = [None] * (depth - 1) + [scores]
        return sum(layer_parameters(cell, f, s) for f, s in zip(sizes, outputs, strict=True))

    for shape, steps in (("many_to_one", None), ("many_to_many", None), ("one_to_many", STEPS)):
        model = build(shape, cell=cell, depth=depth, steps=steps)
        assert model.count_params() == hidden(F, OUT) + scores_parameters(cell)
    model = build("many_to_many", cell=cell, depth=depth, steps=STEPS)
    assert model.count_params() == hidden(F, None) + hidden(U, OUT) + scores_parameters(cell)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "jordan"])
def test_feedback_reads_the_vector_and_the_scores(cell):
    model = build("one_to_many", cell=cell, depth=2, steps=STEPS, feedback=True)
    hidden = layer_parameters(cell, F + OUT) + layer_parameters(cell, U)
    assert model.count_params() == hidden + scores_parameters(cell)


def test_ids_add_an_embedding_and_bidirectional_a_second_layer():
    model = build("many_to_one", num_ids=IDS, bidirectional=True)
    expected = IDS * E + 2 * layer_parameters("lstm", E) + scores_parameters("lstm", 2 * U)
    assert model.count_params() == expected


def test_one_to_one_is_a_feed_forward_network():
    model = build("one_to_one", depth=2)
    w, b, w2, b2, v, c = model.get_weights()
    expected = np.tanh(np.tanh(VECTORS[:, 0] @ w + b) @ w2 + b2) @ v + c
    np.testing.assert_allclose(array(model(VECTORS[:, 0])), expected, atol=1e-5)


def elman_steps(inputs, w, u, b):
    h, outputs = np.zeros((len(inputs), U)), []
    for t in range(inputs.shape[1]):
        h = np.tanh(inputs[:, t] @ w + h @ u + b)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def test_one_to_many_reads_the_vector_at_every_step():
    model = build("one_to_many", cell="elman", steps=STEPS)
    w, u, b, v, c = model.get_weights()
    x = VECTORS[:, 0]
    expected = elman_steps(np.stack([x] * STEPS, axis=1), w, u, b) @ v + c
    np.testing.assert_allclose(array(model(x)), expected, atol=1e-5)


def test_feedback_reads_the_vector_once_and_then_the_outputs():
    model = build(
        "one_to_many", cell="elman", steps=STEPS, feedback=True, feedback_activation="tanh"
    )
    cell = model.get_layer("decoder").cell
    w, u, b = cell.cells[0].get_weights()
    v, c = array(cell.output_kernel), array(cell.output_bias)
    x, h, y = VECTORS[:, 0], np.zeros((2, U)), np.zeros((2, OUT))
    for t in range(STEPS):
        # The first rows of the kernel belong to the vector, the others to the fed-back output.
        vector = x if t == 0 else np.zeros_like(x)
        h = np.tanh(vector @ w[:F] + y @ w[F:] + h @ u + b)
        y = h @ v + c
        np.testing.assert_allclose(array(model(x))[:, t], y, atol=1e-5)
        y = np.tanh(y)


def test_encoder_passes_its_last_output_to_the_decoder():
    model = build("many_to_many", cell="elman", steps=STEPS)
    w, u, b, w2, u2, b2, v, c = model.get_weights()
    code = elman_steps(VECTORS, w, u, b)[:, -1]
    expected = elman_steps(np.stack([code] * STEPS, axis=1), w2, u2, b2) @ v + c
    np.testing.assert_allclose(array(model(VECTORS)), expected, atol=1e-5)


def test_many_to_one_returns_the_last_output_of_each_direction():
    model = build("many_to_one", cell="elman", bidirectional=True)
    w, u, b, w2, u2, b2, v, c = model.get_weights()
    last = [elman_steps(VECTORS, w, u, b)[:, -1], elman_steps(VECTORS[:, ::-1], w2, u2, b2)[:, -1]]
    expected = np.concatenate(last, axis=1) @ v + c
    np.testing.assert_allclose(array(model(VECTORS)), expected, atol=1e-5)


@each_cell
def test_unidirectional_outputs_do_not_depend_on_later_inputs(cell):
    model = build("many_to_many", cell=cell, depth=2)
    changed = VECTORS.copy()
    changed[:, 3] += 1
    moved = np.abs(array(model(changed)) - array(model(VECTORS))).max(axis=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"shape": "many_to_one", "cell": "gru", "bidirectional": True},
        {"shape": "many_to_many", "cell": "peephole_lstm", "bidirectional": True},
        {"shape": "many_to_many", "cell": "elman"},
        {"shape": "many_to_many", "steps": STEPS, "cell": "lstm"},
        {"shape": "many_to_many", "steps": STEPS, "cell": "elman", "feedback": True},
    ],
)
def test_padding_does_not_change_the_outputs(kwargs, ids):
    inputs = {"num_ids": IDS} if ids else {}
    model = build(**kwargs, depth=2, mask_zero=True, **inputs)
    x = np.array([[3, 1, 6, 0, 0]], "int32") if ids else PADDED
    padded, unpadded = array(model(x)), array(model(x[:, :3]))
    # With an output per step there are also outputs for the padding.
    np.testing.assert_allclose(padded[:, :3], unpadded, atol=1e-5)


def test_padding_does_not_change_a_jordan_networks_last_output():
    model = build("many_to_one", cell="jordan", mask_zero=True)
    np.testing.assert_allclose(array(model(PADDED)), array(model(PADDED[:, :3])), atol=1e-5)


def test_padding_is_excluded_from_the_loss():
    """Two sentences of 1 and 3 words have 4 words in 6 positions, each with an error of 1."""
    model = build("many_to_many", num_ids=IDS, mask_zero=True)
    model.set_weights([np.zeros(w.shape) for w in model.get_weights()])
    model.compile(loss=keras.losses.MeanSquaredError(reduction="sum"))
    ids = np.array([[4, 0, 0], [1, 2, 3]], "int32")
    assert model.evaluate(ids, np.ones((2, 3, OUT)), verbose=0) == pytest.approx(4.0)


def test_custom_cell_replaces_a_named_one():
    settings = {"depth": 2, "bidirectional": True}
    custom = build("many_to_many", cell=lambda n: keras.layers.GRUCell(n), **settings)
    named = build("many_to_many", cell="gru", **settings)
    np.testing.assert_allclose(array(custom(VECTORS)), array(named(VECTORS)), atol=1e-5)


def test_named_cells_match_their_faster_layers():
    for cell in CELLS:
        model = build("many_to_many", cell=cell)
        scores = OUT if cell == "jordan" else None
        again = build("many_to_many", cell=lambda n, c=cell, s=scores: recurrent_cell(c, n, s))
        hidden = [m.get_layer("hidden_1") for m in (model, again)]
        hidden[1].set_weights(hidden[0].get_weights())
        outputs, expected = (array(layer(VECTORS)) for layer in hidden)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_dropout_is_active_in_training_only_and_reproducible_by_seed():
    exact = array(build("many_to_many", steps=STEPS)(VECTORS))
    model = build("many_to_many", steps=STEPS, dropout=0.5, seed=1)
    np.testing.assert_array_equal(array(model(VECTORS)), exact)
    noisy = array(model(VECTORS, training=True))
    assert np.abs(noisy - exact).max() > 1e-3
    again = build("many_to_many", steps=STEPS, dropout=0.5, seed=1)
    np.testing.assert_array_equal(array(again(VECTORS, training=True)), noisy)


def test_gradients_reach_the_first_step_through_feedback():
    """Only the first step reads the vector, which the last output still depends on."""
    model = build("one_to_many", cell="lstm", steps=6, feedback=True)
    (gradient,) = gradients(lambda x: ops.sum(model(x)[:, -1]), VECTORS[:, 0])
    assert np.abs(gradient).min() > 1e-8


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"shape": "few_to_one"}, "shape 'few_to_one' is not one of one_to_one"),
        ({"cell": "transformer"}, "cell 'transformer' is not one of elman"),
        ({"num_features": None}, "give either num_features or num_ids, not num_features=None"),
        ({"num_ids": 4}, "num_ids, not num_features=3 and num_ids=4"),
        ({"num_features": 0}, "num_features must be an integer of at least 1, not 0"),
        ({"depth": 0}, "depth must be an integer of at least 1, not 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), not 1.0"),
        ({"dropout": None}, r"dropout must be a number in \[0, 1\), not None"),
        ({"units": True}, "units must be an integer of at least 1, not True"),
        ({"cell": keras.layers.LSTM}, "cell must be .* that returns a cell, not a layer"),
        ({"cell": keras.layers.Dense}, "cell must be .* that returns a cell, not a layer"),
        ({"cell": keras.layers.LSTMCell(4)}, "not a layer instance: pass its class"),
        ({"cell": lambda units: units}, "cell must be .* that returns a cell, not a int"),
        ({"shape": "one_to_many"}, "one_to_many needs steps"),
        ({"shape": "many_to_one", "steps": 3}, "many_to_one has one output: steps must be None"),
        ({"shape": "one_to_one", "mask_zero": True}, "one_to_one reads no sequence"),
        ({"shape": "one_to_many", "steps": 3, "bidirectional": True}, "reads no sequence"),
        ({"feedback": True}, "feedback needs steps"),
        ({"steps": 3, "feedback": True, "cell": "jordan"}, "leave out feedback"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        sequence_model(**{"shape": "many_to_many", "num_outputs": OUT, "num_features": F, **kwargs})
