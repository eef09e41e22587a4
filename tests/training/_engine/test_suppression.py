import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.layers import BoxCoder, RegionProposals
from dlrecipes.training._engine import suppression


@pytest.mark.parametrize("candidates", [30, 500])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_proposals_equal_those_of_the_layer(candidates, dtype):
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(-10, 70, (300, 2)), rng.uniform(2, 40, (300, 2))
    anchors = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    deltas = (0.2 * rng.normal(size=(2, 300, 4))).astype("float32")
    # Rounded, so that some scores are equal.
    logits = tf.cast(np.round(10 * rng.normal(size=(2, 300))) / 10, dtype)
    images = np.zeros((2, 60, 80, 3), "float32")
    expected = RegionProposals(200, candidates, 0.5, 8)(logits, deltas, anchors, images)["boxes"]
    boxes = BoxCoder()(deltas, anchors, images)
    actual = suppression.proposals(logits, boxes, 200, candidates, 0.5, 8).numpy()
    assert 0 < (actual[..., 2] > 0).sum() < actual[..., 2].size
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_images_whose_boxes_are_all_small_have_no_proposals():
    boxes = tf.constant([[[0.0, 0.0, 3.0, 30.0], [0.0, 0.0, 30.0, 3.0]]])
    proposals = suppression.proposals(tf.zeros((1, 2)), boxes, 4, 10, 0.5, 8)
    np.testing.assert_array_equal(proposals, np.zeros((1, 4, 4)))
