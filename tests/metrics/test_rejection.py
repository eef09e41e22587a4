"""A threshold rejects what is improbable, and costs the known classes little."""

import numpy as np
import pytest

from dlrecipes.metrics import rejection_threshold


def decide(predicted, probabilities, threshold):
    return np.where(probabilities >= threshold, predicted, "none")


def test_the_threshold_lies_in_the_middle_between_known_and_unknown():
    truth = np.array(["a", "b", "a", "none", "none"])
    predicted = np.array(["a", "b", "a", "b", "none"])
    probabilities = np.array([0.9, 0.95, 0.8, 0.5, 0.99])
    # Above 0.5 the fourth example is rejected, and below 0.8 no other is.
    threshold = rejection_threshold(truth, predicted, probabilities, "none")
    assert threshold == pytest.approx(0.65)
    assert (decide(predicted, probabilities, threshold) == truth).all()


def test_nothing_is_rejected_where_it_would_cost_more_than_it_gains():
    truth = np.array(["a"] * 10 + ["none"])
    predicted = np.array(["a"] * 11)
    probabilities = np.linspace(0.5, 0.99, 11)
    threshold = rejection_threshold(truth, predicted, probabilities, "none")
    assert threshold <= 0.5
    assert (decide(predicted, probabilities, threshold) == "a").all()


@pytest.mark.parametrize(("max_drop", "rejects"), [(0.0, False), (0.05, True)])
def test_the_accuracy_of_known_classes_drops_by_at_most_the_given_fraction(max_drop, rejects):
    # Rejecting all five unknown examples also rejects one of twenty known ones.
    truth = np.array(["a"] * 20 + ["none"] * 5)
    predicted = np.array(["a"] * 25)
    probabilities = np.array([0.3] + [0.9] * 19 + [0.6] * 5)
    threshold = rejection_threshold(truth, predicted, probabilities, "none", max_drop)
    assert (threshold > 0.6) is rejects


def test_the_threshold_is_a_number_without_known_or_without_unknown_examples():
    names, probabilities = np.array(["a", "b"]), np.array([0.6, 0.7])
    assert rejection_threshold(names, names, probabilities, "none") <= 0.6
    nothing = np.array(["none", "none"])
    assert rejection_threshold(nothing, names, probabilities, "none") > 0.7
