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
    """A small network whose every weight is random: no bias is zero."""
    read = {} if "num_ids" in kwargs else {"num_features": F}
    model = sequence_model(shape, OUT, embedding_units=E, units=U, **read, **kwargs)
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
    "shape, kwargs, given, expected",
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
def test_shapes_are_those_of_the_course(shape, kwargs, given, expected):
    model = build(shape, **kwargs)
    x = np.ones(given, "int32" if "num_ids" in kwargs else "float32")
    assert tuple(model(x).shape) == expected
    unknown = shape == "many_to_many" and "steps" not in kwargs
    assert model.output.shape == ((None, None, OUT) if unknown else (None, *expected[1:]))
    assert {tensor.name for tensor in model.inputs} == {"ids" if x.dtype == "int32" else "features"}


@each_cell
@pytest.mark.parametrize("depth", [1, 2])
def test_parameters_are_as_many_as_the_equations_have(cell, depth):
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


def test_ids_add_an_embedding_and_another_direction_a_second_layer():
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


def test_one_to_many_gives_the_vector_at_every_step():
    model = build("one_to_many", cell="elman", steps=STEPS)
    w, u, b, v, c = model.get_weights()
    x = VECTORS[:, 0]
    expected = elman_steps(np.stack([x] * STEPS, axis=1), w, u, b) @ v + c
    np.testing.assert_allclose(array(model(x)), expected, atol=1e-5)


def test_feedback_gives_the_vector_once_and_then_the_outputs():
    model = build(
        "one_to_many", cell="elman", steps=STEPS, feedback=True, feedback_activation="tanh"
    )
    cell = model.get_layer("decoder").cell
    w, u, b = cell.cells[0].get_weights()
    v, c = array(cell.output_kernel), array(cell.output_bias)
    x, h, y = VECTORS[:, 0], np.zeros((2, U)), np.zeros((2, OUT))
    for t in range(STEPS):
        # The first rows of the weights belong to the vector, the others to what is fed back.
        given = x if t == 0 else np.zeros_like(x)
        h = np.tanh(given @ w[:F] + y @ w[F:] + h @ u + b)
        y = h @ v + c
        np.testing.assert_allclose(array(model(x))[:, t], y, atol=1e-5)
        y = np.tanh(y)


def test_encoder_hands_its_last_output_to_the_decoder():
    model = build("many_to_many", cell="elman", steps=STEPS)
    w, u, b, w2, u2, b2, v, c = model.get_weights()
    thought = elman_steps(VECTORS, w, u, b)[:, -1]
    expected = elman_steps(np.stack([thought] * STEPS, axis=1), w2, u2, b2) @ v + c
    np.testing.assert_allclose(array(model(VECTORS)), expected, atol=1e-5)


def test_many_to_one_gives_the_last_output_of_each_direction():
    model = build("many_to_one", cell="elman", bidirectional=True)
    w, u, b, w2, u2, b2, v, c = model.get_weights()
    last = [elman_steps(VECTORS, w, u, b)[:, -1], elman_steps(VECTORS[:, ::-1], w2, u2, b2)[:, -1]]
    expected = np.concatenate(last, axis=1) @ v + c
    np.testing.assert_allclose(array(model(VECTORS)), expected, atol=1e-5)


@each_cell
def test_outputs_of_one_direction_do_not_look_ahead(cell):
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
def test_padding_changes_nothing(kwargs, ids):
    read = {"num_ids": IDS} if ids else {}
    model = build(**kwargs, depth=2, mask_zero=True, **read)
    x = np.array([[3, 1, 6, 0, 0]], "int32") if ids else PADDED
    whole, alone = array(model(x)), array(model(x[:, :3]))
    # A synchronised network also has outputs where there is padding.
    np.testing.assert_allclose(whole[:, :3], alone, atol=1e-5)


def test_padding_changes_nothing_of_a_jordan_networks_last_output():
    model = build("many_to_one", cell="jordan", mask_zero=True)
    np.testing.assert_allclose(array(model(PADDED)), array(model(PADDED[:, :3])), atol=1e-5)


def test_padding_is_left_out_of_the_loss():
    """Two sentences of 1 and 3 words; an error of 1 in each score, of which 4 of 6 count."""
    model = build("many_to_many", num_ids=IDS, mask_zero=True)
    model.set_weights([np.zeros(w.shape) for w in model.get_weights()])
    model.compile(loss=keras.losses.MeanSquaredError(reduction="sum"))
    ids = np.array([[4, 0, 0], [1, 2, 3]], "int32")
    assert model.evaluate(ids, np.ones((2, 3, OUT)), verbose=0) == pytest.approx(4.0)


def test_own_cell_takes_the_place_of_a_named_one():
    own = build("many_to_many", cell=lambda n: keras.layers.GRUCell(n), depth=2, bidirectional=True)
    named = build("many_to_many", cell="gru", depth=2, bidirectional=True)
    np.testing.assert_allclose(array(own(VECTORS)), array(named(VECTORS)), atol=1e-5)


def test_named_cells_and_layers_are_the_same_network():
    for cell in CELLS:
        model = build("many_to_many", cell=cell)
        scores = OUT if cell == "jordan" else None
        again = build("many_to_many", cell=lambda n, c=cell, s=scores: recurrent_cell(c, n, s))
        hidden = [m.get_layer("hidden_1") for m in (model, again)]
        hidden[1].set_weights(hidden[0].get_weights())
        found, expected = (array(layer(VECTORS)) for layer in hidden)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_dropout_acts_in_training_alone_and_by_its_seed():
    exact = array(build("many_to_many", steps=STEPS)(VECTORS))
    model = build("many_to_many", steps=STEPS, dropout=0.5, seed=1)
    np.testing.assert_array_equal(array(model(VECTORS)), exact)
    trained = array(model(VECTORS, training=True))
    assert np.abs(trained - exact).max() > 1e-3
    again = build("many_to_many", steps=STEPS, dropout=0.5, seed=1)
    np.testing.assert_array_equal(array(again(VECTORS, training=True)), trained)


def test_errors_reach_the_first_step_through_feedback():
    """The last output's gradient in the vector, which only the first step has seen."""
    model = build("one_to_many", cell="lstm", steps=6, feedback=True)
    (found,) = gradients(lambda x: ops.sum(model(x)[:, -1]), VECTORS[:, 0])
    assert np.abs(found).min() > 1e-8


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
def test_arguments_that_make_no_network_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        sequence_model(**{"shape": "many_to_many", "num_outputs": OUT, "num_features": F, **kwargs})
