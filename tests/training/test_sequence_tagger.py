"""A tagger's losses and decoding equal their definitions, for softmax and CRF outputs."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tagger_case import (
    ENCODER,
    INTENTS,
    LENGTHS,
    MASK,
    RNG,
    TAGS,
    WORDS,
    each_output,
    log_softmax,
    new_tagger,
    path_score,
    scores,
)

from dlrecipes.models import ensemble, tagger
from dlrecipes.training import SequenceTagger

GOLD = np.where(MASK, RNG.integers(0, len(TAGS), (3, 4)), 0).astype("int32")
GOLD_INTENT = np.array([1, 0, 1], "int32")


def loss(model, words=WORDS, **gold):
    x = {"words": tf.constant(words)}
    y = {name: tf.constant(value) for name, value in {"tags": GOLD, **gold}.items()}
    return float(model.compute_loss(x, y, model(x)))


def log_probability(x, ids):
    return np.take_along_axis(log_softmax(x), ids[..., None], axis=-1)[..., 0]


def test_the_softmax_loss_is_summed_over_words_and_averaged_over_sentences():
    model = new_tagger("softmax")
    losses = -log_probability(scores(model)["tags"], GOLD) * MASK
    assert loss(model) == pytest.approx(losses.sum(axis=1).mean(), rel=1e-5)


def test_the_crf_loss_is_the_mean_negative_log_likelihood_of_sentences():
    model = new_tagger("crf")
    whole = scores(model)["tags"]
    total = 0.0
    for i, length in enumerate(LENGTHS):
        x = whole[i, :length]
        paths = np.array(list(itertools.product(range(len(TAGS)), repeat=length)))
        values = np.array([path_score(model, x, path) for path in paths])
        total += np.log(np.exp(values).sum()) - path_score(model, x, GOLD[i, :length])
    assert loss(model) == pytest.approx(total / len(LENGTHS), rel=1e-5)


@each_output
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_intent_loss_is_added_with_its_weight(output, weight):
    model = new_tagger(output, INTENTS, weight)
    cross_entropy = -log_probability(scores(model)["intent"], GOLD_INTENT).mean()
    without = loss(model)
    expected = without + weight * cross_entropy
    assert loss(model, intent=GOLD_INTENT) == pytest.approx(expected, rel=1e-5)


def padded_to(array, by=3, fill=0):
    return np.pad(array, ((0, 0), (0, by)), constant_values=fill)


@each_output
def test_padding_changes_neither_loss_nor_tags(output):
    model = new_tagger(output, INTENTS)
    # The tag of a padded position is ignored.
    padded = loss(model, padded_to(WORDS), tags=padded_to(GOLD, fill=2), intent=GOLD_INTENT)
    assert padded == pytest.approx(loss(model, intent=GOLD_INTENT), rel=1e-5)
    narrow = model.decode({"words": tf.constant(WORDS)})
    wide = model.decode({"words": tf.constant(padded_to(WORDS))})
    np.testing.assert_array_equal(wide["tags"], padded_to(narrow["tags"].numpy()))
    np.testing.assert_allclose(
        wide["probabilities"], padded_to(narrow["probabilities"].numpy()), atol=1e-5
    )
    np.testing.assert_allclose(wide["intent_probability"], narrow["intent_probability"], atol=1e-5)


def evaluated(model, tags, intent=None):
    model.compile(jit_compile=False)
    y = {"tags": tags} | ({} if intent is None else {"intent": intent})
    data = tf.data.Dataset.from_tensor_slices(({"words": WORDS}, y)).batch(2)
    return model.evaluate(data, verbose=0, return_dict=True)


@each_output
def test_evaluation_of_the_models_own_tags_is_perfect(output):
    model = new_tagger(output, INTENTS)
    decoded = model.decode({"words": tf.constant(WORDS)})
    own, intent = decoded["tags"].numpy(), decoded["intent"].numpy()
    logs = evaluated(model, own, intent)
    assert set(logs) == {"loss", "span_f1", "intent_accuracy"}
    assert own.any()
    assert logs["span_f1"] == 1
    assert logs["intent_accuracy"] == 1
    # With batches of two sentences and one, the mean is over sentences.
    assert float(logs["loss"]) == pytest.approx(loss(model, tags=own, intent=intent), rel=1e-5)


@each_output
def test_a_tag_missing_in_training_counts_as_wrong_with_a_finite_loss(output):
    model = new_tagger(output)
    head = model.network.get_layer("tag_scores")
    head.bias.assign([0.0, 9.0, 0.0, 0.0])
    own = model.decode({"words": tf.constant(WORDS)})["tags"].numpy()
    # The second sentence has one word, whose gold span no prediction can match.
    assert own[1, 0] == TAGS.index("B-from")
    spans = sum(count_spans(own[i, :length]) for i, length in enumerate(LENGTHS))
    unseen = own.copy()
    unseen[1, 0] = len(TAGS)
    logs = evaluated(model, unseen)
    assert np.isfinite(logs["loss"])
    assert float(logs["span_f1"]) == pytest.approx((spans - 1) / spans)
    # It adds nothing to the loss, which comes from the other sentences alone.
    others = [0, 2]
    rest = loss(model, WORDS[others], tags=own[others])
    assert float(logs["loss"]) == pytest.approx(rest * 2 / 3, rel=1e-5)


def count_spans(ids):
    """Counts spans, which begin at B-, or at I- after another slot."""
    names = ["O", *(TAGS[k] for k in ids)]
    begins = [n[0] == "B" or (n[0] == "I" and p[2:] != n[2:]) for p, n in itertools.pairwise(names)]
    return sum(begins)


@each_output
def test_an_unseen_tag_gives_finite_gradients(output):
    model = new_tagger(output)
    x = {"words": tf.constant(WORDS)}
    y = {"tags": tf.constant(np.where(MASK, len(TAGS), 0).astype("int32"))}
    with tf.GradientTape() as tape:
        value = model.compute_loss(x, y, model(x))
    assert float(value) == 0
    for gradient in tape.gradient(value, [w.value for w in model.trainable_weights]):
        assert gradient is None or np.isfinite(np.array(tf.convert_to_tensor(gradient))).all()


def test_an_unseen_intent_adds_nothing_to_the_loss():
    model = new_tagger("softmax", INTENTS)
    losses = -log_probability(scores(model)["intent"], GOLD_INTENT)
    unseen = np.array([len(INTENTS), *GOLD_INTENT[1:]], "int32")
    expected = loss(model) + losses[1:].sum() / len(LENGTHS)
    assert loss(model, intent=unseen) == pytest.approx(expected, rel=1e-5)


@each_output
def test_a_loaded_model_has_the_same_tags_and_config(output, tmp_path):
    model = new_tagger(output, INTENTS, 0.5, encoding=("embedding", "hashing"))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is SequenceTagger
    # Compared as JSON, which has no tuples.
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
    model = new_tagger(output, INTENTS, encoding=("embedding", "hashing"), context=1, dropout=0.0)
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


def test_an_unknown_output_is_rejected():
    with pytest.raises(ValueError, match="output must be one of"):
        new_tagger("hmm")


@each_output
def test_the_training_loss_of_an_ensemble_is_the_mean_over_its_members(output):
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
    losses = []
    for network in members:
        single = SequenceTagger(network, ENCODER, TAGS, INTENTS, output)
        losses.append(float(single.compute_loss(x, y, single(x))))
    together = float(model.compute_loss(x, y, model(x, training=True)))
    assert together == pytest.approx(np.mean(losses), rel=1e-5)


@each_output
def test_sample_weights_multiply_the_losses_of_sentences(output):
    model = new_tagger(output, INTENTS)
    weights = np.array([0.5, 2.0, 0.0])
    each = [
        loss(model, WORDS[k : k + 1], tags=GOLD[k : k + 1], intent=GOLD_INTENT[k : k + 1])
        for k in range(3)
    ]
    x, y = {"words": tf.constant(WORDS)}, {"tags": GOLD, "intent": GOLD_INTENT}
    weighted = model.compute_loss(x, y, model(x), tf.constant(weights))
    assert float(weighted) == pytest.approx(np.mean(weights * each), rel=1e-5)
    model.compile("sgd")
    logs = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean(weights * each), rel=1e-5)


@each_output
def test_regularization_losses_are_added(output):
    model = new_tagger(output)
    plain = loss(model)
    dense = model.network.get_layer("tag_scores")
    dense.kernel_regularizer = keras.regularizers.L2(0.1)
    dense.kernel.regularizer = dense.kernel_regularizer
    expected = plain + 0.1 * np.sum(np.square(dense.kernel))
    assert loss(model) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("options", [{"loss": "mse"}, {"metrics": ["accuracy"]}])
def test_losses_and_metrics_of_compile_are_rejected(options):
    with pytest.raises(ValueError, match=f"SequenceTagger has its own .* no {next(iter(options))}"):
        new_tagger().compile("adam", **options)
