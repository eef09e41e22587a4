import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.export.language_model import step_quantized, step_signature
from dlrecipes.models import character_lm
from dlrecipes.training import CharacterLanguageModel

SEQUENCE = {"characters": np.array([0, 1, 2, 3, 1]), "place": np.array([0, 1, 2, 0, 0])}
TARGETS = np.array([1, 2, 3, 0, 0])


@pytest.fixture(scope="module")
def model():
    network = character_lm(4, {"place": 3}, units=5, embedding_units=3, depth=1, seed=1)
    for weight in network.weights:
        weight.assign(3 * weight)
    return CharacterLanguageModel(network, 8, ["[start]", "a", "b", "c"])


def test_steps_that_feed_back_their_states_equal_the_whole_sequence(model):
    signature = step_signature(model, SEQUENCE, max_steps=4)
    whole = model.scores({name: ids[None] for name, ids in SEQUENCE.items()})[0]
    assert len(signature.examples) == 4
    for number, example in enumerate(signature.examples):
        assert [int(ids[0]) for ids in example[:2]] == [x[number] for x in SEQUENCE.values()]
        outputs = signature.function(*map(tf.constant, example))
        np.testing.assert_allclose(outputs["scores"][0], whole[number], atol=1e-6)


def test_smaller_files_are_measured_by_log_likelihood_up_to_the_end(model):
    signature = step_signature(model, SEQUENCE)
    names = [spec.name for spec in signature.inputs]

    def step(**inputs):
        outputs = signature.function(*(tf.constant(inputs[name]) for name in names))
        return {name: value.numpy() for name, value in outputs.items()}

    quantized = step_quantized(signature, [{**SEQUENCE, "targets": TARGETS}])
    scores = model.scores({name: ids[None, :3] for name, ids in SEQUENCE.items()})[0]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS[:3], scores)
    assert quantized.measure(step) == pytest.approx(-float(tf.reduce_mean(losses)), rel=1e-5)
    assert (quantized.metric, quantized.formats) == ("log_likelihood", ())
