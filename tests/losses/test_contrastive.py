import numpy as np
import pytest
from keras import ops

from dlrecipes.losses import contrastive_loss

RNG = np.random.default_rng(0)
FIRST, SECOND = (RNG.normal(size=(6, 3)).astype("float32") for _ in range(2))
SAME = np.array([1, 0, 0, 1, 0, 1])


@pytest.mark.parametrize("margin", [0.5, 2.5])
def test_loss_equals_a_loop_over_pairs(margin):
    costs = []
    for first, second, same in zip(FIRST, SECOND, SAME, strict=True):
        d = np.sqrt(((first - second) ** 2).sum())
        costs.append(d**2 / 2 if same else max(0.0, margin - d) ** 2 / 2)
    assert (np.array(costs)[SAME == 0] > 0).any() == (margin > 1)
    actual = float(contrastive_loss(FIRST, SECOND, SAME, margin))
    np.testing.assert_allclose(actual, np.mean(costs), rtol=1e-5)


def test_coinciding_pairs_cost_nothing_or_half_the_squared_margin():
    assert float(contrastive_loss(FIRST, FIRST, np.ones(6))) == 0
    assert float(contrastive_loss(FIRST, FIRST, np.zeros(6), margin=3.0)) == 3.0**2 / 2


def test_labels_may_be_a_column_or_booleans():
    expected = float(contrastive_loss(FIRST, SECOND, SAME))
    # -1 is also a common label of dissimilar pairs.
    for same in (SAME[:, None], SAME.astype(bool), SAME.astype("float32"), 2 * SAME - 1):
        assert float(contrastive_loss(FIRST, SECOND, ops.convert_to_tensor(same))) == expected


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"margin": 0}, "margin must be above 0, not 0"),
        ({"margin": "1"}, "margin must be above 0, not '1'"),
        ({"second": SECOND[:1]}, r"second must have .*, here \(6, 3\), not \(1, 3\)"),
        ({"second": SECOND[:, :1]}, r"second must have .*, here \(6, 3\), not \(6, 1\)"),
        ({"same": [1]}, r"same must have shape \(batch,\), here \(6,\), not \(1,\)"),
        ({"same": np.eye(6)}, r"same must have shape \(batch,\) or \(batch, 1\), not \(6, 6\)"),
        ({"first": FIRST[0]}, r"first must have shape \(batch, units\), not \(3,\)"),
    ],
)
def test_invalid_arguments_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        contrastive_loss(**{"first": FIRST, "second": SECOND, "same": SAME, **kwargs})
