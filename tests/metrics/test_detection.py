"""COCO's metrics of detectors, against tables of precision and recall that are derived by hand."""

import numpy as np
import pytest

from dlrecipes.metrics import (
    detection_confusion,
    detection_metrics,
    precision_recall_curves,
    proposal_recall,
)

NAMES = ["cat", "dog", "zebra"]
# Boxes of 40 x 40 pixels, apart from one another, and one where there is no object.
A, B, C, D, NOWHERE = ([100 * n, 0, 100 * n + 40, 40] for n in range(5))


def predicted(*rows):
    """Returns the predictions of an image from boxes, scores and classes (0 if left out)."""
    return {
        "boxes": np.array([row[0] for row in rows], "float32").reshape(-1, 4),
        "scores": np.array([row[1] for row in rows], "float32"),
        "classes": np.array([row[2] if len(row) > 2 else 0 for row in rows], "int32"),
    }


def true(*boxes, classes=None, ignored=()):
    return {
        "boxes": np.array([*boxes, *ignored], "float32").reshape(-1, 4),
        "classes": np.array(classes or [0] * (len(boxes) + len(ignored)), "int32"),
        "ignored": np.array([False] * len(boxes) + [True] * len(ignored), bool),
    }


def ap(*steps):
    """Returns the mean of COCO's 101 precisions from (recall up to which it holds, precision)."""
    recalls = [k / 100 for k in range(101)]
    return sum(next((p for end, p in steps if r <= end + 1e-9), 0) for r in recalls) / 101


def map50(predictions, truths):
    return detection_metrics([predictions], [truths], NAMES)["map50"]


def test_precision_is_the_largest_at_a_recall_or_a_higher_one():
    # Score   find  precision  recall
    # 0.9     A     1/1        1/4
    # 0.8     -     1/2        1/4
    # 0.7     -     1/3        1/4
    # 0.6     B     2/4        2/4
    # 0.5     C     3/5        3/4     the largest from recall 1/4 to 3/4
    # (D is never found: precision 0 above 3/4)
    guesses = predicted((A, 0.9), (NOWHERE, 0.8), (NOWHERE, 0.7), (B, 0.6), (C, 0.5))
    expected = ap((1 / 4, 1), (3 / 4, 3 / 5))
    assert expected == pytest.approx((26 * 1 + 50 * 0.6) / 101)
    assert map50(guesses, true(A, B, C, D)) == pytest.approx(expected)


def test_a_second_prediction_of_an_object_is_wrong():
    # 0.9 finds A: 1/1 at recall 1/2; 0.8 is a duplicate: 1/2; 0.7 finds B: 2/3 at recall 1.
    guesses = predicted((A, 0.9), (A, 0.8), (B, 0.7))
    assert map50(guesses, true(A, B)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_predictions_of_ignored_objects_are_neither_right_nor_wrong():
    guesses = predicted((C, 0.9), (C, 0.85), (A, 0.8))
    # Both predictions of the ignored object are left out, and A has a precision of 1.
    assert map50(guesses, true(A, ignored=[C])) == 1
    # Without that object there, they are wrong: a precision of 1/3.
    assert map50(guesses, true(A)) == pytest.approx(1 / 3)
    # An ignored object that nothing finds is not missed.
    assert map50(predicted((A, 0.8)), true(A, ignored=[C, D])) == 1


def test_a_small_box_inside_an_ignored_one_is_wrong_as_in_voc():
    # It overlaps the ignored box by 10² / 40² = 0.06; COCO's rule for crowds would say 1.
    inside = [C[0], 0, C[0] + 10, 10]
    guesses = predicted((inside, 0.9), (A, 0.8))
    assert map50(guesses, true(A, ignored=[C])) == pytest.approx(1 / 2)


def test_an_object_is_found_before_an_ignored_one_at_the_same_place():
    assert map50(predicted((A, 0.9)), true(A, ignored=[A])) == 1


def test_an_ignored_object_of_another_class_excuses_nothing():
    guesses = predicted((C, 0.9, 0), (A, 0.8, 0))
    assert map50(guesses, true(A, ignored=[C], classes=[0, 1])) == pytest.approx(1 / 2)


def test_the_overlaps_from_a_half_to_95_percent_count_equally():
    # 40 x 40 in 40 x 50 pixels: 0.8 suffices for 0.5, 0.55, ..., 0.8: seven of ten.
    metrics = detection_metrics([predicted((A, 0.9))], [true([0, 0, 40, 50])], NAMES)
    assert metrics["map"] == pytest.approx(0.7)
    assert metrics["map50"] == metrics["map75"] == 1
    # 40 x 40 in 40 x 58 pixels: 0.69 does not suffice for 0.75.
    metrics = detection_metrics([predicted((A, 0.9))], [true([0, 0, 40, 58])], NAMES)
    assert metrics["map50"] == 1 and metrics["map75"] == 0


def test_sizes_are_areas_in_square_pixels():
    small, medium, large = [0, 0, 20, 20], [100, 0, 150, 50], [200, 0, 300, 100]
    guesses = predicted((small, 0.9), (large, 0.8), ([400, 0, 420, 20], 0.85))
    metrics = detection_metrics([guesses], [true(small, medium, large)], NAMES)
    # All sizes: 1/1 at recall 1/3, then a small mistake, 2/3 at recall 2/3.
    assert metrics["map"] == pytest.approx(ap((1 / 3, 1), (2 / 3, 2 / 3)))
    assert metrics["map_small"] == 1, "the mistake comes after the object"
    assert metrics["map_medium"] == 0
    assert metrics["map_large"] == 1, "a small mistake does not count among the large"
    assert [metrics[f"ar_{size}"] for size in ("small", "medium", "large")] == [1, 0, 1]


def test_a_size_without_objects_is_left_out():
    metrics = detection_metrics([predicted((A, 0.9))], [true(A)], NAMES)
    assert metrics["map_medium"] == 1
    assert not {"map_small", "map_large", "ar_small", "ar_large"} & set(metrics)


def test_classes_count_equally_and_those_without_objects_not_at_all():
    guesses = predicted((A, 0.9, 0), (B, 0.8, 1), (NOWHERE, 0.95, 2), (NOWHERE, 0.7, 1))
    truths = true(A, B, C, classes=[0, 1, 1])
    metrics = detection_metrics([guesses], [truths], NAMES)
    # Cat: 1. Dog: 1/1 at recall 1/2, nothing beyond. Zebra has no objects.
    assert metrics["map50_by_class"] == pytest.approx({"cat": 1, "dog": 51 / 101})
    assert metrics["map_by_class"] == pytest.approx({"cat": 1, "dog": 51 / 101})
    assert metrics["ar100_by_class"] == pytest.approx({"cat": 1, "dog": 1 / 2})
    assert metrics["map"] == metrics["map50"] == pytest.approx((1 + 51 / 101) / 2)
    assert metrics["ar100"] == pytest.approx((1 + 1 / 2) / 2)
    assert metrics["objects_by_class"] == {"cat": 1, "dog": 2, "zebra": 0}


def test_a_class_whose_objects_are_all_ignored_is_without_objects():
    metrics = detection_metrics(
        [predicted((A, 0.9))], [true(A, ignored=[B], classes=[0, 1])], NAMES
    )
    assert set(metrics["map_by_class"]) == {"cat"}
    assert metrics["objects_by_class"] == {"cat": 1, "dog": 0, "zebra": 0}


def test_recall_is_given_for_1_10_and_100_predictions():
    # Twelve objects, all found: 1, 10 and 12 of them with 1, 10 and 100 predictions.
    boxes = [[100 * n, 0, 100 * n + 40, 40] for n in range(12)]
    guesses = predicted(*((box, 1 - 0.01 * n) for n, box in enumerate(boxes)))
    metrics = detection_metrics([guesses], [true(*boxes)], NAMES)
    assert [metrics[f"ar{n}"] for n in (1, 10, 100)] == pytest.approx([1 / 12, 10 / 12, 1])


@pytest.mark.parametrize(("place", "expected"), [(100, 1 / 100), (101, 0)])
def test_a_hundred_predictions_of_a_class_count_in_an_image(place, expected):
    wrong = [(NOWHERE, 0.9)] * (place - 1)
    guesses = predicted(*wrong, (A, 0.5), *[(NOWHERE, 0.4)] * 50)
    assert map50(guesses, true(A)) == pytest.approx(expected)
    curves = precision_recall_curves([guesses], [true(A)], NAMES)
    assert curves["cat"].average_precision == pytest.approx(expected)


def test_equal_scores_rank_in_the_order_of_images_and_predictions():
    wrong, right = predicted((NOWHERE, 0.5)), predicted((A, 0.5))
    both = predicted((NOWHERE, 0.5), (A, 0.5))
    first = detection_metrics([right, wrong], [true(A), true()], NAMES)
    last = detection_metrics([wrong, right], [true(), true(A)], NAMES)
    assert (first["map50"], last["map50"]) == pytest.approx((1, 1 / 2))
    assert map50(both, true(A)) == pytest.approx(1 / 2)


def test_without_predictions_everything_defined_is_0():
    metrics = detection_metrics([predicted()], [true(A, ignored=[B])], NAMES)
    numbers = {name: value for name, value in metrics.items() if not isinstance(value, dict)}
    assert set(numbers.values()) == {0.0}
    assert {"map", "map50", "map75", "map_medium", "ar100"} < set(numbers)
    assert metrics["map_by_class"] == {"cat": 0.0}


@pytest.mark.parametrize(
    ("predictions", "truths"),
    [([], []), ([predicted((A, 0.9))], [true()]), ([predicted((A, 0.9))], [true(ignored=[A])])],
)
def test_without_objects_nothing_is_defined(predictions, truths):
    metrics = detection_metrics(predictions, truths, NAMES)
    assert metrics == {"objects_by_class": {"cat": 0, "dog": 0, "zebra": 0}}


def crowd(seed, images=30, classes=3):
    """Returns random predictions near objects: duplicates, ties, ignored and missed objects."""
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for _ in range(images):
        count = rng.integers(0, 6)
        corners = rng.random((count, 2)) * 200
        boxes = np.concatenate([corners, corners + 5 + rng.random((count, 2)) * 100], axis=1)
        own = rng.integers(0, classes, count)
        ignored = rng.random(count) < 0.2
        truths.append({"boxes": boxes, "classes": own, "ignored": ignored})
        near = np.repeat(boxes, 30, axis=0) + rng.normal(0, 6, (30 * count, 4))
        predictions.append(
            {
                "boxes": near,
                "scores": rng.random(len(near)).round(2),
                "classes": rng.integers(0, classes, len(near)),
            }
        )
    return predictions, truths


@pytest.mark.parametrize("seed", range(3))
def test_the_library_and_our_own_curves_agree(seed):
    """Two implementations of one rule, for crowds of boxes that no hand would count."""
    predictions, truths = crowd(seed)
    metrics = detection_metrics(predictions, truths, NAMES)
    curves = precision_recall_curves(predictions, truths, NAMES)
    assert 0 < metrics["map50"] < 1
    assert {name: curve.average_precision for name, curve in curves.items()} == pytest.approx(
        metrics["map50_by_class"]
    )
    assert metrics["map50_low"] < metrics["map50"] < metrics["map50_high"]


@pytest.mark.parametrize(
    ("predictions", "truths"),
    [
        ([predicted((A, 0.9), (NOWHERE, 0.95))], [true(A)]),
        ([predicted((A, 0.9))] * 40, [true(A)] * 40),
        ([predicted((A, 0.9)), predicted()], [true(A), true()]),
    ],
    ids=["one image", "all found", "objects in one image"],
)
def test_without_a_difference_between_resamples_no_interval_is_given(predictions, truths):
    metrics = detection_metrics(predictions, truths, NAMES)
    assert "map50" in metrics
    assert not {"map50_low", "map50_high"} & set(metrics)


def test_nothing_is_printed(capfd, caplog):
    detection_metrics(*crowd(0), NAMES)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("predictions", "truths", "words"),
    [
        ([predicted((A, 0.9))], [], "1 and 0"),
        ([predicted((A, 0.9, 3))], [true(A)], r"predictions\[0\] .* from 0 to 2"),
        ([predicted((A, 0.9, -1))], [true(A)], "Padding"),
        ([predicted((A, float("nan")))], [true(A)], "NaN or infinite"),
        ([predicted(([0, 0, 9, np.inf], 0.9))], [true(A)], "NaN or infinity"),
        (
            [predicted((A, 0.9))],
            [{"boxes": [A], "classes": [0, 1]}],
            r"truths\[0\] has 1 boxes, .* 2",
        ),
        ([predicted((A, 0.9))], [{"boxes": [A[:3]], "classes": [0]}], r"\(1, 3\)"),
        ([predicted((A, 0.9))], [{"boxes": [A], "classes": [0.5]}], "not integers"),
    ],
)
def test_boxes_that_do_not_fit_are_refused(predictions, truths, words):
    with pytest.raises(ValueError, match=words):
        detection_metrics(predictions, truths, NAMES)


def test_confusion_has_a_row_and_a_column_for_the_background():
    guesses = predicted((A, 0.9, 0), (B, 0.8, 0), (NOWHERE, 0.7, 2), (A, 0.6, 1), (D, 0.2, 0))
    truths = true(A, B, C, D, classes=[0, 1, 2, 0])
    matrix = detection_confusion([guesses], [truths], 3)
    expected = np.zeros((4, 4), int)
    expected[0, 0] = 1  # A is found,
    expected[1, 0] = 1  # B, a dog, is taken for a cat,
    expected[2, 3] = 1  # C is missed,
    expected[0, 3] = 1  # and D too: its prediction has too low a score.
    expected[3, 2] = 1  # A zebra is predicted where nothing is,
    expected[3, 1] = 1  # and a dog at A, which has been found.
    np.testing.assert_array_equal(matrix, expected)
    assert detection_confusion([guesses], [truths], 3, score_threshold=0.1)[0, 0] == 2


def test_confusion_leaves_ignored_objects_out():
    guesses = predicted((C, 0.9, 1), (A, 0.8, 0))
    matrix = detection_confusion([guesses], [true(A, ignored=[C, D])], 3)
    assert matrix.sum() == matrix[0, 0] == 1
    assert detection_confusion([], [], 3).tolist() == np.zeros((4, 4)).tolist()


def test_proposals_cover_objects_by_their_number():
    # B overlaps its proposal by 40² / (40 * 64) = 0.625: enough for 0.5, not for 0.7.
    proposals = [[NOWHERE, A, [B[0], 0, B[2], 64]], [C], []]
    truths = [true(A, B), true(C, ignored=[D]), true(A)]
    recalls = proposal_recall(proposals, truths, [1, 2, 3, 1000], [0.5, 0.7])
    np.testing.assert_allclose(
        recalls, [[1 / 4, 2 / 4, 3 / 4, 3 / 4], [1 / 4, 2 / 4, 2 / 4, 2 / 4]]
    )
    assert proposal_recall([[A]], [true()], [1]) is None
    with pytest.raises(ValueError, match="1 and 2"):
        proposal_recall([[A]], [true(A), true(A)], [1])
