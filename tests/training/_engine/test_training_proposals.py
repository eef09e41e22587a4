import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.layers import RegionProposals
from dlrecipes.training._engine.training_proposals import TrainingProposals


@pytest.mark.parametrize("candidates", [30, 500])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_proposals_equal_those_of_the_layer(candidates, dtype):
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(-10, 70, (300, 2)), rng.uniform(2, 40, (300, 2))
    anchors = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    deltas = (0.2 * rng.normal(size=(2, 300, 4))).astype("float32")
    # A network that diverges.
    deltas[0, :9] = np.nan
    # Rounded, so that some scores are equal.
    logits = tf.cast(np.round(10 * rng.normal(size=(2, 300))) / 10, dtype)
    images = np.zeros((2, 60, 80, 3), "float32")
    settings = (200, candidates, 0.5, 8)
    expected = RegionProposals(*settings)(logits, deltas, anchors, images)
    actual = TrainingProposals(*settings)(logits, deltas, anchors, images)
    assert 0 < np.count_nonzero(actual["scores"]) < np.size(actual["scores"])
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def test_images_whose_boxes_are_all_small_have_no_proposals():
    anchors = np.array([[0.0, 0.0, 3.0, 30.0], [0.0, 0.0, 30.0, 3.0]], "float32")
    layer = TrainingProposals(4, 10, 0.5, 8)
    inputs = np.zeros((1, 2)), np.zeros((1, 2, 4)), anchors, np.zeros((1, 60, 60, 3))
    np.testing.assert_array_equal(layer(*inputs)["boxes"], np.zeros((1, 4, 4)))
