"""Two detectors' outputs match if each box has a counterpart, or shows why it has none."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export import keras_check
from dlrecipes.export.detection_outputs import DetectionMatch
from dlrecipes.export.reference_outputs import compare, record, record_again
from dlrecipes.export.signatures import Signature

OVERLAP, SCORE, ROWS = 0.5, 0.1, 5
MATCH = DetectionMatch(OVERLAP, SCORE)
# One box of 10 by 10 pixels, and others far away from it.
BOX, FAR, FARTHER = (0, 0, 10, 10), (50, 0, 60, 10), (100, 0, 110, 10)


def outputs(*detections, rows=ROWS):
    """A SavedModel's outputs for one image: pairs of box, label and score."""
    boxes, labels = np.zeros((1, rows, 4), "float32"), np.full((1, rows), b"", object)
    scores = np.zeros((1, rows), "float32")
    for row, (box, label, score) in enumerate(detections):
        boxes[0, row], labels[0, row], scores[0, row] = box, label, score
    return {
        "boxes": boxes,
        "labels": labels,
        "scores": scores,
        "count": np.array([len(detections)]),
    }


def assert_match(expected, other, tolerance=0.0, match=MATCH):
    match.assert_match("file", [(expected, other)], tolerance)


def moved(box, across):
    return (box[0] + across, box[1], box[2] + across, box[3])


CAT, DOG = (BOX, b"cat", 0.9), (FAR, b"dog", 0.8)


def test_equal_outputs_match():
    assert_match(outputs(CAT, DOG), outputs(CAT, DOG))
    assert_match(outputs(), outputs())


def test_half_a_pixel_and_a_thousandth_of_score_are_rounding():
    other = (moved(BOX, 0.45), b"cat", 0.9009)
    assert_match(outputs(CAT, DOG), outputs(other, DOG))


@pytest.mark.parametrize(
    "other",
    [(moved(BOX, 0.55), b"cat", 0.9), (BOX, b"cat", 0.8985), (BOX, b"dog", 0.9)],
    ids=["moved", "score", "class"],
)
def test_a_box_that_differs_more_has_no_counterpart(other):
    with pytest.raises(
        PublishError, match=r"file: it lacks a box \(0, 0, 10, 10\) of class b'cat'"
    ):
        assert_match(outputs(CAT, DOG), outputs(other, DOG))


def test_a_missing_box_and_an_additional_one_are_named():
    with pytest.raises(PublishError, match=r"lacks a box .* of class b'dog' with the score 0.8000"):
        assert_match(outputs(CAT, DOG), outputs(CAT))
    with pytest.raises(PublishError, match=r"adds a box .* of class b'dog'"):
        assert_match(outputs(CAT), outputs(CAT, DOG))


def test_the_order_of_scores_that_are_equal_up_to_rounding_does_not_matter():
    one, other = (BOX, b"cat", 0.8002), (FAR, b"cat", 0.8001)
    swapped = outputs((FAR, b"cat", 0.8003), (BOX, b"cat", 0.8))
    assert_match(outputs(one, other), swapped)


def test_a_score_at_the_threshold_may_be_on_either_side():
    last = (FAR, b"dog", SCORE + 0.0005)
    assert_match(outputs(CAT, last), outputs(CAT))
    assert_match(outputs(CAT), outputs(CAT, last))
    with pytest.raises(PublishError, match="lacks"):
        assert_match(outputs(CAT, (FAR, b"dog", SCORE + 0.002)), outputs(CAT))


def test_the_last_of_equal_scores_may_have_no_row():
    one, other = (FAR, b"dog", 0.5), (FARTHER, b"dog", 0.5004)
    assert_match(outputs(CAT, one, rows=2), outputs(CAT, other, rows=2))
    with pytest.raises(PublishError, match="lacks"):
        assert_match(outputs(CAT, one), outputs(CAT, other))
    better = (FARTHER, b"dog", 0.6)
    with pytest.raises(PublishError, match="adds"):
        assert_match(outputs(CAT, one, rows=2), outputs(CAT, better, rows=2))


def test_an_overlap_at_the_threshold_may_suppress_or_not():
    # The common part of boxes that are moved by a third is 2/3 of each, and 1/2 of their union.
    beside = (moved(BOX, 10 / 3), b"cat", 0.6)
    assert_match(outputs(CAT, beside), outputs(CAT))
    assert_match(outputs(CAT), outputs(CAT, beside))
    for other in ((moved(BOX, 4), b"cat", 0.6), (moved(BOX, 10 / 3), b"dog", 0.6)):
        with pytest.raises(PublishError, match="lacks"):
            assert_match(outputs(CAT, other), outputs(CAT))


def test_one_box_in_100_may_be_suppressed_by_an_equal_score():
    one, other = outputs((BOX, b"cat", 0.8)), outputs((moved(BOX, 1), b"cat", 0.8005))
    equal = (one, one)
    MATCH.assert_match("file", [equal] * 99 + [(one, other)])
    for pairs in ([equal] * 98 + [(one, other)], [equal] * 198 + [(one, other)] * 3):
        with pytest.raises(PublishError, match="lacks"):
            MATCH.assert_match("file", pairs)
    better, far = outputs((moved(BOX, 1), b"cat", 0.83)), outputs((FAR, b"cat", 0.8))
    for replaced in (better, far):
        with pytest.raises(PublishError, match="lacks"):
            MATCH.assert_match("file", [equal] * 99 + [(one, replaced)])


def test_a_box_may_be_suppressed_by_one_that_rounding_let_stay():
    beside = (moved(BOX, 10 / 3), b"cat", 0.6)
    behind = (moved(BOX, 5), b"cat", 0.5)
    assert_match(outputs(CAT, behind), outputs(CAT, beside))
    better = (moved(BOX, 5), b"cat", 0.7)
    with pytest.raises(PublishError, match="lacks"):
        assert_match(outputs(CAT, better), outputs(CAT, beside))


def test_each_box_is_matched_once():
    twins = outputs((BOX, b"cat", 0.9), (moved(BOX, 0.2), b"cat", 0.9))
    with pytest.raises(PublishError, match="lacks"):
        assert_match(twins, outputs(CAT), match=DetectionMatch(0.999, SCORE))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("count", np.array([1]), "count is 1, expected 2"),
        ("scores", np.array([[0.8, 0.9, 0, 0, 0]], "float32"), "scores do not decrease"),
        ("scores", np.array([[0.9, np.nan, 0, 0, 0]], "float32"), "scores do not decrease"),
        ("scores", np.array([[0.9, 0.8, 0, 0, 0.1]], "float32"), "not padding"),
        ("labels", np.array([[b"cat", b"", b"dog", b"", b""]], object), "not padding"),
        ("boxes", np.full((1, ROWS, 4), np.nan, "float32"), "not padding"),
        ("boxes", np.zeros((1, 4, 4), "float32"), "has shape"),
    ],
)
def test_outputs_of_another_form_are_refused(name, value, shown):
    with pytest.raises(PublishError, match=shown):
        assert_match(outputs(CAT, DOG), {**outputs(CAT, DOG), name: value})


def test_other_outputs_are_refused():
    with pytest.raises(PublishError, match=r"outputs \['count'\] where the model has"):
        assert_match(outputs(CAT), {"count": np.array([1])})


def locations(*detections):
    """A LiteRT file's outputs for one image."""
    boxes = np.tile(np.array([0, 0, -1, -1], "float32"), (1, ROWS, 1))
    classes, scores = np.full((1, ROWS), -1, "float32"), np.zeros((1, ROWS), "float32")
    for row, (box, kind, score) in enumerate(detections):
        boxes[0, row], classes[0, row], scores[0, row] = box, kind, score
    return {
        "locations": boxes,
        "classes": classes,
        "scores": scores,
        "count": np.array([ROWS], "float32"),
    }


def test_locations_may_differ_by_half_a_pixel_of_a_large_image():
    box = (0.1, 0.1, 0.5, 0.5)
    assert_match(locations((box, 1, 0.9)), locations((moved(box, 1e-4), 1, 0.9)))
    far = locations((moved(box, 2e-4), 1, 0.9))
    with pytest.raises(PublishError, match="lacks"):
        assert_match(locations((box, 1, 0.9)), far)
    # Smaller formats are compared with a wider tolerance.
    assert_match(locations((box, 1, 0.9)), far, tolerance=0.02)


def test_the_thresholds_are_kept_as_text():
    assert DetectionMatch.unpacked(MATCH.packed()) == MATCH


def test_references_of_detections_are_compared_by_matching():
    rows = {
        "forward": outputs((BOX, b"cat", 0.8002), (FAR, b"cat", 0.8001)),
        "swapped": outputs((FAR, b"cat", 0.8003), (BOX, b"cat", 0.8)),
        "missing": outputs((BOX, b"cat", 0.8)),
    }
    functions = {
        key: lambda x, parts=parts: {name: tf.constant(value) for name, value in parts.items()}
        for key, parts in rows.items()
    }
    spec = tf.TensorSpec([1], tf.float32, name="x")
    signature = Signature(functions["forward"], [spec], [(np.zeros(1, "float32"),)], match=MATCH)
    references = record(signature, functions["forward"])
    # Publishing writes them as JSON, and smaller formats record their own outputs.
    for kept in (
        json.loads(json.dumps(references)),
        record_again(references, functions["forward"]),
    ):
        compare("file", kept, functions["swapped"])
        with pytest.raises(PublishError, match="lacks a box"):
            compare("file", kept, functions["missing"])
    # The network's own outputs are in an order that depends on rounding.
    assert keras_check.record(functions["forward"], references) is None
    plain = record(dataclasses.replace(signature, match=None), functions["forward"])
    with pytest.raises(PublishError, match="boxes differs"):
        compare("file", plain, functions["swapped"])
