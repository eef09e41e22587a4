"""Tags and intents of a sequence tagger: decoding, raw sentences and thresholds."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from tagger_case import (
    ENCODER,
    INTENTS,
    LENGTHS,
    MASK,
    TAGS,
    WORDS,
    each_output,
    log_softmax,
    new_tagger,
    path_score,
    scores,
)

from dlrecipes.data.text import TextEncoder
from dlrecipes.metrics import is_well_formed
from dlrecipes.models import tagger
from dlrecipes.training import SequenceTagger


def test_softmax_decoding_takes_the_largest_score():
    model = new_tagger("softmax", INTENTS)
    y = scores(model)
    outputs = model.decode({"words": tf.constant(WORDS)})
    assert outputs["tags"].dtype == outputs["intent"].dtype == tf.int32
    np.testing.assert_array_equal(outputs["tags"], np.where(MASK, y["tags"].argmax(axis=-1), 0))
    probabilities = np.exp(log_softmax(y["tags"])).max(axis=-1) * MASK
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_array_equal(outputs["intent"], y["intent"].argmax(axis=-1))
    probabilities = np.exp(log_softmax(y["intent"])).max(axis=-1)
    np.testing.assert_allclose(outputs["intent_probability"], probabilities, atol=1e-5)


def test_crf_decoding_takes_the_best_path_and_its_marginals():
    model = new_tagger("crf")
    whole = scores(model)["tags"]
    outputs = {k: v.numpy() for k, v in model.decode({"words": tf.constant(WORDS)}).items()}
    assert set(outputs) == {"tags", "probabilities"}
    for i, length in enumerate(LENGTHS):
        paths = np.array(list(itertools.product(range(len(TAGS)), repeat=length)))
        values = np.array([path_score(model, whole[i, :length], path) for path in paths])
        path_probabilities = np.exp(values - np.log(np.exp(values).sum()))
        best = paths[values.argmax()]
        np.testing.assert_array_equal(outputs["tags"][i, :length], best)
        marginals = [path_probabilities[paths[:, t] == tag].sum() for t, tag in enumerate(best)]
        np.testing.assert_allclose(outputs["probabilities"][i, :length], marginals, atol=1e-5)
    assert not outputs["tags"][~MASK].any()
    assert not outputs["probabilities"][~MASK].any()


def strings(tensor):
    return [[text.decode() for text in row] for row in tensor.numpy()]


@each_output
def test_raw_sentences_are_tagged_as_their_tokens_are(output):
    model = new_tagger(output, INTENTS, encoding=("embedding", "hashing"))
    outputs = model.tag(tf.constant(["from Rome to Oslo!", "", "New York"]))
    tokens = [["from", "Rome", "to", "Oslo", "!"], [""] * 5, ["New", "York", "", "", ""]]
    assert strings(outputs["tokens"]) == tokens
    decoded = model.decode(ENCODER(tf.constant(tokens)))
    ids = decoded["tags"].numpy()
    named = [[TAGS[ids[i, t]] if word else "" for t, word in enumerate(row)]
             for i, row in enumerate(tokens)]  # fmt: skip
    assert strings(outputs["tags"]) == named
    np.testing.assert_allclose(outputs["probabilities"], decoded["probabilities"], atol=1e-6)
    intents = [INTENTS[k] for k in decoded["intent"].numpy()]
    assert [t.decode() for t in outputs["intent"].numpy()] == [intents[0], "", intents[2]]
    probabilities = outputs["intent_probability"].numpy()
    assert probabilities[1] == 0
    assert probabilities[0] == pytest.approx(float(decoded["intent_probability"][0]), rel=1e-5)
    again = model.tag_tokens(tf.constant(tokens))
    assert strings(again["tags"]) == named


@each_output
@pytest.mark.parametrize("cell", ["feed_forward", "jordan"])
def test_a_batch_of_empty_sentences_has_no_tokens(output, cell):
    model = new_tagger(output, INTENTS, cell=cell, encoding=("embedding", "hashing"), context=1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def graph(sentences):
        return model.tag(sentences)

    for tag in (model.tag, graph):
        outputs = tag(tf.constant(["", "  "]))
        for name in ("tokens", "tags", "probabilities"):
            assert outputs[name].shape == (2, 0)
        assert outputs["intent"].numpy().tolist() == [b"", b""]
        assert outputs["intent_probability"].numpy().tolist() == [0, 0]


CITIES = ("Rome", "Oslo", "York", "Bonn")


@each_output
def test_a_small_task_is_learned_perfectly(output):
    """A city's tag depends on the previous word, and the intent on the sentence."""
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
    outputs = model.tag(tf.constant(["to Oslo from Rome"]))
    assert strings(outputs["tags"]) == [["O", "B-to", "O", "B-from"]]
    assert outputs["intent"].numpy().tolist() == [b"fare"]


def test_an_intent_below_the_threshold_is_none():
    intents = ("fare", "none", "flight")
    model = new_tagger(intents=intents)
    x = {"words": tf.constant(WORDS)}
    probabilities = np.exp(log_softmax(scores(model)["intent"]))
    best = probabilities.max(axis=1)
    assert len(set(best)) == 3
    # Between the least and the second sentence, of which the first one alone is rejected.
    model.intent_threshold = float(np.sort(best)[:2].mean())
    expected = np.where(best > best.min(), probabilities.argmax(axis=1), 1)
    decoded = model.decode(x)
    assert decoded["intent"].numpy().tolist() == expected.tolist()
    np.testing.assert_allclose(
        decoded["intent_probability"], probabilities[np.arange(3), expected], rtol=1e-5
    )
    again = SequenceTagger.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert again.decode(x)["intent"].numpy().tolist() == expected.tolist()


@pytest.mark.parametrize("argument", [{"intent_threshold": 0.5}, {"none_has_slots": False}])
def test_an_intent_none_that_is_needed_must_be_known(argument):
    network = new_tagger(intents=INTENTS).network
    with pytest.raises(ValueError, match="needs 'none' among the intent_names"):
        SequenceTagger(network, ENCODER, TAGS, INTENTS, **argument)


def test_sentences_without_slots_need_the_tag_o():
    network = new_tagger(intents=("none", "fare")).network
    tags = [f"B-{number}" for number in range(len(TAGS))]
    with pytest.raises(ValueError, match="needs 'O' among the tag_names"):
        SequenceTagger(network, ENCODER, tags, ("none", "fare"), none_has_slots=False)


@each_output
def test_a_sentence_of_no_intent_has_no_slots_if_those_of_training_had_none(output):
    model = new_tagger(output, ("none", "fare"))
    kernel, bias = model.network.get_layer("intent_scores").get_weights()
    x = {"words": tf.constant(WORDS)}
    # With this bias the intent of half of the sentences is none.
    gaps = np.sort(np.diff(scores(model)["intent"], axis=1)[:, 0])
    model.network.get_layer("intent_scores").set_weights([kernel, bias - [0, gaps[1]]])
    free, is_none = model.decode(x), scores(model)["intent"].argmax(axis=1) == 0
    assert 0 < is_none.sum() < len(is_none)
    assert free["tags"].numpy()[is_none].any()
    strict = SequenceTagger.from_config({**model.get_config(), "none_has_slots": False})
    strict.set_weights(model.get_weights())
    decoded = strict.decode(x)
    expected = np.where(is_none[:, None], TAGS.index("O"), free["tags"])
    np.testing.assert_array_equal(decoded["tags"], expected)
    changed = expected != free["tags"]
    # Each probability belongs to the returned tag.
    assert np.all(
        decoded["probabilities"].numpy()[changed] < free["probabilities"].numpy()[changed]
    )
    assert SequenceTagger.from_config(strict.get_config()).none_has_slots is False


def test_well_formed_decoding_never_returns_malformed_tags():
    rng = np.random.default_rng(5)
    network = tagger(ENCODER.num_words, len(TAGS), word_units=4, units=4)
    model = SequenceTagger(network, ENCODER, TAGS, output="crf", well_formed=True)
    unconstrained = SequenceTagger(network, ENCODER, TAGS, output="crf")
    malformed = {"constrained": 0, "unconstrained": 0}
    for _ in range(20):
        network.set_weights([rng.normal(0, 2, w.shape) for w in network.get_weights()])
        for name, tagger_model in (("constrained", model), ("unconstrained", unconstrained)):
            rows = tagger_model.decode({"words": tf.constant(WORDS)})["tags"].numpy()
            tags = [[TAGS[tag] for tag in row[:n]] for row, n in zip(rows, LENGTHS, strict=True)]
            malformed[name] += sum(not is_well_formed(sentence) for sentence in tags)
    assert malformed["constrained"] == 0
    assert malformed["unconstrained"] > 0
