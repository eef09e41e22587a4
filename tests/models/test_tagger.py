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
each_encoding = pytest.mark.parametrize("encoding", [*[(name,) for name in ENCODINGS], ENCODINGS])


def build(**kwargs):
    """Returns a small tagger with random weights, including biases and peepholes."""
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
    """Returns the parameters of one hidden layer in one direction."""
    inputs, recurrent = features * units, units * units
    return {
        "feed_forward": inputs + units,
        "elman": inputs + recurrent + units,
        # The state is the distribution of tags, and the layer contains an output layer.
        "jordan": inputs + tags * units + units + units * tags + tags,
        "lstm": 4 * (inputs + recurrent + units),
        # Three gates read the cell state, each through a diagonal matrix.
        "peephole_lstm": 4 * (inputs + recurrent + units) + 3 * units,
        # Two biases per gate: Keras' default applies the reset gate after the product.
        "gru": 3 * (inputs + recurrent + 2 * units),
    }[cell]


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("context", [0, 2])
def test_parameter_counts_of_one_layer_match_the_equations(cell, bidirectional, context):
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


def test_deep_jordan_network_feeds_back_tags_only_in_its_last_layer():
    model = tagger(
        WORDS, TAGS, num_intents=INTENTS, word_units=EMBEDDING, cell="jordan", units=UNITS, depth=2
    )
    # The first layer has as many outputs as hidden units, in each of two directions.
    first = 2 * hidden_parameters("jordan", EMBEDDING, UNITS, UNITS)
    last = 2 * hidden_parameters("jordan", 2 * UNITS, UNITS, TAGS)
    assert model.count_params() == WORDS * EMBEDDING + first + last + TAGS * INTENTS + INTENTS


def test_deep_lstm_reads_both_directions_of_the_layer_below():
    model = tagger(WORDS, TAGS, word_units=EMBEDDING, units=UNITS, depth=3)
    layers = [hidden_parameters("lstm", n, UNITS, TAGS) for n in (EMBEDDING, 2 * UNITS, 2 * UNITS)]
    assert model.count_params() == WORDS * EMBEDDING + 2 * sum(layers) + 2 * UNITS * TAGS + TAGS


@each_encoding
def test_encodings_are_concatenated_in_their_order(encoding):
    model = build(encoding=encoding, cell="feed_forward", dropout=0.0)
    hidden = model.get_layer("hidden_1")
    assert hidden.kernel.shape[0] == sum(SIZES[name] for name in encoding)
    encoder = keras.Model(model.inputs, hidden.input)
    x = np.array(encoder([{"words": IDS, "ngrams": GRAMS}[name] for name in names(model)]))
    weights = {name: model.get_layer(name).get_weights() for name in encoding}
    parts = {
        "one_of_n": lambda: np.eye(WORDS)[IDS],
        "embedding": lambda: weights["embedding"][0][IDS],
        "hashing": lambda: weights["hashing"][0][GRAMS].sum(axis=2),
    }
    expected = np.concatenate([parts[name]() for name in encoding], axis=-1)
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


def assert_padding_does_not_change_the_outputs(model):
    padded = scores(model, IDS)
    for i, length in enumerate(LENGTHS):
        single = scores(model, IDS[i : i + 1, :length], GRAMS[i : i + 1, :length])
        tags = padded["tags"][i, :length]
        np.testing.assert_allclose(tags, single["tags"][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(padded["intent"][i], single["intent"][0], rtol=1e-4, atol=1e-5)


@each_cell
@each_encoding
@pytest.mark.parametrize("context", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_padding_does_not_change_the_outputs(cell, encoding, context):
    model = build(cell=cell, encoding=encoding, context=context, num_intents=INTENTS)
    assert_padding_does_not_change_the_outputs(model)


@each_cell
@pytest.mark.parametrize("kwargs", [{"bidirectional": False}, {"depth": 2, "word_dropout": 0.5}])
def test_padding_does_not_change_outputs_of_one_direction_or_two_layers(cell, kwargs):
    assert_padding_does_not_change_the_outputs(
        build(cell=cell, num_intents=INTENTS, context=1, **kwargs)
    )


@each_cell
def test_embedding_of_padding_does_not_affect_words(cell):
    """Another embedding of padding would change the outputs if the mask was lost."""
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
def test_sentence_without_words_has_finite_outputs(cell):
    model = build(cell=cell, encoding=ENCODINGS, context=1, num_intents=INTENTS)
    for value in scores(model, np.zeros_like(IDS), np.zeros_like(GRAMS)).values():
        assert np.isfinite(value).all()


def test_intent_is_computed_from_the_mean_over_the_words():
    model = build(cell="elman", num_intents=INTENTS)
    head = model.get_layer("intent_scores")
    states = np.array(keras.Model(model.inputs, model.get_layer("tag_scores").input)([IDS]))
    kernel, bias = head.get_weights()
    for i, length in enumerate(LENGTHS):
        expected = states[i, :length].mean(axis=0) @ kernel + bias
        np.testing.assert_allclose(scores(model, IDS)["intent"][i], expected, atol=1e-5)


def reach(time=5, **kwargs):
    """Returns, for each word of a sentence, the words that its scores depend on."""
    model = build(dropout=0.0, **kwargs)
    ids = np.arange(1, time + 1)[None]
    base = scores(model, ids)["tags"][0]
    seen = [set() for _ in range(time)]
    for position in range(time):
        changed = ids.copy()
        changed[0, position] = 8
        moved = np.abs(scores(model, changed)["tags"][0] - base).max(axis=-1) > 1e-6
        for t in np.flatnonzero(moved):
            seen[t].add(position)
    return seen


def test_feed_forward_without_context_is_memoryless():
    assert reach(cell="feed_forward", context=0) == [{0}, {1}, {2}, {3}, {4}]


def test_feed_forward_reads_only_its_window():
    expected = [{0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4}]
    assert reach(cell="feed_forward", context=1) == expected


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "feed_forward"])
def test_one_direction_reads_the_past_and_two_read_all_words(cell):
    # Three words, because a Jordan network forgets a word quickly.
    assert reach(time=3, cell=cell, bidirectional=False) == [{0}, {0, 1}, {0, 1, 2}]
    assert reach(time=3, cell=cell, bidirectional=True) == [{0, 1, 2}] * 3


def test_context_adds_the_next_word_to_one_direction():
    expected = [{0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    assert reach(time=4, cell="lstm", bidirectional=False, context=1) == expected


def test_dropout_and_word_dropout_are_active_in_training_only():
    exact = build(dropout=0.0)
    for kwargs in ({"dropout": 0.5}, {"dropout": 0.0, "word_dropout": 0.5}):
        model = build(**kwargs)
        tags = np.array(model({"words": IDS}, training=False)["tags"])
        np.testing.assert_array_equal(tags, scores(exact, IDS)["tags"])
        noisy = np.array(model({"words": IDS}, training=True)["tags"])
        assert np.abs(noisy - tags)[IDS != 0].max() > 1e-3


def test_same_seed_drops_the_same_units():
    first, again = (
        np.array(build(word_dropout=0.3, seed=seed)({"words": IDS}, training=True)["tags"])
        for seed in (5, 5)
    )
    other = np.array(build(word_dropout=0.3, seed=6)({"words": IDS}, training=True)["tags"])
    np.testing.assert_array_equal(first, again)
    assert np.abs(other - first).max() > 1e-3


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
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        tagger(**{"num_words": WORDS, "num_tags": TAGS, **kwargs})


def test_single_encoding_can_be_a_string():
    from_string, from_tuple = (
        tagger(WORDS, TAGS, encoding=encoding) for encoding in ("one_of_n", ("one_of_n",))
    )
    assert [layer.name for layer in from_string.layers if "one_of" in layer.name] == ["one_of_n"]
    assert from_string.count_params() == from_tuple.count_params()
