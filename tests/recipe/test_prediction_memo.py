"""Predictions are computed once for the same weights and examples, and again for others."""

import keras
import numpy as np
import pytest

from dlrecipes.recipe.prediction_memo import PredictionMemo


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.fixture
def computed():
    """The number of computations so far, which is what they return."""
    calls = []

    def compute():
        calls.append(1)
        return len(calls)

    return compute


def test_predictions_are_computed_once(model, computed):
    memo, test, validation = PredictionMemo(), np.zeros(3), np.zeros(3)
    assert [memo.get("tags", model, test, computed) for _ in range(3)] == [1, 1, 1]
    assert memo.get("tags", model, validation, computed) == 2
    assert memo.get(("tags", 0.5), model, test, computed) == 3
    assert memo.get("tags", model, test, computed) == 1


def test_a_model_that_was_trained_further_predicts_again(model, computed):
    memo, test = PredictionMemo(), np.zeros(3)
    before = memo.get("tags", model, test, computed)
    model.layers[0].kernel.assign_add([[1e-6], [0.0]])
    assert memo.get("tags", model, test, computed) == before + 1


def test_another_model_with_the_same_weights_predicts_itself(model, computed):
    memo, test = PredictionMemo(), np.zeros(3)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert memo.get("tags", model, test, computed) == 1
    assert memo.get("tags", copy, test, computed) == 2


def test_a_reloaded_model_may_take_the_predictions_of_the_one_before(model, computed):
    memo, test = PredictionMemo(), np.zeros(3)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    assert memo.get("page", model, test, computed, reloaded=True) == 1
    assert memo.get("page", copy, test, computed, reloaded=True) == 1
    copy.set_weights([weight + 1 for weight in model.get_weights()])
    assert memo.get("page", copy, test, computed, reloaded=True) == 2


def test_only_the_last_predictions_are_kept(model, computed):
    memo, parts = PredictionMemo(size=2), [np.zeros(k) for k in range(3)]
    for part in parts:
        memo.get("tags", model, part, computed)
    assert [memo.get("tags", model, part, computed) for part in parts[::-1]] == [3, 2, 4]
