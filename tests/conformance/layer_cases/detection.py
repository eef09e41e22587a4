"""Anchors, boxes and regions."""

import numpy as np
from contract import LayerCase

from dlrecipes import layers


def boxes(rng, shape, extent=40.0):
    """Returns boxes with their corners in a square of `extent` pixels."""
    ends = rng.uniform(0, extent, (2, *shape[:-1], 2))
    return np.concatenate([ends.min(axis=0), ends.max(axis=0)], axis=-1).astype("float32")


def normal(rng, shape):
    return rng.normal(size=shape).astype("float32")


def deltas_and_anchors(rng, shapes):
    return [normal(rng, shapes[0]), boxes(rng, shapes[1]), normal(rng, shapes[2])]


def scored_boxes(rng, shapes):
    classes = rng.integers(0, 2, shapes[2]).astype("int32")
    return [boxes(rng, shapes[0]), normal(rng, shapes[1]), classes]


def proposal_inputs(rng, shapes):
    objectness, deltas, anchors, image = shapes
    return [normal(rng, objectness), *deltas_and_anchors(rng, [deltas, anchors, image])]


def features_and_boxes(rng, shapes):
    return [normal(rng, shapes[0]), boxes(rng, shapes[1])]


def maps_and_boxes(rng, shapes):
    return [normal(rng, shape) for shape in shapes[:2]] + [boxes(rng, shapes[2])]


def boxes_objects_image(rng, shapes):
    return [boxes(rng, shapes[0]), boxes(rng, shapes[1]), normal(rng, shapes[2])]


IMAGE = (32, 24, 3)
CASES = {
    "AnchorBoxes": LayerCase(
        lambda **kwargs: layers.AnchorBoxes((8, 16), (0.5, 1), 4, **kwargs),
        ((None, None, 3),),
        sizes=(3, 5, 1),
        # The output has no batch axis.
        independent=False,
        trainable=False,
    ),
    "BoxCoder": LayerCase(
        lambda **kwargs: layers.BoxCoder((0.1, 0.1, 0.2, 0.2), 4.0, **kwargs),
        ((None, 4), (None, 4), IMAGE),
        data=deltas_and_anchors,
        trainable=False,
    ),
    "BoxMatcher": LayerCase(
        lambda **kwargs: layers.BoxMatcher(0.4, 0.2, **kwargs),
        ((None, 4), (None, 4), (48, 40, 3)),
        data=boxes_objects_image,
        trainable=False,
    ),
    "NonMaxSuppression": LayerCase(
        lambda **kwargs: layers.NonMaxSuppression(6, 0.3, -1.0, 10, **kwargs),
        ((None, 4), (None,), (None,)),
        sizes=(40, 5, 1),
        data=scored_boxes,
        trainable=False,
    ),
    "PyramidRoIAlign": LayerCase(
        lambda **kwargs: layers.PyramidRoIAlign((4, 8), 3, 1, 40.0, **kwargs),
        ((None, None, 4), (3, 3, 4), (None, 4)),
        call=lambda layer, inputs: layer(inputs[:2], inputs[2]),
        data=maps_and_boxes,
        trainable=False,
    ),
    "RegionProposals": LayerCase(
        lambda **kwargs: layers.RegionProposals(6, 20, 0.5, 4.0, **kwargs),
        ((None,), (None, 4), (None, 4), IMAGE),
        sizes=(30, 5, 1),
        data=proposal_inputs,
        trainable=False,
    ),
    "RoIAlign": LayerCase(
        lambda **kwargs: layers.RoIAlign(3, 2, 1 / 8, **kwargs),
        ((None, None, 4), (None, 4)),
        data=features_and_boxes,
        trainable=False,
    ),
}
