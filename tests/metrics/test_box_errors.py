"""Mistakes of a detector are named for what is wrong."""

import pytest

from dlrecipes.metrics import detection_errors

A, B, C, NOWHERE = ([100 * n, 0, 100 * n + 40, 40] for n in range(4))
# It overlaps A by 20 * 40 / (2 * 40 * 40 - 20 * 40) = 1/3.
BESIDE_A = [20, 0, 60, 40]
TRUTH = {"boxes": [A, B, C, [300, 300, 400, 400]], "classes": [0, 1, 0, 0], "ignored": [0, 0, 1, 0]}


@pytest.mark.parametrize(
    ("box", "own", "kind"),
    [
        (A, 0, "duplicate"),
        (A, 1, "wrong class"),
        (B, 0, "wrong class"),
        (BESIDE_A, 0, "inaccurate box"),
        (BESIDE_A, 1, "background"),
        (NOWHERE, 0, "background"),
        (C, 0, None),
    ],
)
def test_a_wrong_prediction_has_a_kind(box, own, kind):
    guesses = {"boxes": [box, A], "scores": [0.5, 0.9], "classes": [own, 0]}
    wrong, _ = detection_errors([guesses], [TRUTH], 2)
    assert [tuple(error) for error in wrong] == ([(0, 0, kind)] if kind else [])


def test_the_surest_mistakes_and_the_largest_missed_objects_come_first():
    empty = {"boxes": [], "scores": [], "classes": []}
    guesses = {"boxes": [NOWHERE, A, NOWHERE], "scores": [0.3, 0.8, 0.7], "classes": [0, 0, 1]}
    wrong, missed = detection_errors([empty, guesses], [TRUTH, TRUTH], 2, score_threshold=0.5)
    assert [(e.image, e.place) for e in wrong] == [(1, 2)]
    # The box of 100 x 100 pixels first; A is missed in the first image alone, C is ignored.
    assert [(e.image, e.place) for e in missed] == [(0, 3), (1, 3), (0, 0), (0, 1), (1, 1)]
    wrong, _ = detection_errors([empty, guesses], [TRUTH, TRUTH], 2)
    assert [(e.image, e.place) for e in wrong] == [(1, 2), (1, 0)]


def test_an_object_found_below_the_threshold_is_missed():
    guesses = {"boxes": [A], "scores": [0.4], "classes": [0]}
    truth = {"boxes": [A], "classes": [0]}
    assert detection_errors([guesses], [truth], 1)[1] == []
    assert len(detection_errors([guesses], [truth], 1, score_threshold=0.5)[1]) == 1
