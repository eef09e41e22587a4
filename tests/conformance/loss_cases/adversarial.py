"""Losses of a discriminator and a generator."""

import numpy as np
from contract import LossCase

# Patch logits of two examples, none at a kink of the hinge loss.
REAL = np.array([[[1.5, -0.5], [0.25, 3.0]], [[-2.0, 0.5], [0.0, -1.25]]])
FAKE = np.array([[[-1.5, 0.5], [0.75, -3.0]], [[2.0, -0.25], [0.0, 1.25]]])
BOTH = {"real_logits": REAL, "fake_logits": FAKE}

CASES = {
    **{
        f"{game}_{player}_loss": LossCase(
            BOTH if player == "discriminator" else {"fake_logits": FAKE}
        )
        for game in ("minimax", "non_saturating", "least_squares", "hinge", "wasserstein")
        for player in ("discriminator", "generator")
    },
    "minimax_discriminator_loss-smoothed": LossCase(BOTH, {"label_smoothing": 0.1}),
    "non_saturating_discriminator_loss-smoothed": LossCase(BOTH, {"label_smoothing": 0.1}),
    "least_squares_discriminator_loss-targets": LossCase(
        BOTH, {"real_target": 1.0, "fake_target": -1.0}
    ),
    "least_squares_generator_loss-target": LossCase({"fake_logits": FAKE}, {"target": 0.0}),
    "gradient_penalty": LossCase({"gradients": REAL}),
    "gradient_penalty-towards-zero": LossCase({"gradients": REAL}, {"target": 0.0}),
}
