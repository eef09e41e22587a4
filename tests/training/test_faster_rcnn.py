import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.models import faster_rcnn, feature_pyramid
from dlrecipes.models.faster_rcnn import faster_rcnn_stages
from dlrecipes.training import FasterRCNN
from dlrecipes.training._engine.detection_targets import TargetSampler, objects_of

SIZE = 24
NAMES = ("bright", "dark")
# Three objects: two that count, and an ignored one.
OBJECTS = {
    "boxes": np.array([[[1, 2, 11, 12], [12, 10, 22, 23], [13, 0, 23, 9]]], "float32"),
    "classes": np.array([[1, 0, 0]], "int32"),
    "ignored": np.array([[False, False, True]]),
}
DEVIATIONS = (0.1, 0.1, 0.2, 0.2)


def network(channels=3, **options):
    images = keras.Input((None, None, channels))
    features = keras.layers.Conv2D(4, 4, 4, activation="tanh")(images)
    settings = {
        **{"num_classes": 2, "sizes": (8, 12), "ratios": (0.5, 1), "stride": 4, "filters": 5},
        **{"num_proposals": 6, "min_size": 3, "pool_size": 2, "units": 6, "dropout": 0.0},
    }
    return faster_rcnn(keras.Model(images, features), **{**settings, **options})


def trainer(net=None, optimizer="sgd", **options):
    model = FasterRCNN(network() if net is None else net, NAMES, **options)
    model.compile(optimizer, run_eagerly=True)
    return model


def image(channels=3):
    return np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, channels)).astype("float32")


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def common(a, b):
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def iou(a, b):
    both = common(a, b)
    return both / (area(a) + area(b) - both) if both else 0.0


def encoded(box, anchor, deviations):
    sides = [anchor[2] - anchor[0], anchor[3] - anchor[1]]
    new = [box[2] - box[0], box[3] - box[1]]
    shift = [(box[k] + box[k + 2] - anchor[k] - anchor[k + 2]) / 2 / sides[k] for k in (0, 1)]
    return np.array([*shift, *(np.log(new[k] / sides[k]) for k in (0, 1))]) / deviations


def smooth_l1(difference, beta):
    d = np.abs(difference)
    return np.where(d < beta, d * d / 2 / beta, d - beta / 2).sum()


def labelled(boxes, negative, positive, every):
    """Returns the label and the object of each box: 1, 0 or -1."""
    real, ignored = OBJECTS["boxes"][0, :2], OBJECTS["boxes"][0, 2]
    overlaps = np.array([[iou(box, true) for true in real] for box in boxes])
    labels = []
    for box, row in zip(boxes, overlaps, strict=True):
        best = every and any(row[k] == overlaps[:, k].max() > 0 for k in range(2))
        if row.max() >= positive or best:
            labels.append(1 if row.max() >= iou(box, ignored) else -1)
        elif common(box, ignored) >= negative * area(box):
            labels.append(-1)
        else:
            labels.append(0 if row.max() < negative else -1)
    return labels, overlaps.argmax(axis=1)


def proposals_of(objectness, deltas, anchors, threshold=0.7, least=3):
    """Returns the boxes that greedy suppression keeps, one after the other."""
    kept = []
    for index in np.argsort(-objectness):
        x, y, w, h = (
            *(anchors[index][:2] + anchors[index][2:]) / 2,
            *np.diff(anchors[index].reshape(2, 2), axis=0)[0],
        )
        d = deltas[index]
        x, y, w, h = x + d[0] * w, y + d[1] * h, w * np.exp(d[2]), h * np.exp(d[3])
        box = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, SIZE)
        if min(box[2:] - box[:2]) >= least and all(iou(box, other) <= threshold for other in kept):
            kept.append(box)
    return kept


def test_losses_equal_those_derived_by_loops_on_three_boxes():
    net = network()
    rng = np.random.default_rng(2)
    for name in ("objectness", "anchor_deltas", "class_logits", "box_deltas"):
        kernel = net.get_layer(name).kernel
        kernel.assign(0.5 * rng.normal(size=kernel.shape))
    # So many samples that everything that is not ignored is sampled.
    options = {"num_anchors": 999, "num_regions": 999, "positive_anchors": 1, "positive_regions": 1}
    weights = {"rpn_box_weight": 2.0, "box_weight": 3.0, "rpn_beta": 0.2}
    model = trainer(net, **options, **weights)
    logs = model.evaluate(image(), OBJECTS, return_dict=True, verbose=0)

    proposer, classifier = faster_rcnn_stages(net)
    first = proposer(image())
    objectness, deltas, anchors = (
        first[name].numpy()[0].astype("float64")
        for name in ("objectness", "anchor_deltas", "anchors")
    )
    real = OBJECTS["boxes"][0]
    labels, own = labelled(anchors, 0.3, 0.7, every=True)
    assert set(labels) == {1, 0, -1}
    counted = sum(label >= 0 for label in labels)
    class_costs = box_costs = 0.0
    for index, label in enumerate(labels):
        if label >= 0:
            class_costs += np.log1p(np.exp(objectness[index] * (1 - 2 * label)))
        if label == 1:
            true = encoded(real[own[index]], anchors[index], 1)
            box_costs += smooth_l1(true - deltas[index], 0.2)
    expected = {"rpn_objectness_loss": class_costs / counted, "rpn_box_loss": box_costs / counted}
    expected["rpn_positives"] = labels.count(1) / counted

    regions = [*proposals_of(objectness, deltas, anchors), *real[:2].astype("float64")]
    labels, own = labelled(regions, 0.5, 0.5, every=False)
    assert set(labels) == {1, 0, -1}
    second = classifier(
        {"features": first["features"], "regions": tf.constant([regions], "float32")}
    )
    logits, box_deltas = (second[name].numpy()[0] for name in ("class_logits", "box_deltas"))
    counted = sum(label >= 0 for label in labels)
    class_costs = box_costs = 0.0
    for index, label in enumerate(labels):
        if label == -1:
            continue
        kind = OBJECTS["classes"][0, own[index]] + 1 if label else 0
        class_costs += np.log(np.exp(logits[index]).sum()) - logits[index, kind]
        if label:
            true = encoded(real[own[index]], regions[index], np.array(DEVIATIONS))
            box_costs += smooth_l1(true - box_deltas[index, kind - 1], 1.0)
    expected |= {"class_loss": class_costs / counted, "box_loss": box_costs / counted}
    expected["head_positives"] = labels.count(1) / counted
    expected["loss"] = (
        expected["rpn_objectness_loss"]
        + 2 * expected["rpn_box_loss"]
        + expected["class_loss"]
        + 3 * expected["box_loss"]
    )
    assert logs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4, err_msg=name)


def test_no_gradient_flows_through_proposals():
    model = trainer()
    # The training step's own terms, since the sum does not show which term a gradient is from.
    with tf.GradientTape() as tape:
        terms, _ = model._terms(image(), OBJECTS, tf.constant(0), training=True)
        second_stage = terms["class_loss"] + terms["box_loss"]
    variables = {v.path: v.value for v in model.trainable_variables}
    gradients = tape.gradient(second_stage, variables)
    first_stage = [path for path in variables if path.startswith(("rpn", "objectness", "anchor_d"))]
    assert len(first_stage) == 6
    assert all(gradients[path] is None for path in first_stage)
    # The other weights, with those of the backbone, do have one.
    others = [np.abs(gradients[path]).max() for path in variables if path not in first_stage]
    assert min(others) > 0


def test_a_network_that_copies_the_truth_has_loss_0():
    model = trainer()
    proposer, _ = model._stages()
    real = OBJECTS["boxes"][0, :2]

    def copied_objects(images, training):
        first = proposer(images)
        anchors = first["anchors"].numpy()[0]
        labels, own = labelled(anchors, 0.3, 0.7, every=True)
        first["objectness"] = tf.constant([np.where(np.equal(labels, 1), 1e3, -1e3)], "float32")
        deltas = [encoded(real[k], a, 1) for k, a in zip(own, anchors, strict=True)]
        return {**first, "anchor_deltas": tf.constant([deltas], "float32")}

    def copied_classes(inputs, training):
        regions = inputs["regions"].numpy()[0]
        labels, own = labelled(regions, 0.5, 0.5, every=False)
        kinds = np.where(np.equal(labels, 1), OBJECTS["classes"][0, own] + 1, 0)
        deltas = np.zeros((1, len(regions), 2, 4))
        for index, (region, k) in enumerate(zip(regions, own, strict=True)):
            if labels[index] == 1:
                deltas[0, index, kinds[index] - 1] = encoded(real[k], region, np.array(DEVIATIONS))
        logits = 1e3 * np.eye(3)[kinds][None]
        outputs = {"class_logits": logits, "box_deltas": deltas}
        return {name: tf.constant(value, tf.float32) for name, value in outputs.items()}

    model._stages = lambda: (copied_objects, copied_classes)
    logs = model.evaluate(image(), OBJECTS, return_dict=True, verbose=0)
    assert logs.pop("rpn_positives") > 0
    # The copied anchors are proposals of the two objects, next to the objects themselves.
    assert logs.pop("head_positives") > 0
    np.testing.assert_allclose(list(logs.values()), 0, atol=1e-6)


def test_image_that_an_ignored_object_covers_has_loss_0():
    everything = {
        "boxes": np.array([[[-20, -20, 44, 44]]], "float32"),
        "classes": np.array([[0]], "int32"),
        "ignored": np.array([[True]]),
    }
    terms, fractions = trainer()._terms(image(), everything, tf.constant(0), training=False)
    assert {float(value) for value in (*terms.values(), *fractions.values())} == {0.0}


def test_anchors_across_the_border_are_trained_unless_excluded():
    both = [trainer(network(), cross_border=cross, num_anchors=999) for cross in (True, False)]
    numbers = []
    for model in both:
        targets = model._anchor_targets(
            model._stages()[0](image())["anchors"],
            objects_of(OBJECTS),
            tf.constant(0),
            None if model.cross_border else image(),
        )
        boxes = targets.boxes.numpy()[targets.labels.numpy() >= 0]
        inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= SIZE).all(axis=1)
        numbers.append((inside.sum(), (~inside).sum()))
    assert numbers[0][1] > 0
    assert numbers[1][0] > 0
    assert numbers[1][1] == 0


def test_accumulated_gradients_come_from_different_samples(monkeypatch):
    steps = []
    call = TargetSampler.__call__

    def recorded(self, boxes, objects, step, image=None):
        steps.append((self.stream, int(step)))
        return call(self, boxes, objects, step, image)

    monkeypatch.setattr(TargetSampler, "__call__", recorded)
    model = trainer(optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
    for _ in range(3):
        model.train_on_batch(image(), OBJECTS)
    assert steps == [(stream, step) for step in range(3) for stream in (0, 1)]


def test_settings_are_saved_and_invalid_ones_refused():
    model = trainer(num_anchors=7, region_thresholds=(0.2, 0.6), deviations=(1, 1, 1, 1), seed=5)
    again = FasterRCNN.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert (again.num_anchors, again.region_thresholds, again.seed) == (7, (0.2, 0.6), 5)
    for options, message in (
        ({"num_regions": 0}, "num_regions must be an integer of at least 1, not 0"),
        ({"positive_anchors": 0}, r"positive_anchors must be a number in \(0, 1\], not 0"),
        ({"anchor_thresholds": (0.7, 0.3)}, "thresholds must satisfy"),
        ({"anchor_thresholds": (0.7,)}, "anchor_thresholds must be two numbers"),
        ({"deviations": (1, 1)}, "deviations must be four numbers above 0"),
        ({"rpn_beta": 0}, "rpn_beta must be a number above 0, not 0"),
        ({"box_weight": -1}, "box_weight must be a number of at least 0, not -1"),
    ):
        with pytest.raises(ValueError, match=message):
            trainer(**options)
    with pytest.raises(ValueError, match="has 2 classes, but 3 class names"):
        FasterRCNN(network(), ["a", "b", "c"])
    with pytest.raises(ValueError, match="class_names must be distinct strings"):
        FasterRCNN(network(), ["a", "a"])
    with pytest.raises(ValueError, match="network must be a model from faster_rcnn"):
        FasterRCNN(keras.Sequential([keras.Input((3,))]), NAMES)
    with pytest.raises(ValueError, match="takes no loss: compile it without one"):
        trainer().compile("sgd", "mse")


def test_fit_refuses_impossible_boxes_in_one_line():
    inverted = {**OBJECTS, "boxes": OBJECTS["boxes"][..., [2, 3, 0, 1]]}
    with pytest.raises(ValueError, match=r"Box 0 of image 0 is .*, with right above left"):
        trainer().fit(image(), inverted, verbose=0)
    batches = tf.data.Dataset.from_tensors((image(), inverted))
    with pytest.raises(ValueError, match=r"Box 0 of image 0 is .*, with right above left"):
        trainer().fit(batches, verbose=0)
    with pytest.raises(ValueError, match=r"reads .* of shape"):
        trainer().fit(image(4), OBJECTS, verbose=0)


def squares():
    """Returns two images, each with a bright square (class 0) and a dark square (class 1)."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, (2, 32, 32, 1)).astype("float32")
    boxes = np.array([[[1, 2, 12, 13], [17, 14, 31, 28]], [[17, 2, 28, 13], [3, 17, 15, 29]]])
    for picture, (bright, dark) in zip(images, boxes, strict=True):
        picture[bright[1] : bright[3], bright[0] : bright[2]] += 1
        picture[dark[1] : dark[3], dark[0] : dark[2]] -= 1
    classes = np.tile(np.array([0, 1], "int32"), (2, 1))
    return images, {"boxes": boxes.astype("float32"), "classes": classes}


def convolutions(levels):
    images = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(16, 5, 2, "same", activation="leaky_relu")(images)
    fine = keras.layers.Conv2D(16, 5, 2, "same", activation="leaky_relu")(x)
    if levels == 1:
        return keras.Model(images, fine)
    coarse = keras.layers.Conv2D(16, 3, 2, "same", activation="leaky_relu")(fine)
    return feature_pyramid(keras.Model(images, [fine, coarse]), filters=16)


@pytest.mark.parametrize("levels", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_training_on_a_tiny_batch_finds_its_boxes(levels):
    keras.utils.set_random_seed(0)
    settings = {"sizes": (10, 14), "ratios": (1,), "filters": 16, "pool_size": 3, "units": 32}
    settings |= {"stride": 4 if levels == 1 else (4, 8), "canonical_size": 24}
    net = faster_rcnn(
        convolutions(levels), num_classes=2, min_size=3, dropout=0.0, iou_threshold=0.6, **settings
    )
    model = FasterRCNN(net, NAMES, num_proposals=50, num_anchors=64, num_regions=32)
    model.compile(keras.optimizers.Adam(0.005))
    batches = tf.data.Dataset.from_tensors(squares()).repeat(200)
    history = model.fit(batches, verbose=0).history
    assert 0 < history["rpn_positives"][0] <= 0.5
    assert 0 < history["head_positives"][0] <= 0.25
    images, truth = squares()
    found = tf.function(model.detect)(tf.constant(images), max_detections=4, score_threshold=0.3)
    np.testing.assert_array_equal(found["count"], [2, 2])
    exported = model.detector(max_detections=4, score_threshold=0.3)(images)
    for number in range(2):
        order = np.argsort(found["classes"][number, :2])
        assert found["classes"].numpy()[number, order].tolist() == [0, 1]
        # A tolerance in pixels; the squares are 11 to 14 wide.
        boxes = found["boxes"].numpy()[number, order]
        np.testing.assert_allclose(boxes, truth["boxes"][number], atol=3)
        np.testing.assert_allclose(exported["boxes"][number], found["boxes"][number], atol=1e-3)
