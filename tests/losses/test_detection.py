import keras
import numpy as np
import pytest

from dlrecipes.losses import detection_loss, region_proposal_loss

RNG = np.random.default_rng(0)


def smooth_l1(true, predicted):
    """Equation 3 of Fast R-CNN, summed over the four deltas."""
    total = 0.0
    for t, p in zip(true, predicted, strict=True):
        x = abs(float(t) - float(p))
        total += 0.5 * x**2 if x < 1 else x - 0.5
    return total


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def deltas(*shape):
    # Large enough for both branches.
    return (2 * RNG.normal(size=(*shape, 4))).astype("float32")


def test_region_proposal_loss_equals_equation_1():
    labels = np.array([[1, 0, -1, 1, 0], [0, -1, -1, 0, -1]])
    true, predicted = deltas(2, 5), deltas(2, 5)
    logits = RNG.normal(size=(2, 5)).astype("float32")
    expected = []
    for image in range(2):
        cost, count = 0.0, 0
        for anchor in range(5):
            label = labels[image, anchor]
            if label == -1:
                continue
            p = 1 / (1 + np.exp(-logits[image, anchor]))
            cost -= np.log(p if label == 1 else 1 - p)
            if label == 1:
                cost += 3 * smooth_l1(true[image, anchor], predicted[image, anchor])
            count += 1
        expected.append(cost / count)
    actual = region_proposal_loss(labels, true, logits, predicted, box_weight=3.0)
    np.testing.assert_allclose(numpy(actual), expected, rtol=1e-5)


def test_detection_loss_equals_equation_1_of_fast_rcnn():
    labels = np.array([[2, 0, -1, 1], [0, 3, 3, -1]])
    true, predicted = deltas(2, 4), deltas(2, 4, 3)
    logits = RNG.normal(size=(2, 4, 4)).astype("float32")
    expected = []
    for image in range(2):
        cost, count = 0.0, 0
        for proposal in range(4):
            label = labels[image, proposal]
            if label == -1:
                continue
            scores = logits[image, proposal]
            cost -= np.log(np.exp(scores[label]) / np.exp(scores).sum())
            if label > 0:
                own = predicted[image, proposal, label - 1]
                cost += 3 * smooth_l1(true[image, proposal], own)
            count += 1
        expected.append(cost / count)
    actual = detection_loss(labels, true, logits, predicted, box_weight=3.0)
    np.testing.assert_allclose(numpy(actual), expected, rtol=1e-5)


def test_beta_is_where_smooth_l1_becomes_linear():
    # |d| - beta / 2 beyond beta, and d * d / (2 * beta) within.
    for beta, difference, expected in ((0.5, 2.0, 1.75), (0.5, 0.2, 0.04), (4.0, 2.0, 0.5)):
        true, zeros = np.zeros((1, 1, 4), "float32"), np.zeros((1, 1, 4), "float32")
        true[0, 0, 1] = difference
        loss = region_proposal_loss([[1]], true, [[99.0]], zeros, beta=beta)
        np.testing.assert_allclose(numpy(loss), [expected], rtol=1e-5)
        logits = np.array([[[0.0, 99.0]]], "float32")
        loss = detection_loss([[1]], true, logits, zeros[:, :, None], beta=beta)
        np.testing.assert_allclose(numpy(loss), [expected], rtol=1e-5)


def test_beta_must_be_above_0():
    for loss, logits, boxes in (
        (region_proposal_loss, np.zeros((1, 2)), deltas(1, 2)),
        (detection_loss, np.zeros((1, 2, 2)), deltas(1, 2, 1)),
    ):
        with pytest.raises(ValueError, match="beta must be above 0, not 0"):
            loss([[1, 0]], deltas(1, 2), logits, boxes, beta=0)


def test_an_image_with_only_ignored_labels_has_loss_0():
    none = np.full((1, 3), -1)
    logits = np.ones((1, 3), "float32")
    assert numpy(region_proposal_loss(none, deltas(1, 3), logits, deltas(1, 3))).tolist() == [0]
    logits = np.ones((1, 3, 2), "float32")
    assert numpy(detection_loss(none, deltas(1, 3), logits, deltas(1, 3, 1))).tolist() == [0]


def test_with_the_sample_size_of_the_paper_the_weights_nearly_agree():
    # Section 3.1.2: each of 256 anchors weighs 1 / 256 in one sum and 10 / 2400 in the other.
    labels = np.where(np.arange(256) < 128, 1, 0)[None]
    true, predicted = np.zeros((1, 256, 4), "float32"), np.full((1, 256, 4), 3, "float32")
    logits = np.zeros((1, 256), "float32")
    whole = numpy(region_proposal_loss(labels, true, logits, predicted))[0]
    alone = numpy(region_proposal_loss(labels, true, logits, true))[0]
    papers = 10 / 2400 * 128 * 4 * (3 - 0.5)
    np.testing.assert_allclose(whole - alone, papers, rtol=0.07)


def test_extreme_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4]], "float32")
    zero = np.zeros((1, 2, 4), "float32")
    assert numpy(region_proposal_loss([[1, 0]], zero, logits, zero)).tolist() == [0]
    assert numpy(region_proposal_loss([[0, 1]], zero, logits, zero)).tolist() == [1e4]


def regions(**replaced):
    zeros = np.zeros((2, 5, 4), "float32")
    arguments = {"deltas": zeros, "objectness": zeros[..., 0], "anchor_deltas": zeros}
    return region_proposal_loss(**{"labels": np.zeros((2, 5)), **arguments, **replaced})


def detections(**replaced):
    zeros = np.zeros((2, 5, 3, 4), "float32")
    arguments = {"deltas": zeros[:, :, 0], "class_logits": zeros[:, :, 0], "box_deltas": zeros}
    return detection_loss(**{"labels": np.zeros((2, 5)), **arguments, **replaced})


@pytest.mark.parametrize(
    "loss, kwargs, message",
    [
        (regions, {"box_weight": -1}, "box_weight must be at least 0, not -1"),
        (detections, {"box_weight": -1}, "box_weight must be at least 0, not -1"),
        (detections, {"box_weight": "1"}, "box_weight must be at least 0, not '1'"),
        (
            regions,
            {"labels": np.zeros(5)},
            r"labels must have shape \(batch, anchors\), here \(2, 5\), not \(5,\)",
        ),
        (regions, {"objectness": np.zeros((2, 5, 1))}, "objectness must have shape"),
        (regions, {"deltas": np.zeros((1, 5, 4))}, r"deltas .* here \(2, 5, 4\), not \(1, 5, 4\)"),
        (regions, {"anchor_deltas": np.zeros((2, 5, 1))}, "anchor_deltas must have shape"),
        (detections, {"box_deltas": np.zeros((2, 5, 12))}, "box_deltas must have shape"),
        (detections, {"class_logits": np.zeros((2, 5))}, "class_logits must have shape"),
        (detections, {"class_logits": np.zeros((2, 5, 3))}, "classes . 1 logits, here 4, not 3"),
        (detections, {"labels": np.zeros((2, 5, 1))}, "labels must have shape"),
        (detections, {"deltas": np.zeros((2, 4))}, "deltas must have shape"),
    ],
)
def test_invalid_arguments_raise(loss, kwargs, message):
    loss()
    with pytest.raises(ValueError, match=message):
        loss(**kwargs)
