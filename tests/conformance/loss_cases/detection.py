"""Losses of detectors."""

import numpy as np
from contract import LossCase

RNG = np.random.default_rng(0)

CASES = {
    "detection_loss": LossCase(
        {
            "class_logits": RNG.normal(size=(2, 4, 4)),
            "box_deltas": 2 * RNG.normal(size=(2, 4, 3, 4)),
        },
        {
            "labels": np.array([[0, 3, -1, 1], [2, 0, -1, -1]]),
            "deltas": RNG.normal(size=(2, 4, 4)),
            "box_weight": 2.0,
        },
    ),
    "region_proposal_loss": LossCase(
        {
            "objectness": RNG.normal(size=(2, 5)),
            "anchor_deltas": 2 * RNG.normal(size=(2, 5, 4)),
        },
        {
            "labels": np.array([[0, 1, -1, 1, 0], [-1, -1, 0, 1, -1]]),
            "deltas": RNG.normal(size=(2, 5, 4)),
        },
    ),
}
