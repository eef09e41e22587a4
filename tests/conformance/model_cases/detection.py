"""Object detectors."""

import keras
import numpy as np
from contract import ModelCase

from dlrecipes import models

RPN = {
    "sizes": (6, 12),
    "ratios": (0.5, 1),
    "stride": 4,
    "filters": 6,
    "num_proposals": 6,
    "max_candidates": 20,
    "min_size": 2,
}
HEADS = {**RPN, "num_classes": 2, "pool_size": 2, "units": 5, "seed": 1}


def backbone():
    # The order of the boxes depends on the weights, which are therefore the same in each test.
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Conv2D(4, 5, 2, "same", activation="relu")(images)
    return keras.Model(images, keras.layers.Conv2D(4, 3, 2, "same")(x))


def two_maps():
    keras.utils.set_random_seed(1)
    images = keras.Input((None, None, 3), name="images")
    fine = keras.layers.Conv2D(4, 5, 4, "same", activation="relu")(images)
    return keras.Model(images, [fine, keras.layers.Conv2D(6, 3, 2, "same")(fine)])


def network():
    return models.faster_rcnn(backbone(), **HEADS)


def images(batch: int, size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(batch)
    return {"images": rng.normal(size=(batch, size, size + 4, 3)).astype("float32")}


CHOICE = "rounding decides the order of boxes with nearly equal scores"
SIZES = (12, 20, 5)
PROPOSED = ("objectness", "anchor_deltas", "anchors", "proposals", "proposal_scores")
CASES = {
    "region_proposal_network": ModelCase(
        "region_proposal_network",
        lambda: {"backbone": backbone(), **RPN},
        images,
        PROPOSED,
        SIZES,
        discontinuous={"proposals": CHOICE},
    ),
    "faster_rcnn": ModelCase(
        "faster_rcnn",
        lambda: {"backbone": backbone(), **HEADS},
        images,
        (*PROPOSED, "class_logits", "box_deltas"),
        SIZES,
        discontinuous=dict.fromkeys(("proposals", "class_logits", "box_deltas"), CHOICE),
    ),
    "faster_rcnn, feature pyramid": ModelCase(
        "faster_rcnn",
        lambda: {
            "backbone": models.feature_pyramid(two_maps(), filters=4, extra_levels=1),
            **HEADS,
            "sizes": (6, 12, 24),
            "stride": (4, 8, 16),
            "canonical_size": 32,
        },
        images,
        (*PROPOSED, "class_logits", "box_deltas"),
        SIZES,
        discontinuous=dict.fromkeys(
            ("proposals", "proposal_scores", "class_logits", "box_deltas"), CHOICE
        ),
    ),
    "feature_pyramid": ModelCase(
        "feature_pyramid",
        lambda: {"backbone": two_maps(), "filters": 5, "extra_levels": 1},
        images,
        sizes=SIZES,
    ),
    "faster_rcnn_detector": ModelCase(
        "faster_rcnn_detector",
        lambda: {"network": network(), "max_detections": 5},
        images,
        ("boxes", "scores", "classes", "count"),
        SIZES,
        without_gradient=dict.fromkeys(
            ("objectness", "anchor_deltas", "rpn"), "the gradient treats proposals as constants"
        ),
        discontinuous=dict.fromkeys(("boxes", "classes", "count"), CHOICE),
    ),
}
