import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import character_lm
from dlrecipes.training import CharacterLanguageModel

NAMES = ["[start]", "a", "b", "c"]


def network(**kwargs):
    return character_lm(4, units=5, embedding_units=3, seed=1, **kwargs)


def mixed(**kwargs):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return network(**kwargs)
    finally:
        keras.config.set_dtype_policy(policy)


IDS = np.array([[1, 2, 3, 1, 0], [3, 3, 1, 2, 1]], "int32")


def stepped(model):
    states, found = model.first_states(2), []
    for time in range(IDS.shape[1]):
        scores, states = model.step({"characters": tf.constant(IDS[:, time])}, states)
        found.append(scores.numpy())
    return np.stack(found, axis=1)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "peephole_lstm"])
def test_steps_give_what_the_whole_sequence_gives(cell):
    model = CharacterLanguageModel(network(cell=cell), 8, NAMES)
    whole = model.network({"characters": IDS}).numpy()
    np.testing.assert_allclose(stepped(model), whole, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "peephole_lstm"])
def test_a_model_of_mixed_precision_writes_in_float32(cell):
    model = CharacterLanguageModel(mixed(cell=cell), 8, NAMES)
    exact = network(cell=cell)
    exact.set_weights(model.network.get_weights())
    expected = exact({"characters": IDS}).numpy()
    before = [layer.compute_dtype for layer in model.network._flatten_layers()]
    assert "bfloat16" in before
    found = stepped(model)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # What trains is as it was.
    assert [layer.compute_dtype for layer in model.network._flatten_layers()] == before


def test_ids_and_rows_are_those_of_the_vocabulary():
    model = CharacterLanguageModel(network(), 8, NAMES, ["moonlight", "b"], 2)
    assert model.ids(tf.constant(["c", "a", "x"])).numpy().tolist() == [3, 1, -1]
    # Rows 4 and 5 are the themes'; the theme 'b' is called as a character is.
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
    np.testing.assert_allclose(stepped(again), stepped(model), atol=1e-6)


def test_the_vocabulary_must_be_what_is_scored():
    with pytest.raises(ValueError, match=r"scores 4 characters.*not 3"):
        CharacterLanguageModel(network(), 8, NAMES[:3])
    with pytest.raises(ValueError, match="associates"):
        CharacterLanguageModel(network(), 8, NAMES, associates=-1)
