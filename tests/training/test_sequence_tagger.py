import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.text import TextEncoder
from dlrecipes.metrics import is_well_formed
from dlrecipes.models import ensemble, tagger
from dlrecipes.training import SequenceTagger

TAGS = ("O", "B-from", "B-to", "I-to")
INTENTS = ("flight", "fare")
ENCODER = TextEncoder.fit([["from", "Rome", "to", "New", "York"], ["to", "Oslo"]])
LENGTHS = (4, 1, 3)
RNG = np.random.default_rng(0)
MASK = np.arange(4) < np.array(LENGTHS)[:, None]
WORDS = np.where(MASK, RNG.integers(1, ENCODER.num_words, (3, 4)), 0).astype("int32")
GOLD = np.where(MASK, RNG.integers(0, len(TAGS), (3, 4)), 0).astype("int32")
GOLD_INTENT = np.array([1, 0, 1], "int32")

each_output = pytest.mark.parametrize("output", ["softmax", "crf"])


def make(output="crf", intents=(), intent_weight=1.0, **kwargs):
    """A model whose every weight is random, the CRF's among them."""
    settings = {"word_units": 4, "units": 4, "cell": "elman", "seed": 1, **kwargs}
    network = tagger(
        ENCODER.num_words,
        len(TAGS),
        num_ngrams=ENCODER.num_ngrams,
        num_intents=len(intents),
        **settings,
    )
    model = SequenceTagger(network, ENCODER, TAGS, intents, output, intent_weight)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(0, 0.7, w.shape) for w in model.get_weights()])
    return model


def scores(model, words=WORDS):
    return {name: np.array(y, "float64") for name, y in model({"words": words}).items()}


def loss(model, words=WORDS, **gold):
    x = {"words": tf.constant(words)}
    y = {name: tf.constant(value) for name, value in {"tags": GOLD, **gold}.items()}
    return float(model.compute_loss(x, y, model(x)))


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def picked(x, ids):
    return np.take_along_axis(log_softmax(x), ids[..., None], axis=-1)[..., 0]


def test_softmax_loss_is_the_cross_entropy_summed_over_words_and_averaged_over_sentences():
    model = make("softmax")
    each = -picked(scores(model)["tags"], GOLD) * MASK
    assert loss(model) == pytest.approx(each.sum(axis=1).mean(), rel=1e-5)


def test_crf_loss_is_the_negative_log_likelihood_averaged_over_sentences():
    model = make("crf")
    whole = scores(model)["tags"]
    total = 0.0
    for i, length in enumerate(LENGTHS):
        x = whole[i, :length]
        paths = np.array(list(itertools.product(range(len(TAGS)), repeat=length)))
        values = np.array([path_score(model, x, path) for path in paths])
        total += np.log(np.exp(values).sum()) - path_score(model, x, GOLD[i, :length])
    assert loss(model) == pytest.approx(total / len(LENGTHS), rel=1e-5)


def path_score(model, x, path):
    transitions, start, end = (
        np.array(w, "float64") for w in (model.crf.transitions, model.crf.start, model.crf.end)
    )
    moves = sum(transitions[a, b] for a, b in itertools.pairwise(path))
    return start[path[0]] + x[np.arange(len(path)), path].sum() + moves + end[path[-1]]


@each_output
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_intent_cross_entropy_is_added_with_its_weight(output, weight):
    model = make(output, INTENTS, weight)
    cross_entropy = -picked(scores(model)["intent"], GOLD_INTENT).mean()
    without = loss(model)
    expected = without + weight * cross_entropy
    assert loss(model, intent=GOLD_INTENT) == pytest.approx(expected, rel=1e-5)


def wider(array, by=3, fill=0):
    return np.pad(array, ((0, 0), (0, by)), constant_values=fill)


@each_output
def test_more_padding_changes_neither_loss_nor_tags(output):
    model = make(output, INTENTS)
    # What stands for a tag where there is no word does not matter.
    padded = loss(model, wider(WORDS), tags=wider(GOLD, fill=2), intent=GOLD_INTENT)
    assert padded == pytest.approx(loss(model, intent=GOLD_INTENT), rel=1e-5)
    narrow = model.decode({"words": tf.constant(WORDS)})
    wide = model.decode({"words": tf.constant(wider(WORDS))})
    np.testing.assert_array_equal(wide["tags"], wider(narrow["tags"].numpy()))
    np.testing.assert_allclose(
        wide["probabilities"], wider(narrow["probabilities"].numpy()), atol=1e-5
    )
    np.testing.assert_allclose(wide["intent_probability"], narrow["intent_probability"], atol=1e-5)


def evaluated(model, tags, intent=None):
    model.compile(jit_compile=False)
    y = {"tags": tags} | ({} if intent is None else {"intent": intent})
    data = tf.data.Dataset.from_tensor_slices(({"words": WORDS}, y)).batch(2)
    return model.evaluate(data, verbose=0, return_dict=True)


@each_output
def test_evaluation_of_the_models_own_tags_is_perfect_and_its_loss_that_of_all_sentences(output):
    model = make(output, INTENTS)
    found = model.decode({"words": tf.constant(WORDS)})
    own, intent = found["tags"].numpy(), found["intent"].numpy()
    logs = evaluated(model, own, intent)
    assert set(logs) == {"loss", "span_f1", "intent_accuracy"}
    assert own.any()
    assert logs["span_f1"] == 1
    assert logs["intent_accuracy"] == 1
    # Batches of two sentences and of one: the mean counts sentences.
    assert float(logs["loss"]) == pytest.approx(loss(model, tags=own, intent=intent), rel=1e-5)


@each_output
def test_tag_that_training_never_showed_is_wrong_and_its_loss_finite(output):
    model = make(output)
    head = model.network.get_layer("tag_scores")
    head.bias.assign([0.0, 9.0, 0.0, 0.0])
    own = model.decode({"words": tf.constant(WORDS)})["tags"].numpy()
    # The second sentence is one word: as gold, a span that no prediction can match.
    assert own[1, 0] == TAGS.index("B-from")
    spans = sum(count_spans(own[i, :length]) for i, length in enumerate(LENGTHS))
    unseen = own.copy()
    unseen[1, 0] = len(TAGS)
    logs = evaluated(model, unseen)
    assert np.isfinite(logs["loss"])
    assert float(logs["span_f1"]) == pytest.approx((spans - 1) / spans)
    # Nothing is learnt from it: the loss is that of the other sentences.
    others = [0, 2]
    rest = loss(model, WORDS[others], tags=own[others])
    assert float(logs["loss"]) == pytest.approx(rest * 2 / 3, rel=1e-5)


def count_spans(ids):
    """A span begins at B-, or at I- behind another slot."""
    names = ["O", *(TAGS[k] for k in ids)]
    begins = [n[0] == "B" or (n[0] == "I" and p[2:] != n[2:]) for p, n in itertools.pairwise(names)]
    return sum(begins)


@each_output
def test_unseen_tag_gives_finite_gradients(output):
    model = make(output)
    x = {"words": tf.constant(WORDS)}
    y = {"tags": tf.constant(np.where(MASK, len(TAGS), 0).astype("int32"))}
    with tf.GradientTape() as tape:
        value = model.compute_loss(x, y, model(x))
    assert float(value) == 0
    for gradient in tape.gradient(value, [w.value for w in model.trainable_weights]):
        assert gradient is None or np.isfinite(np.array(tf.convert_to_tensor(gradient))).all()


def test_unseen_intent_adds_nothing_to_the_loss():
    model = make("softmax", INTENTS)
    each = -picked(scores(model)["intent"], GOLD_INTENT)
    unseen = np.array([len(INTENTS), *GOLD_INTENT[1:]], "int32")
    expected = loss(model) + each[1:].sum() / len(LENGTHS)
    assert loss(model, intent=unseen) == pytest.approx(expected, rel=1e-5)


def test_softmax_decodes_the_largest_score_and_its_probability():
    model = make("softmax", INTENTS)
    y = scores(model)
    found = model.decode({"words": tf.constant(WORDS)})
    assert found["tags"].dtype == found["intent"].dtype == tf.int32
    np.testing.assert_array_equal(found["tags"], np.where(MASK, y["tags"].argmax(axis=-1), 0))
    chances = np.exp(log_softmax(y["tags"])).max(axis=-1) * MASK
    np.testing.assert_allclose(found["probabilities"], chances, atol=1e-5)
    np.testing.assert_array_equal(found["intent"], y["intent"].argmax(axis=-1))
    chances = np.exp(log_softmax(y["intent"])).max(axis=-1)
    np.testing.assert_allclose(found["intent_probability"], chances, atol=1e-5)


def test_crf_decodes_the_best_path_and_the_marginal_of_each_of_its_tags():
    model = make("crf")
    whole = scores(model)["tags"]
    found = {k: v.numpy() for k, v in model.decode({"words": tf.constant(WORDS)}).items()}
    assert set(found) == {"tags", "probabilities"}
    for i, length in enumerate(LENGTHS):
        paths = np.array(list(itertools.product(range(len(TAGS)), repeat=length)))
        values = np.array([path_score(model, whole[i, :length], path) for path in paths])
        chance = np.exp(values - np.log(np.exp(values).sum()))
        best = paths[values.argmax()]
        np.testing.assert_array_equal(found["tags"][i, :length], best)
        marginals = [chance[paths[:, t] == tag].sum() for t, tag in enumerate(best)]
        np.testing.assert_allclose(found["probabilities"][i, :length], marginals, atol=1e-5)
    assert not found["tags"][~MASK].any()
    assert not found["probabilities"][~MASK].any()


def strings(tensor):
    return [[text.decode() for text in row] for row in tensor.numpy()]


@each_output
def test_raw_sentences_are_tagged_as_their_ids_are(output):
    model = make(output, INTENTS, encoding=("embedding", "hashing"))
    found = model.tag(tf.constant(["from Rome to Oslo!", "", "New York"]))
    tokens = [["from", "Rome", "to", "Oslo", "!"], [""] * 5, ["New", "York", "", "", ""]]
    assert strings(found["tokens"]) == tokens
    decoded = model.decode(ENCODER(tf.constant(tokens)))
    ids = decoded["tags"].numpy()
    named = [[TAGS[ids[i, t]] if word else "" for t, word in enumerate(row)]
             for i, row in enumerate(tokens)]  # fmt: skip
    assert strings(found["tags"]) == named
    np.testing.assert_allclose(found["probabilities"], decoded["probabilities"], atol=1e-6)
    said = [INTENTS[k] for k in decoded["intent"].numpy()]
    assert [t.decode() for t in found["intent"].numpy()] == [said[0], "", said[2]]
    chances = found["intent_probability"].numpy()
    assert chances[1] == 0
    assert chances[0] == pytest.approx(float(decoded["intent_probability"][0]), rel=1e-5)
    again = model.tag_tokens(tf.constant(tokens))
    assert strings(again["tags"]) == named


@each_output
@pytest.mark.parametrize("cell", ["feed_forward", "jordan"])
def test_batch_of_empty_sentences_has_no_tokens(output, cell):
    model = make(output, INTENTS, cell=cell, encoding=("embedding", "hashing"), context=1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def graph(sentences):
        return model.tag(sentences)

    for tag in (model.tag, graph):
        found = tag(tf.constant(["", "  "]))
        for name in ("tokens", "tags", "probabilities"):
            assert found[name].shape == (2, 0)
        assert found["intent"].numpy().tolist() == [b"", b""]
        assert found["intent_probability"].numpy().tolist() == [0, 0]


@each_output
def test_saved_model_tags_as_before_and_has_the_same_config(output, tmp_path):
    model = make(output, INTENTS, 0.5, encoding=("embedding", "hashing"))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is SequenceTagger
    # Through JSON, which knows no tuples.
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    assert again.tag_names == TAGS
    assert again.intent_names == INTENTS
    assert again.intent_weight == 0.5
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    sentences = tf.constant(["from Rome to New York", "Oslo", ""])
    before, after = model.tag(sentences), again.tag(sentences)
    assert set(before) == set(after)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


@each_output
def test_every_weight_receives_a_gradient(output):
    model = make(output, INTENTS, encoding=("embedding", "hashing"), context=1, dropout=0.0)
    encoded = ENCODER(tf.constant([["from", "Rome", "unseen"], ["to", "Oslo", ""]]))
    y = {"tags": tf.constant([[0, 1, 2], [0, 2, 0]]), "intent": tf.constant([0, 1])}
    with tf.GradientTape() as tape:
        value = model.compute_loss(encoded, y, model(encoded, training=True))
    weights = model.trainable_weights
    assert ("transitions" in {w.name for w in weights}) == (output == "crf")
    for weight, gradient in zip(
        weights, tape.gradient(value, [w.value for w in weights]), strict=True
    ):
        assert gradient is not None, weight.path
        assert np.any(np.array(tf.convert_to_tensor(gradient)) != 0), weight.path


CITIES = ("Rome", "Oslo", "York", "Bonn")


@each_output
def test_small_task_is_learnt_to_perfection(output):
    """A city's tag depends on the word before it, the intent on the sentence."""
    keras.utils.set_random_seed(0)
    sentences = [[a, x, b, y] for a, b in (("from", "to"), ("to", "from")) for x in CITIES
                 for y in CITIES]  # fmt: skip
    tags = {"from": 1, "to": 2}
    gold = [[0, tags[a], 0, tags[b]] for a, _, b, _ in sentences]
    intent = [int(a == "to") for a, *_ in sentences]
    encoder = TextEncoder.fit(sentences)
    network = tagger(
        encoder.num_words, len(TAGS), num_intents=2, word_units=8, units=8, cell="elman", seed=1
    )
    model = SequenceTagger(network, encoder, TAGS, INTENTS, output)
    model.compile(keras.optimizers.Adam(0.03, global_clipnorm=5.0), jit_compile=False)
    words = encoder(tf.constant(sentences))["words"]
    data = tf.data.Dataset.from_tensor_slices(
        ({"words": words}, {"tags": tf.constant(gold), "intent": tf.constant(intent)})
    ).batch(8)
    history = model.fit(data, epochs=25, verbose=0).history
    assert set(history) == {"loss", "gradient_norm"}
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    logs = model.evaluate(data, verbose=0, return_dict=True)
    assert logs["span_f1"] == 1
    assert logs["intent_accuracy"] == 1
    found = model.tag(tf.constant(["to Oslo from Rome"]))
    assert strings(found["tags"]) == [["O", "B-to", "O", "B-from"]]
    assert found["intent"].numpy().tolist() == [b"fare"]


def test_output_of_another_name_is_refused():
    with pytest.raises(ValueError, match="output must be one of"):
        make("hmm")


@each_output
def test_an_ensembles_loss_in_training_is_the_mean_of_its_members_losses(output):
    def member(number):
        return tagger(
            ENCODER.num_words,
            len(TAGS),
            num_intents=2,
            units=4,
            word_units=4,
            dropout=0.0,
            seed=number,
            name=f"member_{number}",
        )

    members = [member(1), member(2)]
    model = SequenceTagger(ensemble(members), ENCODER, TAGS, INTENTS, output)
    x = {"words": tf.constant(WORDS)}
    y = {"tags": tf.constant(GOLD), "intent": tf.constant(GOLD_INTENT)}
    each = []
    for network in members:
        alone = SequenceTagger(network, ENCODER, TAGS, INTENTS, output)
        each.append(float(alone.compute_loss(x, y, alone(x))))
    whole = float(model.compute_loss(x, y, model(x, training=True)))
    assert whole == pytest.approx(np.mean(each), rel=1e-5)


def test_well_formed_tags_are_all_that_is_decoded():
    rng = np.random.default_rng(5)
    network = tagger(ENCODER.num_words, len(TAGS), word_units=4, units=4)
    model = SequenceTagger(network, ENCODER, TAGS, output="crf", well_formed=True)
    free = SequenceTagger(network, ENCODER, TAGS, output="crf")
    seen = {True: 0, False: 0}
    for _ in range(20):
        network.set_weights([rng.normal(0, 2, w.shape) for w in network.get_weights()])
        for one in (model, free):
            rows = one.decode({"words": tf.constant(WORDS)})["tags"].numpy()
            named = [[TAGS[tag] for tag in row[:n]] for row, n in zip(rows, LENGTHS, strict=True)]
            seen[one is model] += sum(not is_well_formed(tags) for tags in named)
    assert seen[True] == 0
    assert seen[False] > 0
