"""An ensemble's scores are the mean of its members'; each learns for itself."""

import numpy as np
import pytest

from dlrecipes.models import ensemble, mlp, tagger

WORDS = np.array([[2, 3, 4], [5, 6, 0]], "int32")


def member(name, seed=0, **settings):
    return tagger(7, 3, units=4, word_units=4, num_intents=2, seed=seed, name=name, **settings)


def test_scores_are_the_mean_of_the_members_scores():
    members = [member("a"), member("b"), member("c")]
    found = ensemble(members)({"words": WORDS})
    each = [one({"words": WORDS}) for one in members]
    for name in ("tags", "intent"):
        mean = np.mean([np.asarray(one[name]) for one in each], axis=0)
        np.testing.assert_allclose(found[name], mean, atol=1e-6)


def test_training_gives_each_members_scores_below_one_another():
    members = [member("a", dropout=0.0), member("b", dropout=0.0)]
    found = ensemble(members)({"words": WORDS}, training=True)
    each = [np.asarray(one({"words": WORDS})["tags"]) for one in members]
    np.testing.assert_allclose(found["tags"], np.concatenate(each), atol=1e-6)


def test_networks_of_other_outputs_are_refused():
    with pytest.raises(ValueError, match="differ in inputs or outputs"):
        ensemble([member("a"), tagger(7, 3, name="b")])


def test_networks_of_plain_inputs_and_outputs_have_a_plain_mean():
    members = [mlp((3,), 2, (4,), name=name) for name in ("a", "b")]
    model = ensemble(members)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    mean = np.mean([np.asarray(one(x)) for one in members], axis=0)
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
def test_networks_that_do_not_go_together_are_refused(networks, message):
    with pytest.raises(ValueError, match=message):
        ensemble(networks())


def test_no_network_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        ensemble([])
