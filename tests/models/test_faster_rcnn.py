import keras
import numpy as np
import pytest

from dlrecipes.layers import BoxCoder, NonMaxSuppression, RoIAlign
from dlrecipes.models import faster_rcnn, faster_rcnn_detector
from dlrecipes.models.faster_rcnn import faster_rcnn_stages

# The number of anchors; suppression drops some of them.
NUM = 60
SMALL = {
    "num_classes": 2,
    "sizes": (6, 12),
    "ratios": (0.5, 1),
    "stride": 4,
    "filters": 5,
    "num_proposals": NUM,
    "min_size": 3,
    "pool_size": 2,
    "units": 6,
}
IMAGES = np.random.default_rng(0).normal(size=(2, 12, 20, 3)).astype("float32")


def backbone():
    images = keras.Input((None, None, 3))
    return keras.Model(images, keras.layers.Conv2D(4, 4, 4, activation="relu")(images))


def numpy(outputs):
    return {name: keras.ops.convert_to_numpy(y) for name, y in outputs.items()}


def test_vgg16_detector_of_20_classes_has_137_million_parameters():
    # VGG-16's published count, with the layers for proposals instead of its 1000 classes.
    expected = 138_357_544 - (4096 + 1) * 1000
    expected += (3 * 3 * 512 + 1) * 512 + (512 + 1) * 9 + (512 + 1) * 4 * 9
    expected += (4096 + 1) * 21 + (4096 + 1) * 4 * 20
    assert expected == 137_057_234
    assert faster_rcnn().count_params() == expected
    assert f"{expected:,}" in faster_rcnn.__doc__


def test_each_proposal_is_classified_from_its_own_features():
    model = faster_rcnn(backbone(), **SMALL)
    y = numpy(model(IMAGES))
    features = model.layers[1](IMAGES)
    regions = keras.ops.convert_to_numpy(RoIAlign(2, 2, 1 / 4)(features, y["proposals"]))
    x = regions.reshape(2, NUM, 2 * 2 * 4)
    for layer in ("fc6", "fc7"):
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer(layer).weights)
        x = np.maximum(x @ kernel + bias, 0)
    for layer, shape in {"class_logits": (2, NUM, 3), "box_deltas": (2, NUM, 2, 4)}.items():
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer(layer).weights)
        np.testing.assert_allclose(y[layer], (x @ kernel + bias).reshape(shape), atol=1e-5)


def test_weights_fit_a_network_with_fewer_proposals():
    training = faster_rcnn(backbone(), **SMALL)
    testing = faster_rcnn(backbone(), **{**SMALL, "num_proposals": 7})
    testing.set_weights(training.get_weights())
    many, few = numpy(training(IMAGES)), numpy(testing(IMAGES))
    np.testing.assert_allclose(few["class_logits"], many["class_logits"][:, :7], atol=1e-5)


def test_dropout_is_active_in_training_only():
    model = faster_rcnn(backbone(), **SMALL, seed=1)
    model.get_layer("fc6").bias.assign(np.ones(6))
    first, second, third = (
        numpy(model(IMAGES, training=training))["class_logits"] for training in (False, False, True)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(third - first).max() > 1e-5


def fixed_network(class_bias, delta_bias):
    """Returns a network with the same class logits and box deltas for each proposal."""
    model = faster_rcnn(backbone(), **SMALL)
    for layer, bias in {"class_logits": class_bias, "box_deltas": delta_bias}.items():
        kernel = model.get_layer(layer).kernel
        kernel.assign(np.zeros(kernel.shape))
        model.get_layer(layer).bias.assign(bias)
    return model


def test_detections_are_proposals_moved_by_the_deltas_of_their_class():
    deltas = np.array([[9, 9, 9, 9], [1, -0.5, 0.4, 0.2]], "float32")
    network = fixed_network([0, 1, 3], deltas.ravel())
    proposals = numpy(network(IMAGES))["proposals"]
    detections = numpy(faster_rcnn_detector(network, 5, score_threshold=0.2)(IMAGES))

    # The first class has probability 0.11, the second 0.84.
    probabilities = np.exp([0, 1, 3]) / np.exp([0, 1, 3]).sum()
    decoded = BoxCoder((0.1, 0.1, 0.2, 0.2))(deltas[1], proposals, IMAGES)
    real = proposals[..., 2] > 0
    assert real.any()
    assert not real.all()
    scores = np.where(real, probabilities[2], 0).astype("float32")
    expected = numpy(NonMaxSuppression(5, 0.3, 0.2)(decoded, scores))
    np.testing.assert_array_equal(detections["count"], expected["count"])
    np.testing.assert_allclose(detections["boxes"], expected["boxes"], atol=1e-4)
    np.testing.assert_allclose(detections["scores"], expected["scores"], atol=1e-5)
    np.testing.assert_array_equal(detections["classes"], np.where(expected["indices"] >= 0, 1, -1))


def test_proposal_can_be_detected_as_two_classes():
    network = fixed_network([0, 2, 2], np.zeros(8))
    detections = numpy(faster_rcnn_detector(network, 2 * NUM, iou_threshold=1.0)(IMAGES))
    proposals = numpy(network(IMAGES))["proposals"]
    real = (proposals[..., 2] > 0).sum(axis=1)
    np.testing.assert_array_equal(detections["count"], 2 * real)
    for number, classes in zip(real, detections["classes"], strict=True):
        assert sorted(classes[: 2 * number]) == [0] * number + [1] * number


def test_certain_background_is_not_detected():
    detections = numpy(faster_rcnn_detector(fixed_network([9, 0, 0], np.zeros(8)))(IMAGES))
    assert not detections["count"].any()
    assert (detections["classes"] == -1).all()


@pytest.mark.parametrize("name", ["num_classes", "units", "pool_size"])
def test_invalid_sizes_are_rejected(name):
    reported = name.replace("pool", "output")
    with pytest.raises(ValueError, match=f"{reported} must be an integer of at least 1, not 0"):
        faster_rcnn(backbone(), **{**SMALL, name: 0})


@pytest.mark.parametrize("sizes", [16, ("16", "32"), (0, 8)])
def test_invalid_anchor_sizes_are_rejected(sizes):
    with pytest.raises(ValueError, match="sizes must be a tuple or list of numbers above 0"):
        faster_rcnn(backbone(), **{**SMALL, "sizes": sizes})


def test_detector_requires_a_network_with_class_logits():
    with pytest.raises(ValueError, match="network must be a model from faster_rcnn, not None"):
        faster_rcnn_detector(None)
    with pytest.raises(ValueError, match="lacks box_deltas, class_logits, proposals"):
        faster_rcnn_detector(backbone())


def test_score_threshold_above_1_is_rejected():
    with pytest.raises(ValueError, match="score_threshold must be a number in"):
        faster_rcnn_detector(fixed_network([0, 0, 0], np.zeros(8)), score_threshold=50)


def test_stages_give_the_networks_own_outputs_and_take_any_number_of_regions():
    model = faster_rcnn(backbone(), **SMALL)
    y = numpy(model(IMAGES))
    proposer, classifier = faster_rcnn_stages(model)
    first = proposer(IMAGES)
    for name in ("objectness", "anchor_deltas", "anchors"):
        np.testing.assert_allclose(first[name], y[name], atol=1e-6)
    for number in (NUM, 7):
        regions = keras.ops.convert_to_tensor(y["proposals"][:, :number])
        second = numpy(classifier({"features": first["features"], "regions": regions}))
        for name in ("class_logits", "box_deltas"):
            np.testing.assert_allclose(second[name], y[name][:, :number], atol=1e-5)
    weights = [id(weight) for stage in (proposer, classifier) for weight in stage.weights]
    assert sorted(weights) == sorted(id(weight) for weight in model.weights)


@pytest.mark.parametrize("fewer", [7, 20])
def test_detector_may_use_another_number_of_proposals(fewer):
    network = faster_rcnn(backbone(), **SMALL)
    other = faster_rcnn(backbone(), **{**SMALL, "num_proposals": fewer})
    other.set_weights(network.get_weights())
    expected = numpy(faster_rcnn_detector(other, 5, score_threshold=0.0)(IMAGES))
    detector = faster_rcnn_detector(network, 5, score_threshold=0.0, num_proposals=fewer)
    actual = numpy(detector(IMAGES))
    assert actual["count"].all()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, atol=1e-4)


PYRAMID = {**SMALL, "sizes": (6, 12), "stride": (4, 8), "num_proposals": 20}


def two_maps(channels=3):
    images = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(channels, 4, 4, "same", activation="relu")(images)
    return keras.Model(images, [fine, keras.layers.Conv2D(channels, 2, 2, "same")(fine)])


def test_pyramid_has_one_anchor_size_per_level_and_shared_layers():
    model = faster_rcnn(two_maps(), **PYRAMID)
    y = numpy(model(IMAGES))
    # 12 x 20 pixels: 3 x 5 positions, then 2 x 3; two ratios each.
    areas = np.prod(y["anchors"][0, :, 2:] - y["anchors"][0, :, :2], axis=-1)
    expected = [36] * 3 * 5 * 2 + [144] * 2 * 3 * 2
    np.testing.assert_allclose(areas, expected, rtol=1e-5)
    names = [weight.path.split("/")[0] for weight in model.weights]
    assert names.count("rpn") == names.count("objectness") == names.count("anchor_deltas") == 2
    # Both levels are scored by the same convolutions of their own maps.
    fine, coarse = model.layers[1](IMAGES)
    for features, scores in ((fine, y["objectness"][:, :30]), (coarse, y["objectness"][:, 30:])):
        own = model.get_layer("objectness")(model.get_layer("rpn")(features))
        np.testing.assert_allclose(scores, numpy({"": own})[""].reshape(2, -1), atol=1e-5)


def test_pyramid_classifies_regions_from_the_level_of_their_size():
    # Regions of 8 pixels and more have a stride of 16 * 8 / 16 = 8.
    model = faster_rcnn(two_maps(), **PYRAMID, canonical_size=16)
    y = numpy(model(IMAGES))
    sides = y["proposals"][..., 2:] - y["proposals"][..., :2]
    is_large = np.sqrt(sides.prod(axis=-1)) >= 8
    assert is_large.any()
    assert not is_large.all()
    maps = model.layers[1](IMAGES)
    aligned = [RoIAlign(2, 2, 1 / s)(x, y["proposals"]) for x, s in zip(maps, (4, 8), strict=True)]
    fine, coarse = (keras.ops.convert_to_numpy(x) for x in aligned)
    x = np.where(is_large[..., None, None, None], coarse, fine).reshape(2, 20, -1)
    for layer in ("fc6", "fc7"):
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer(layer).weights)
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer("class_logits").weights)
    np.testing.assert_allclose(y["class_logits"], x @ kernel + bias, atol=1e-5)


def test_pyramid_detector_detects():
    model = faster_rcnn(two_maps(), **PYRAMID)
    detections = numpy(faster_rcnn_detector(model, 5, score_threshold=0.0)(IMAGES))
    assert detections["count"].all()
    assert detections["boxes"].shape == (2, 5, 4)


def test_maps_strides_and_sizes_must_match():
    with pytest.raises(ValueError, match="not 2 outputs: give a stride for each"):
        faster_rcnn(two_maps(), **{**PYRAMID, "stride": 4})
    with pytest.raises(ValueError, match="backbone must output 2 feature maps"):
        faster_rcnn(backbone(), **PYRAMID)
    with pytest.raises(ValueError, match="sizes must hold one size for each of the 2 feature maps"):
        faster_rcnn(two_maps(), **{**PYRAMID, "sizes": (6, 12, 24)})
    with pytest.raises(ValueError, match="stride must be the backbone's, about 8 pixels, not 16"):
        faster_rcnn(two_maps(), **{**PYRAMID, "stride": (4, 16)})
