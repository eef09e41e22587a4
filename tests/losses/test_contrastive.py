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
    for one, other, same in zip(FIRST, SECOND, SAME, strict=True):
        d = np.sqrt(((one - other) ** 2).sum())
        costs.append(d**2 / 2 if same else max(0.0, margin - d) ** 2 / 2)
    assert (np.array(costs)[SAME == 0] > 0).any() == (margin > 1)
    found = float(contrastive_loss(FIRST, SECOND, SAME, margin))
    np.testing.assert_allclose(found, np.mean(costs), rtol=1e-5)


def test_pairs_at_the_same_place_cost_nothing_or_half_the_squared_margin():
    assert float(contrastive_loss(FIRST, FIRST, np.ones(6))) == 0
    assert float(contrastive_loss(FIRST, FIRST, np.zeros(6), margin=3.0)) == 3.0**2 / 2


def test_labels_may_be_a_column_or_booleans():
    expected = float(contrastive_loss(FIRST, SECOND, SAME))
    for same in (SAME[:, None], SAME.astype(bool), SAME.astype("float32")):
        assert float(contrastive_loss(FIRST, SECOND, ops.convert_to_tensor(same))) == expected


def test_margins_that_push_nothing_apart_are_refused():
    with pytest.raises(ValueError, match="margin must be above 0, not 0"):
        contrastive_loss(FIRST, SECOND, SAME, margin=0)
