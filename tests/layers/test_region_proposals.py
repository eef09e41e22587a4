import keras
import numpy as np
import pytest
from contract import gradients_of

from dlrecipes.layers import BoxCoder, NonMaxSuppression, RegionProposals

IMAGE = np.zeros((1, 60, 80, 3), "float32")


def inputs(number=50):
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(-10, 70, (number, 2)), rng.uniform(5, 40, (number, 2))
    anchors = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    deltas = (0.2 * rng.normal(size=(1, number, 4))).astype("float32")
    return rng.normal(size=(1, number)).astype("float32"), deltas, anchors


def test_proposals_are_decoded_clipped_filtered_and_suppressed():
    objectness, deltas, anchors = inputs()
    layer = RegionProposals(20, max_candidates=30, iou_threshold=0.4, min_size=8)
    proposals = layer(objectness, deltas, anchors, IMAGE)

    boxes = keras.ops.convert_to_numpy(BoxCoder()(deltas, anchors))[0].reshape(-1, 2, 2)
    boxes = np.clip(boxes, 0, [80, 60])
    large = ((boxes[:, 1] - boxes[:, 0]) >= 8).all(axis=-1)
    assert 0 < large.sum() < len(large)
    order = [i for i in np.argsort(-objectness[0]) if large[i]][:30]
    kept = NonMaxSuppression(20, 0.4)(boxes[order].reshape(1, -1, 4), objectness[:, order])
    logits = keras.ops.convert_to_numpy(kept["scores"])
    real = keras.ops.convert_to_numpy(kept["indices"]) >= 0
    assert not real.all()
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(proposals["boxes"]),
        keras.ops.convert_to_numpy(kept["boxes"]),
        atol=1e-5,
    )
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(proposals["scores"]),
        np.where(real, 1 / (1 + np.exp(-logits)), 0),
        rtol=1e-5,
    )


def test_proposals_with_saturated_scores_keep_their_order():
    # Both probabilities are 1 in float32.
    anchors = np.array([[0, 0, 20, 20], [40, 40, 60, 60]], "float32")
    objectness = np.array([[40, 50]], "float32")
    proposals = RegionProposals(2)(objectness, np.zeros((1, 2, 4), "float32"), anchors, IMAGE)
    assert keras.ops.convert_to_numpy(proposals["boxes"])[0, 0].tolist() == [40, 40, 60, 60]


class Learning(keras.layers.Layer):
    """Holds objectness and deltas as weights, so that their gradients can be computed."""

    def __init__(self, objectness, deltas, anchors):
        super().__init__()
        self.propose, self.anchors = RegionProposals(10), anchors
        self.held = [
            self.add_weight(x.shape, name=f"x{len(x.shape)}") for x in (objectness, deltas)
        ]
        for weight, value in zip(self.held, (objectness, deltas), strict=True):
            weight.assign(value)

    def call(self, image):
        held = [keras.ops.convert_to_tensor(x) for x in self.held]
        boxes = self.propose(*held, self.anchors, image)["boxes"]
        return boxes + sum(keras.ops.sum(x) for x in held)


def test_proposals_carry_no_gradient():
    image = keras.Input(batch_shape=IMAGE.shape, name="image")
    model = keras.Model({"image": image}, Learning(*inputs())(image))
    gradients = gradients_of(model, {"image": IMAGE})
    upstream = np.random.default_rng(1).normal(size=(1, 10, 4)).astype("float32").sum()
    # The remaining gradient comes from the sum that is added to the proposals.
    for gradient in gradients:
        np.testing.assert_allclose(gradient, np.full(gradient.shape, upstream), rtol=1e-4)


@pytest.mark.parametrize(
    "name, value",
    [("num_proposals", 0), ("max_candidates", 0), ("iou_threshold", 2), ("min_size", -1)],
)
def test_invalid_arguments_raise(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        RegionProposals(**{name: value})
