"""Ensembles average the outputs of their members, which are trained independently."""

import numpy as np
import pytest

from dlrecipes.models import ensemble, mlp, tagger

WORDS = np.array([[2, 3, 4], [5, 6, 0]], "int32")


def member(name, seed=0, **settings):
    return tagger(7, 3, units=4, word_units=4, num_intents=2, seed=seed, name=name, **settings)


def test_outputs_are_the_mean_of_the_members_outputs():
    members = [member("a"), member("b"), member("c")]
    outputs = ensemble(members)({"words": WORDS})
    member_outputs = [network({"words": WORDS}) for network in members]
    for name in ("tags", "intent"):
        mean = np.mean([np.asarray(scores[name]) for scores in member_outputs], axis=0)
        np.testing.assert_allclose(outputs[name], mean, atol=1e-6)


def test_training_concatenates_the_members_outputs_along_the_batch():
    members = [member("a", dropout=0.0), member("b", dropout=0.0)]
    outputs = ensemble(members)({"words": WORDS}, training=True)
    member_outputs = [np.asarray(network({"words": WORDS})["tags"]) for network in members]
    np.testing.assert_allclose(outputs["tags"], np.concatenate(member_outputs), atol=1e-6)


def test_networks_with_different_outputs_are_rejected():
    with pytest.raises(ValueError, match="differ in inputs or outputs"):
        ensemble([member("a"), tagger(7, 3, name="b")])


def test_single_tensors_are_averaged_without_a_dictionary():
    members = [mlp((3,), 2, (4,), name=name) for name in ("a", "b")]
    model = ensemble(members)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    mean = np.mean([np.asarray(network(x)) for network in members], axis=0)
    assert model.input.name == "features"
    np.testing.assert_allclose(np.asarray(model(x)), mean, atol=1e-6)


@pytest.mark.parametrize(
    "networks, message",
    [
        (lambda: [member("a"), member("a")], "'a' is repeated: give each network its own `name`"),
        (lambda: member("a"), "networks must be a list of keras.Model"),
        (lambda: [mlp((3,), name="a"), mlp((4,), name="b")], "differ in inputs or outputs"),
        (lambda: [mlp((3,), name="a"), member("b")], "differ in inputs or outputs"),
    ],
)
def test_incompatible_networks_are_rejected(networks, message):
    with pytest.raises(ValueError, match=message):
        ensemble(networks())


def test_empty_ensemble_is_rejected():
    with pytest.raises(ValueError, match="at least one"):
        ensemble([])
