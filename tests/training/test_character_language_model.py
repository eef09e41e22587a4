"""A character language model runs step by step in float32, and keeps its vocabulary."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import character_lm
from dlrecipes.training import CharacterLanguageModel

NAMES = ["[start]", "a", "b", "c"]


def network(**kwargs):
    return character_lm(4, units=5, embedding_units=3, seed=1, **kwargs)


def mixed_network(**kwargs):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return network(**kwargs)
    finally:
        keras.config.set_dtype_policy(policy)


IDS = np.array([[1, 2, 3, 1, 0], [3, 3, 1, 2, 1]], "int32")


def run_steps(model):
    states, outputs = model.first_states(2), []
    for time in range(IDS.shape[1]):
        scores, states = model.step({"characters": tf.constant(IDS[:, time])}, states)
        outputs.append(scores.numpy())
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "peephole_lstm"])
def test_steps_give_the_scores_of_the_whole_sequence(cell):
    model = CharacterLanguageModel(network(cell=cell), 8, NAMES)
    whole = model.network({"characters": IDS}).numpy()
    np.testing.assert_allclose(run_steps(model), whole, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "peephole_lstm"])
def test_a_mixed_precision_model_generates_in_float32(cell):
    model = CharacterLanguageModel(mixed_network(cell=cell), 8, NAMES)
    exact = network(cell=cell)
    exact.set_weights(model.network.get_weights())
    expected = exact({"characters": IDS}).numpy()
    before = [layer.compute_dtype for layer in model.network._flatten_layers()]
    assert "bfloat16" in before
    scores = run_steps(model)
    assert scores.dtype == "float32"
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    # The layers compute in their own precision again.
    assert [layer.compute_dtype for layer in model.network._flatten_layers()] == before


def test_ids_and_rows_follow_the_vocabulary():
    model = CharacterLanguageModel(network(), 8, NAMES, ["moonlight", "b"], 2)
    assert model.ids(tf.constant(["c", "a", "x"])).numpy().tolist() == [3, 1, -1]
    # Rows 4 and 5 belong to the themes; the name of theme 'b' is also a character.
    assert model.rows(tf.constant(["moonlight", "b", "x"])).numpy().tolist() == [4, 2, -1]


def test_a_reloaded_model_keeps_vocabulary_and_associations(tmp_path):
    model = CharacterLanguageModel(network(), 8, NAMES, ["moonlight"], 2)
    ids, strengths = np.arange(10).reshape(5, 2) % 4, np.linspace(0, 1, 10).reshape(5, 2)
    model.associate(ids, strengths)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.vocabulary, again.themes, again.associates) == (NAMES, ["moonlight"], 2)
    np.testing.assert_array_equal(np.asarray(again.associated), ids)
    np.testing.assert_allclose(np.asarray(again.association), strengths, atol=1e-7)
    np.testing.assert_allclose(run_steps(again), run_steps(model), atol=1e-6)


def test_the_vocabulary_must_match_the_scores():
    with pytest.raises(ValueError, match=r"scores 4 characters.*not 3"):
        CharacterLanguageModel(network(), 8, NAMES[:3])
    with pytest.raises(ValueError, match="associates"):
        CharacterLanguageModel(network(), 8, NAMES, associates=-1)


def test_generation_reads_back_the_chosen_ids():
    model = CharacterLanguageModel(network(conditions={"place": 3}), 8, NAMES)

    def best(number, scores, taken):
        ids = tf.argmax(tf.where(taken, float("-inf"), scores), axis=1, output_type=tf.int32)
        return ids, taken | tf.one_hot(ids, 4, True, False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)])
    def generate(first, length):
        conditions = {"conditions": lambda number: {"place": tf.fill(tf.shape(first), number)}}
        taken = tf.zeros([tf.shape(first)[0], 4], tf.bool)
        return model.generate(first, length, best, carried=taken, **conditions)

    ids = generate(tf.constant([0, 2]), tf.constant(3)).numpy()
    states, before, taken = model.first_states(2), tf.constant([0, 2]), np.zeros((2, 4), bool)
    for number in range(3):
        inputs = {"characters": before, "place": tf.constant([number] * 2)}
        scores, states = model.step(inputs, states)
        before = np.where(taken, -np.inf, scores).argmax(axis=1).astype("int32")
        taken[[0, 1], before] = True
        assert ids[:, number].tolist() == before.tolist()


def test_steering_sums_the_strengths_of_associated_characters():
    model = CharacterLanguageModel(network(), 8, NAMES, ["moonlight"], 2)
    ids = np.array([[0, 0], [1, 2], [2, 1], [3, 1], [3, 0]], "int32")
    strengths = np.array([[0, 0], [3, 1], [3, 0.5], [3, 0], [2, 0]], "float32")
    model.associate(ids, strengths)
    rows = tf.constant([[4, -1], [1, 2], [-1, -1]])
    expected = [[0, 0, 0, 2], [0, 3.5, 4, 0], [0, 0, 0, 0]]
    assert model.steering(rows).numpy().tolist() == expected


def test_a_model_without_associations_is_not_steered():
    model = CharacterLanguageModel(network(), 8, NAMES)
    assert model.steering(tf.constant([[1], [-1]])).numpy().tolist() == [[0] * 4] * 2
