import keras
import numpy as np
import pytest

from dlrecipes.models import tagger
from dlrecipes.models.tagger import CELLS, ENCODINGS

WORDS, NGRAMS, TAGS, INTENTS = 9, 7, 4, 3
EMBEDDING, HASHED, UNITS = 5, 6, 3
SIZES = {"one_of_n": WORDS, "hashing": HASHED, "embedding": EMBEDDING}
LENGTHS = (5, 2, 1, 4)
RNG = np.random.default_rng(0)
IDS = np.where(np.arange(5) < np.array(LENGTHS)[:, None], RNG.integers(1, WORDS, (4, 5)), 0)
GRAMS = np.where(IDS[..., None] != 0, RNG.integers(1, NGRAMS, (4, 5, 6)), 0)

each_cell = pytest.mark.parametrize("cell", CELLS)
each_encoding = pytest.mark.parametrize("encoding", [*[(one,) for one in ENCODINGS], ENCODINGS])


def build(**kwargs):
    """A small tagger whose every weight is random: biases and peepholes are no zeros."""
    sizes = {"word_units": EMBEDDING, "ngram_units": HASHED, "units": UNITS, "seed": 1}
    model = tagger(WORDS, TAGS, **{"num_ngrams": NGRAMS, **sizes, **kwargs})
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def names(model):
    return [tensor.name for tensor in model.inputs]


def scores(model, ids, grams=None):
    inputs = {"words": ids.astype("int32")}
    if len(model.inputs) > 1:
        inputs["ngrams"] = (GRAMS if grams is None else grams).astype("int32")
    return {name: np.array(value) for name, value in model(inputs).items()}


def hidden_parameters(cell, features, units, tags):
    """Parameters of one hidden layer that reads in one direction."""
    inputs, recurrent = features * units, units * units
    return {
        "feed_forward": inputs + units,
        "elman": inputs + recurrent + units,
        # The state is the tags' distribution, and the layer has its own output layer.
        "jordan": inputs + tags * units + units + units * tags + tags,
        "lstm": 4 * (inputs + recurrent + units),
        # Three gates see the cell through a diagonal matrix each.
        "peephole_lstm": 4 * (inputs + recurrent + units) + 3 * units,
        # Two biases a gate: Keras' default is the variant with the reset gate after the product.
        "gru": 3 * (inputs + recurrent + 2 * units),
    }[cell]


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("context", [0, 2])
def test_parameters_of_one_layer_are_as_many_as_the_equations_have(cell, bidirectional, context):
    model = tagger(
        WORDS, TAGS, word_units=EMBEDDING, cell=cell, units=UNITS, bidirectional=bidirectional,
        context=context,
    )  # fmt: skip
    directions = 2 if bidirectional and cell != "feed_forward" else 1
    features = (2 * context + 1) * EMBEDDING
    expected = WORDS * EMBEDDING + directions * hidden_parameters(cell, features, UNITS, TAGS)
    if cell != "jordan":
        expected += directions * UNITS * TAGS + TAGS
    assert model.count_params() == expected


def test_deeper_jordan_network_feeds_back_tags_in_its_last_layer_alone():
    model = tagger(
        WORDS, TAGS, num_intents=INTENTS, word_units=EMBEDDING, cell="jordan", units=UNITS, depth=2
    )
    # The first layer's outputs are as many as its hidden units, in each of two directions.
    first = 2 * hidden_parameters("jordan", EMBEDDING, UNITS, UNITS)
    last = 2 * hidden_parameters("jordan", 2 * UNITS, UNITS, TAGS)
    assert model.count_params() == WORDS * EMBEDDING + first + last + TAGS * INTENTS + INTENTS


def test_deeper_lstm_reads_both_directions_of_the_layer_below():
    model = tagger(WORDS, TAGS, word_units=EMBEDDING, units=UNITS, depth=3)
    layers = [hidden_parameters("lstm", n, UNITS, TAGS) for n in (EMBEDDING, 2 * UNITS, 2 * UNITS)]
    assert model.count_params() == WORDS * EMBEDDING + 2 * sum(layers) + 2 * UNITS * TAGS + TAGS


@each_encoding
def test_encodings_are_concatenated_in_their_order(encoding):
    model = build(encoding=encoding, cell="feed_forward", dropout=0.0)
    hidden = model.get_layer("hidden_1")
    assert hidden.kernel.shape[0] == sum(SIZES[one] for one in encoding)
    inside = keras.Model(model.inputs, hidden.input)
    x = np.array(inside([{"words": IDS, "ngrams": GRAMS}[name] for name in names(model)]))
    weights = {name: model.get_layer(name).get_weights() for name in encoding}
    parts = {
        "one_of_n": lambda: np.eye(WORDS)[IDS],
        "embedding": lambda: weights["embedding"][0][IDS],
        "hashing": lambda: weights["hashing"][0][GRAMS].sum(axis=2),
    }
    expected = np.concatenate([parts[one]() for one in encoding], axis=-1)
    np.testing.assert_allclose(x[IDS != 0], expected[IDS != 0], atol=1e-5)


def symbolic_shapes(model):
    outputs = model({tensor.name: tensor for tensor in model.inputs})
    return {name: tensor.shape for name, tensor in outputs.items()}


def test_inputs_and_outputs_have_names():
    plain = build()
    assert names(plain) == ["words"]
    assert symbolic_shapes(plain) == {"tags": (None, None, TAGS)}
    assert plain.name == "tagger"
    both = build(encoding=("hashing",), num_intents=INTENTS, name="mine")
    assert set(names(both)) == {"words", "ngrams"}
    assert symbolic_shapes(both) == {"tags": (None, None, TAGS), "intent": (None, INTENTS)}
    assert both.name == "mine"


def assert_padding_changes_nothing(model):
    whole = scores(model, IDS)
    for i, length in enumerate(LENGTHS):
        alone = scores(model, IDS[i : i + 1, :length], GRAMS[i : i + 1, :length])
        tags = whole["tags"][i, :length]
        np.testing.assert_allclose(tags, alone["tags"][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(whole["intent"][i], alone["intent"][0], rtol=1e-4, atol=1e-5)


@each_cell
@each_encoding
@pytest.mark.parametrize("context", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_padding_changes_nothing(cell, encoding, context):
    model = build(cell=cell, encoding=encoding, context=context, num_intents=INTENTS)
    assert_padding_changes_nothing(model)


@each_cell
@pytest.mark.parametrize("kwargs", [{"bidirectional": False}, {"depth": 2, "word_dropout": 0.5}])
def test_padding_changes_nothing_in_one_direction_or_two_layers(cell, kwargs):
    assert_padding_changes_nothing(build(cell=cell, num_intents=INTENTS, context=1, **kwargs))


@each_cell
def test_what_padding_holds_reaches_no_word(cell):
    """The network with other vectors for padding, which a lost mask would show."""
    model = build(cell=cell, encoding=("embedding", "one_of_n"), context=1, num_intents=INTENTS)
    before = scores(model, IDS)
    table = model.get_layer("embedding").embeddings
    changed = np.array(table)
    changed[0] += 100
    table.assign(changed)
    after = scores(model, IDS)
    np.testing.assert_array_equal(after["tags"][IDS != 0], before["tags"][IDS != 0])
    np.testing.assert_array_equal(after["intent"], before["intent"])


@each_cell
def test_sentence_without_a_word_gives_finite_numbers(cell):
    model = build(cell=cell, encoding=ENCODINGS, context=1, num_intents=INTENTS)
    for value in scores(model, np.zeros_like(IDS), np.zeros_like(GRAMS)).values():
        assert np.isfinite(value).all()


def test_intent_is_that_of_the_mean_over_the_words():
    model = build(cell="elman", num_intents=INTENTS)
    head = model.get_layer("intent_scores")
    states = np.array(keras.Model(model.inputs, model.get_layer("tag_scores").input)([IDS]))
    kernel, bias = head.get_weights()
    for i, length in enumerate(LENGTHS):
        expected = states[i, :length].mean(axis=0) @ kernel + bias
        np.testing.assert_allclose(scores(model, IDS)["intent"][i], expected, atol=1e-5)


def reach(time=5, **kwargs):
    """For each word of a sentence, the words whose change changes its scores."""
    model = build(dropout=0.0, **kwargs)
    ids = np.arange(1, time + 1)[None]
    base = scores(model, ids)["tags"][0]
    seen = [set() for _ in range(time)]
    for place in range(time):
        changed = ids.copy()
        changed[0, place] = 8
        moved = np.abs(scores(model, changed)["tags"][0] - base).max(axis=-1) > 1e-6
        for t in np.flatnonzero(moved):
            seen[t].add(place)
    return seen


def test_feed_forward_without_context_is_memoryless():
    assert reach(cell="feed_forward", context=0) == [{0}, {1}, {2}, {3}, {4}]


def test_feed_forward_sees_its_window_and_no_further():
    expected = [{0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4}]
    assert reach(cell="feed_forward", context=1) == expected


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "feed_forward"])
def test_one_direction_sees_the_past_and_two_see_all(cell):
    # Three words: what a Jordan network remembers of a word fades fast.
    assert reach(time=3, cell=cell, bidirectional=False) == [{0}, {0, 1}, {0, 1, 2}]
    assert reach(time=3, cell=cell, bidirectional=True) == [{0, 1, 2}] * 3


def test_context_adds_the_next_word_to_one_direction():
    expected = [{0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    assert reach(time=4, cell="lstm", bidirectional=False, context=1) == expected


def test_dropout_and_word_dropout_act_in_training_alone():
    exact = build(dropout=0.0)
    for kwargs in ({"dropout": 0.5}, {"dropout": 0.0, "word_dropout": 0.5}):
        model = build(**kwargs)
        tags = np.array(model({"words": IDS}, training=False)["tags"])
        np.testing.assert_array_equal(tags, scores(exact, IDS)["tags"])
        trained = np.array(model({"words": IDS}, training=True)["tags"])
        assert np.abs(trained - tags)[IDS != 0].max() > 1e-3


def test_same_seed_drops_the_same():
    once, again = (
        np.array(build(word_dropout=0.3, seed=seed)({"words": IDS}, training=True)["tags"])
        for seed in (5, 5)
    )
    other = np.array(build(word_dropout=0.3, seed=6)({"words": IDS}, training=True)["tags"])
    np.testing.assert_array_equal(once, again)
    assert np.abs(other - once).max() > 1e-3


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"cell": "transformer"}, "cell 'transformer' is not one of feed_forward, elman"),
        ({"encoding": ("bytes",)}, "encoding 'bytes' is not one of one_of_n, hashing, embedding"),
        ({"encoding": ()}, "encoding is empty"),
        ({"encoding": 3}, "encoding must be a name or a tuple of names, not 3"),
        ({"num_words": 0}, "num_words must be an integer of at least 1, not 0"),
        ({"num_tags": None}, "num_tags must be an integer of at least 1, not None"),
        ({"dropout": 1.5}, r"dropout must be a number in \[0, 1\), not 1.5"),
        ({"depth": 0}, "depth must be an integer of at least 1, not 0"),
        ({"encoding": ("hashing",), "num_ngrams": 0}, "needs num_ngrams of at least 2, not 0"),
    ],
)
def test_arguments_that_make_no_network_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        tagger(**{"num_words": WORDS, "num_tags": TAGS, **kwargs})


def test_one_encoding_may_be_given_by_its_name():
    one, several = (
        tagger(WORDS, TAGS, encoding=encoding) for encoding in ("one_of_n", ("one_of_n",))
    )
    assert [layer.name for layer in one.layers if "one_of" in layer.name] == ["one_of_n"]
    assert one.count_params() == several.count_params()
