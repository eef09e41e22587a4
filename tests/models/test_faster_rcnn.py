import keras
import numpy as np
import pytest

from dlrecipes.layers import BoxCoder, BoxMatcher, NonMaxSuppression, RoIAlign
from dlrecipes.losses import detection_loss, region_proposal_loss
from dlrecipes.models import faster_rcnn, faster_rcnn_detector

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


class Learner(keras.Model):
    """The paper's approximate joint training, without sampling."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.anchor_matcher, self.anchor_coder = BoxMatcher(), BoxCoder()
        self.proposal_matcher = BoxMatcher(0.5, 0.5, match_every_object=False)
        self.proposal_coder = BoxCoder((0.1, 0.1, 0.2, 0.2))

    def build(self, input_shape):
        assert self.network.built

    def call(self, images):
        return self.network(images)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        matches = self.anchor_matcher(y_pred["anchors"], y["boxes"], x)
        deltas = self.anchor_coder.encode(matches["boxes"], y_pred["anchors"])
        first = region_proposal_loss(
            matches["labels"], deltas, y_pred["objectness"], y_pred["anchor_deltas"]
        )
        matches = self.proposal_matcher(y_pred["proposals"], y["boxes"])
        deltas = self.proposal_coder.encode(matches["boxes"], y_pred["proposals"])
        classes = keras.ops.take_along_axis(y["classes"], matches["indices"], axis=1) + 1
        labels = matches["labels"] * keras.ops.cast(classes, "int32")
        labels = keras.ops.where(y_pred["proposal_scores"] > 0, labels, -1)
        second = detection_loss(labels, deltas, y_pred["class_logits"], y_pred["box_deltas"])
        return keras.ops.mean(first + second)


def squares():
    """Returns four images, each with a bright square (class 0) and a dark square (class 1)."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, (4, 32, 32, 1)).astype("float32")
    boxes = np.array([[[1, 2, 12, 13], [17, 14, 31, 28]], [[17, 2, 28, 13], [3, 17, 15, 29]]])
    boxes = np.concatenate([boxes, 32 - boxes[..., [2, 3, 0, 1]]]).astype("float32")
    for image, (bright, dark) in zip(images, boxes.astype(int), strict=True):
        image[bright[1] : bright[3], bright[0] : bright[2]] += 1
        image[dark[1] : dark[3], dark[0] : dark[2]] -= 1
    return images, {"boxes": boxes, "classes": np.tile([0, 1], (4, 1))}


@pytest.mark.slow
def test_training_learns_to_detect_and_classify_squares():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(16, 5, 2, "same", activation="leaky_relu")(inputs)
    features = keras.layers.Conv2D(16, 5, 2, "same", activation="leaky_relu")(x)
    settings = {"sizes": (10, 14), "ratios": (1,), "filters": 16}
    settings |= {"pool_size": 3, "units": 32, "dropout": 0.0, "iou_threshold": 0.6}
    network = faster_rcnn(keras.Model(inputs, features), **{**SMALL, **settings})
    learner = Learner(network)
    learner.compile(keras.optimizers.Adam(0.005))
    images, truth = squares()
    # One epoch with repeated data, because Keras' overhead per epoch exceeds the training time.
    targets = keras.tree.map_structure(lambda x: np.tile(x, (250,) + (1,) * (x.ndim - 1)), truth)
    learner.fit(np.tile(images, (250, 1, 1, 1)), targets, batch_size=4, shuffle=False, verbose=0)
    detections = numpy(faster_rcnn_detector(network, 4, score_threshold=0.3)(images))
    np.testing.assert_array_equal(detections["count"], [2, 2, 2, 2])
    for image in range(4):
        order = np.argsort(detections["classes"][image, :2])
        assert detections["classes"][image, order].tolist() == [0, 1]
        # A tolerance in pixels; the squares are 11 to 14 wide.
        np.testing.assert_allclose(detections["boxes"][image, order], truth["boxes"][image], atol=3)
