"""The score of a trial is the recipe's metric of the validation data, or else a logged value."""

import pytest

from dlrecipes.tuning.trial import UnknownMetric, _score

HISTORY = [{"accuracy": 0.9, "loss": 0.4, "val_loss": 0.6}, {"accuracy": 0.99, "val_loss": 0.8}]
METRICS = {"accuracy": 0.5, "constrained": {"form": 0.25}}


@pytest.mark.parametrize(
    ("name", "direction", "score"),
    [
        # The accuracy of the training data has the same name in the logs.
        ("accuracy", "max", 0.5),
        ("constrained.form", "max", 0.25),
        ("val_loss", "min", 0.6),
        ("val_loss", "max", 0.8),
    ],
)
def test_metrics_of_the_validation_data_come_before_logs(name, direction, score):
    assert _score(name, direction, HISTORY, METRICS) == score


@pytest.mark.parametrize("name", ["constrained", "constrained.tone", "accurcy"])
def test_an_unknown_objective_lists_the_known_ones(name):
    with pytest.raises(UnknownMetric, match=r"one of accuracy, loss, val_loss\."):
        _score(name, "max", HISTORY, METRICS)
