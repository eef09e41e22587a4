"""Losses on embeddings."""

import numpy as np
from contract import LossCase

RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(6, 3)) / 2
LABELS = np.array([0, 1, 0, 1, 2, 0])
MININGS = ("batch_all", "batch_all_nonzero", "semi_hard", "hard", "batch_hard")

CASES = {
    **{
        f"triplet_loss-{mining}": LossCase(
            {"embeddings": EMBEDDINGS}, {"labels": LABELS, "mining": mining}
        )
        for mining in MININGS
    },
    "triplet_loss-euclidean": LossCase(
        {"embeddings": EMBEDDINGS}, {"labels": LABELS, "metric": "euclidean"}
    ),
    "triplet_loss-cosine": LossCase(
        {"embeddings": EMBEDDINGS}, {"labels": LABELS, "metric": "cosine"}
    ),
    "contrastive_loss": LossCase(
        {"first": EMBEDDINGS[:4], "second": EMBEDDINGS[2:]}, {"same": np.array([1, 0, 0, 1])}
    ),
}
