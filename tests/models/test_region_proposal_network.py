import keras
import numpy as np
import pytest

from dlrecipes.layers import RegionProposals
from dlrecipes.models import region_proposal_network

SMALL = {"sizes": (6, 12), "ratios": (0.5, 1, 2), "stride": 4, "filters": 5, "num_proposals": 7}
IMAGES = np.random.default_rng(0).normal(size=(2, 12, 20, 3)).astype("float32")


def backbone(stride=4, padding="same"):
    images = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, stride, stride, padding, activation="relu")(images)
    return keras.Model(images, features)


def numpy(outputs):
    return {name: keras.ops.convert_to_numpy(y) for name, y in outputs.items()}


def test_parameter_count_matches_the_papers():
    # Section 3.1 counts kernels only, with two logits per anchor: 512 * (4 + 2) * 9, "2.8e4",
    # in the output layers, and 3 * 3 * 512 * 512 more with the convolution before, "2.4e6".
    same = keras.Sequential([keras.Input((8, 8, 512)), keras.layers.Identity()])
    model = region_proposal_network(same, stride=1)
    kernels = [w for w in model.trainable_weights if "kernel" in w.path]
    output = sum(np.prod(w.shape) for w in kernels[1:])
    second_logit, biases = 512 * 9, 512 + 9 + 36
    assert round((output + second_logit) / 1e4, 1) == 2.8
    assert model.count_params() == 3 * 3 * 512 * 512 + 512 * (4 + 2) * 9 - second_logit + biases
    assert round((model.count_params() - biases + second_logit) / 1e6, 1) == 2.4


def test_vgg16_backbone_ends_with_its_thirteenth_convolution():
    model = region_proposal_network(filters=1)
    # The published 138,357,544 minus fc6, fc7 and the classifier.
    convolutions = 138_357_544 - (25088 + 1) * 4096 - (4096 + 1) * 4096 - (4096 + 1) * 1000
    assert model.get_layer("vgg16").count_params() == convolutions
    assert model.get_layer("vgg16").compute_output_shape((1, 160, 96, 3)) == (1, 10, 6, 512)


def test_outputs_are_in_the_order_of_the_anchors():
    model = region_proposal_network(backbone(), **SMALL)
    model.get_layer("objectness").kernel.assign(np.zeros((1, 1, 5, 6)))
    model.get_layer("objectness").bias.assign(np.arange(6))
    model.get_layer("anchor_deltas").kernel.assign(np.zeros((1, 1, 5, 24)))
    model.get_layer("anchor_deltas").bias.assign(np.arange(24))
    y = numpy(model(IMAGES))
    assert y["objectness"].shape == (2, 3 * 5 * 6)
    anchor = np.arange(3 * 5 * 6) % 6
    np.testing.assert_allclose(y["objectness"][1], anchor)
    np.testing.assert_allclose(y["anchor_deltas"][1], 4 * anchor[:, None] + np.arange(4))


def test_anchor_score_depends_on_the_features_around_its_centre():
    model = region_proposal_network(backbone(), **SMALL)
    before = numpy(model(IMAGES))["objectness"].reshape(2, 3, 5, 6)
    changed = IMAGES.copy()
    # Position (2, 4) of the feature map; the 3x3 convolution also reads its neighbours.
    changed[:, 8:12, 16:20] += 1
    after = numpy(model(changed))["objectness"].reshape(2, 3, 5, 6)
    moved = np.abs(after - before).max(axis=(0, 3)) > 0
    assert moved[2, 4]
    assert not moved[0].any()
    assert not moved[:, :3].any()


def test_proposals_follow_from_the_scores_and_deltas():
    model = region_proposal_network(backbone(), **SMALL, iou_threshold=0.4, min_size=2)
    y = numpy(model(IMAGES))
    expected = RegionProposals(7, iou_threshold=0.4, min_size=2)(
        y["objectness"], y["anchor_deltas"], y["anchors"], IMAGES
    )
    np.testing.assert_allclose(y["proposals"], numpy(expected)["boxes"], atol=1e-5)
    np.testing.assert_allclose(y["proposal_scores"], numpy(expected)["scores"], atol=1e-6)
    assert (y["proposals"] >= 0).all()
    assert (y["proposals"] <= [20, 12, 20, 12]).all()


@pytest.mark.parametrize("kind", ["resnet", None])
def test_unknown_backbone_is_rejected(kind):
    with pytest.raises(ValueError, match="backbone must be 'vgg16' or"):
        region_proposal_network(kind)


def test_backbone_without_a_feature_map_is_rejected():
    images = keras.Input((32, 32, 3))
    flat = keras.Model(images, keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="must output one feature map"):
        region_proposal_network(flat)


def test_backbone_that_is_not_built_is_rejected():
    with pytest.raises(ValueError, match="must be built"):
        region_proposal_network(keras.Sequential([keras.layers.Conv2D(3, 1)]))


def test_stride_that_differs_from_the_backbones_is_rejected():
    with pytest.raises(ValueError, match="about 8 pixels, not 16"):
        region_proposal_network(backbone(8))
    region_proposal_network(backbone(8, "valid"), stride=8, filters=1)


@pytest.mark.parametrize("name", ["filters", "num_proposals", "stride"])
def test_invalid_sizes_are_rejected(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, not 0"):
        region_proposal_network(backbone(), **{**SMALL, name: 0})
