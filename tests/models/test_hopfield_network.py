import numpy as np
import pytest
from keras import ops

from dlrecipes.models import hopfield_network

PATTERNS = np.array([[1, 1, 1, 1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1]])


def test_initial_patterns_are_recalled():
    model = hopfield_network(8, PATTERNS)
    corrupted = PATTERNS.astype("float32")
    corrupted[[0, 1], [0, 3]] *= -1
    np.testing.assert_array_equal(ops.convert_to_numpy(model(corrupted)), PATTERNS)


def test_default_has_one_untrained_weight_per_pair_of_100_units():
    model = hopfield_network()
    assert model.count_params() == 100 * 100
    assert model.trainable_weights == []


def test_patterns_can_be_stored_later():
    model = hopfield_network(8)
    model.get_layer("memory").store(PATTERNS)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(PATTERNS.astype("float32"))), PATTERNS)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"units": 0}, "units must be"),
        ({"units": 7, "patterns": PATTERNS}, "patterns must be"),
        ({"rule": "delta"}, "rule must be"),
        ({"update": "random"}, "update must be"),
    ],
)
def test_invalid_arguments_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=message):
        hopfield_network(**kwargs)
