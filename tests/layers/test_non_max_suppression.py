import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from contract import gradients_of, on_tensorflow

from dlrecipes.export._flatbuffers import Table as Model
from dlrecipes.export._litert_schema import ModelField
from dlrecipes.export.litert import convert
from dlrecipes.export.signatures import Signature
from dlrecipes.layers import NonMaxSuppression


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def greedy(boxes, scores, most, overlap, floor=-np.inf, candidates=None, classes=None):
    """The greedy algorithm, box by box."""
    left = [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] > floor]
    left, kept = left[:candidates], []
    while left and len(kept) < most:
        best = left.pop(0)
        kept.append(best)
        left = [
            i
            for i in left
            if iou(boxes[best], boxes[i]) <= overlap
            or (classes is not None and classes[i] != classes[best])
        ]
    return kept


def random_boxes(seed, number, extent=30):
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, extent, (number, 2)), rng.uniform(1, 20, (number, 2))
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    return boxes, rng.normal(size=number).astype("float32")


@pytest.fixture(params=["operation", "operation for each class", "loop"])
def suppress(request):
    """Suppresses the boxes of one image in each way that the layer knows."""

    def call(layer, boxes, scores):
        if request.param == "operation":
            return run(layer, boxes, scores)
        known = 2 if request.param == "operation for each class" else None
        layer = NonMaxSuppression.from_config({**layer.get_config(), "num_classes": known})
        outputs = run(layer, boxes, scores, np.ones(len(scores), "int32"))
        outputs.pop("classes")
        return outputs

    return call


def run(layer, *inputs):
    outputs = layer(*(keras.ops.convert_to_tensor(x[None]) for x in inputs))
    return {name: keras.ops.convert_to_numpy(x)[0] for name, x in outputs.items()}


def assert_kept(outputs, expected, boxes, scores):
    number, most = len(expected), len(outputs["indices"])
    assert outputs["count"] == number
    assert outputs["indices"].tolist() == expected + [-1] * (most - number)
    np.testing.assert_array_equal(outputs["boxes"][:number], boxes[expected])
    np.testing.assert_array_equal(outputs["scores"][:number], scores[expected])
    assert not outputs["boxes"][number:].any()
    assert not outputs["scores"][number:].any()


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("most", [1, 8, 60])
def test_kept_boxes_equal_the_greedy_loop(suppress, overlap, most):
    layer = NonMaxSuppression(most, overlap)
    for seed in range(2):
        boxes, scores = random_boxes(seed, 40)
        assert_kept(
            suppress(layer, boxes, scores), greedy(boxes, scores, most, overlap), boxes, scores
        )


def test_equal_scores_keep_the_order_of_the_inputs(suppress):
    rng = np.random.default_rng(1)
    layer = NonMaxSuppression(20, 0.4)
    for seed in range(5):
        boxes, _ = random_boxes(seed, 40)
        scores = rng.integers(0, 3, 40).astype("float32")
        expected = greedy(boxes, scores, 20, 0.4)
        assert_kept(suppress(layer, boxes, scores), expected, boxes, scores)


def test_only_one_of_identical_boxes_is_kept_and_all_boxes_without_area(suppress):
    box = [2.0, 3.0, 9.0, 8.0]
    # A point, a line and a box with swapped corners, twice each.
    degenerate = [[4.0, 4, 4, 4]] * 2 + [[1.0, 1, 6, 1]] * 2 + [[9.0, 8, 2, 3]] * 2
    boxes = np.array([box, box, box, *degenerate], "float32")
    scores = np.array([1, 3, 2, 9, 8, 7, 6, 5, 4], "float32")
    assert_kept(suppress(NonMaxSuppression(9), boxes, scores), [3, 4, 5, 6, 7, 8, 1], boxes, scores)
    assert greedy(boxes, scores, 9, 0.5) == [3, 4, 5, 6, 7, 8, 1]


def test_an_overlap_equal_to_the_threshold_is_kept(suppress):
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 3]], "float32")
    scores = np.array([3, 2, 1], "float32")
    # The second box covers 1/2 of the first, and the third 3/4.
    assert_kept(suppress(NonMaxSuppression(3, 0.5), boxes, scores), [0, 1], boxes, scores)


@pytest.mark.parametrize("num_classes", [None, 3, 5])
def test_boxes_suppress_only_their_own_class(num_classes):
    classes = np.random.default_rng(2).integers(0, 3, 40).astype("int32")
    layer = NonMaxSuppression(15, 0.3, num_classes=num_classes)
    for seed in range(5):
        boxes, scores = random_boxes(seed, 40, extent=10)
        outputs = run(layer, boxes, scores, classes)
        expected = greedy(boxes, scores, 15, 0.3, classes=classes)
        assert expected != greedy(boxes, scores, 15, 0.3)
        assert_kept(outputs, expected, boxes, scores)
        padding = [-1] * (15 - len(expected))
        assert outputs["classes"].tolist() == classes[expected].tolist() + padding


def test_boxes_of_other_classes_than_the_known_ones_are_not_kept():
    boxes, scores = random_boxes(0, 5, extent=1000)
    classes = np.array([0, 2, -1, 1, 7], "int32")
    outputs = run(NonMaxSuppression(5, num_classes=2), boxes, scores, classes)
    expected = [int(k) for k in np.argsort(-scores) if k in (0, 3)]
    assert_kept(outputs, expected, boxes, scores)


@on_tensorflow
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_a_litert_file_keeps_the_same_boxes_without_a_second_subgraph(overlap):
    # Whole numbers make scores equal, and overlaps equal to the threshold.
    rng = np.random.default_rng(3)
    corner, side = rng.integers(0, 12, (40, 2)), rng.integers(0, 5, (40, 2))
    boxes = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    scores = rng.integers(0, 3, 40).astype("float32")
    classes = rng.integers(0, 2, 40).astype("int32")
    layer = NonMaxSuppression(30, overlap, score_threshold=0.5, num_classes=2)
    specs = [
        tf.TensorSpec([1, 40, 4], tf.float32, name="boxes"),
        tf.TensorSpec([1, 40], tf.float32, name="scores"),
        tf.TensorSpec([1, 40], tf.int32, name="classes"),
    ]
    content = convert(Signature(layer, specs, []))
    assert len(Model(content).tables(ModelField.SUBGRAPHS)) == 1
    lite = Interpreter(model_content=content).get_signature_runner()
    outputs = lite(boxes=boxes[None], scores=scores[None], classes=classes[None])
    expected = greedy(boxes, scores, 30, overlap, floor=0.5, classes=classes)
    assert_kept({name: value[0] for name, value in outputs.items()}, expected, boxes, scores)


def test_scores_must_be_above_the_threshold_and_among_the_best():
    boxes, scores = random_boxes(0, 40)
    scores[7] = 0.25
    outputs = run(NonMaxSuppression(40, 0.5, score_threshold=0.25), boxes, scores)
    assert_kept(outputs, greedy(boxes, scores, 40, 0.5, floor=0.25), boxes, scores)
    outputs = run(NonMaxSuppression(40, 0.5, max_candidates=12), boxes, scores)
    assert_kept(outputs, greedy(boxes, scores, 40, 0.5, candidates=12), boxes, scores)


def test_nan_and_minus_infinity_scores_are_never_kept(suppress):
    boxes, scores = random_boxes(0, 6, extent=1000)
    scores[[1, 4]] = np.nan, -np.inf
    outputs = suppress(NonMaxSuppression(6), boxes, scores)
    assert_kept(outputs, greedy(boxes, scores, 6, 0.5), boxes, scores)
    assert outputs["count"] == 4


def test_outputs_without_a_kept_box_are_padding(suppress):
    boxes, scores = random_boxes(0, 6)
    assert_kept(
        suppress(NonMaxSuppression(3, score_threshold=99.0), boxes, scores), [], boxes, scores
    )


def test_images_of_a_batch_are_independent():
    pairs = [random_boxes(seed, 30) for seed in range(3)]
    boxes, scores = (np.stack(x) for x in zip(*pairs, strict=True))
    outputs = NonMaxSuppression(10, 0.4)(boxes, scores)
    indices = keras.ops.convert_to_numpy(outputs["indices"])
    for row, (own_boxes, own_scores) in zip(indices, pairs, strict=True):
        expected = greedy(own_boxes, own_scores, 10, 0.4)
        assert row.tolist() == expected + [-1] * (10 - len(expected))


class Scored(keras.layers.Layer):
    """Holds the scores as a weight, so that their gradient can be computed."""

    def __init__(self, scores):
        super().__init__()
        self.suppress = NonMaxSuppression(4, 0.3)
        self.held = self.add_weight(scores.shape, name="scores")
        self.held.assign(scores)

    def call(self, boxes):
        return self.suppress(boxes, keras.ops.convert_to_tensor(self.held))["scores"]


def test_gradient_flows_only_to_the_selected_scores():
    boxes, scores = random_boxes(0, 12)
    expected = np.zeros((1, 12), "float32")
    upstream = np.random.default_rng(1).normal(size=(1, 4))
    kept = greedy(boxes, scores, 4, 0.3)
    expected[0, kept] = upstream[0, : len(kept)]
    inputs = keras.Input(batch_shape=(1, 12, 4), name="boxes")
    model = keras.Model({"boxes": inputs}, Scored(scores[None])(inputs))
    gradient = gradients_of(model, {"boxes": boxes[None]})[0]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize(
    "name, value",
    [
        ("max_detections", 0),
        ("max_detections", True),
        ("max_candidates", 0),
        ("num_classes", 0),
        ("iou_threshold", 1.5),
        ("iou_threshold", None),
        ("iou_threshold", "0.5"),
        ("score_threshold", "0.5"),
    ],
)
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        NonMaxSuppression(**{name: value})


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (((5, 4), (5,)), "boxes"),
        (((1, 5, 3), (1, 5)), "boxes"),
        (((1, 5, 4), (1, 5, 1)), "scores"),
        (((1, 5, 4), (1, 5), (5,)), "classes"),
    ],
)
def test_other_shapes_raise(shapes, name):
    for make in (lambda shape: np.zeros(shape, "float32"), keras.KerasTensor):
        with pytest.raises(ValueError, match=rf"{name} must be of shape \(batch, boxes"):
            NonMaxSuppression()(*(make(shape) for shape in shapes))
