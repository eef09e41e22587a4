"""A recipe as a hypermodel of keras-tuner."""

import warnings

import keras_tuner
import pytest
from keras_tuner.errors import FailedTrialError

import dlrecipes


def test_a_recipe_is_built_and_trained_without_warnings(line):
    hypermodel = dlrecipes.HyperModel(str(line), epochs=2)
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    assert hp.values == {"rate": 0.01}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = hypermodel.fit(hp, model, verbose=0)
    assert len(history.history["val_loss"]) == 2


CONTRADICTION = """
    def without_effect(self):
        return {} if self.kind == "b" else {"size": "only for b"}

    def contradictions(self):
        return [("a rate above 0.5.", "Give 0.5.")] if self.rate > 0.5 else []
"""
KIND = """
    kind: Literal["a", "b"] = setting("a", "Kind.", search=Search(choices=("a", "b")))
    size: int = setting(1, "Size of b.", ge=1, search=Search(1, 9))
"""


@pytest.fixture
def conditional(line):
    config = line / "config.py"
    text = config.read_text().rstrip() + KIND + CONTRADICTION
    config.write_text(
        text.replace("from dlrecipes", "from typing import Literal\n\nfrom dlrecipes", 1)
    )
    return dlrecipes.HyperModel(str(line), epochs=1)


def test_a_setting_is_declared_in_the_scope_of_the_choice_that_it_needs(conditional):
    hp = keras_tuner.HyperParameters()
    conditional.build(hp)
    size = next(one for one in hp.space if one.name == "size")
    (condition,) = size.conditions
    assert (condition.name, list(condition.values)) == ("kind", ["b"])
    assert "size" not in hp.values
    hp = keras_tuner.HyperParameters()
    hp.values["kind"] = "b"
    conditional.build(hp)
    assert hp.values == {"rate": 0.01, "kind": "b", "size": 1}


def test_settings_that_cannot_be_combined_fail_a_trial_only(conditional):
    hp = keras_tuner.HyperParameters()
    hp.values["rate"] = 0.7
    with pytest.raises(FailedTrialError, match=r"a rate above 0\.5"):
        conditional.build(hp)
