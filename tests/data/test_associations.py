import numpy as np
import pytest

from dlrecipes.data.associations import associations

# Ids 0 and 1 share 40 of 60 documents, 20 of which have the label 4; 2 and 3 share the rest.
DOCUMENTS = [{0, 1, 4}, {0, 1}, {2, 3}] * 20


def strength_of(a, b, **arguments):
    ids, strengths = associations(DOCUMENTS, 5, **arguments)
    return dict(zip(ids[a].tolist(), strengths[a].tolist(), strict=True))[b]


def test_strength_is_mutual_information_weighted_by_common_documents():
    assert strength_of(0, 1) == pytest.approx(np.log(40 * 60 / 40 / 40) * 40 / 44, rel=1e-5)
    assert strength_of(4, 1) == pytest.approx(np.log(20 * 60 / 20 / 40) * 20 / 24, rel=1e-5)
    assert strength_of(0, 1, belief=40.0) == pytest.approx(np.log(1.5) / 2, rel=1e-5)
    assert strength_of(0, 2) == 0


def test_each_candidate_is_associated_with_itself_most():
    ids, strengths = associations(DOCUMENTS, 5, num_candidates=4)
    assert ids[:4, 0].tolist() == [0, 1, 2, 3]
    assert (strengths[:4, 0] == 3).all()
    assert (np.diff(strengths, axis=1) <= 0).all()


def test_only_candidates_are_associated_up_to_a_limit():
    ids, strengths = associations(DOCUMENTS, 5, num_candidates=4, most=2)
    assert ids.shape == strengths.shape == (5, 2)
    assert ids[4].tolist() == [0, 1]


def test_rows_beyond_one_block_are_computed():
    ids, strengths = associations([[0, 600], [0, 600], [1]], 601, most=2)
    assert ids[600].tolist() == [600, 0]
    assert strengths[600, 1] == pytest.approx(np.log(1.5) * 2 / 6, rel=1e-5)


@pytest.mark.parametrize("documents", [[], [[5]], [[-1]]])
def test_ids_out_of_bounds_are_rejected(documents):
    with pytest.raises(ValueError, match="ids from 0 to below 5"):
        associations(documents, 5)
