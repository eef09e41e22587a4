"""Networks that embed images of faces as unit vectors."""

import numpy as np
from contract import ModelCase


def faces(channels: int, extra: int = 0):
    """Returns a function that makes images whose height exceeds their width by `extra`."""

    def make(batch: int, size: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        return {"images": rng.normal(size=(batch, size + extra, size, channels)).astype("float32")}

    return make


SMALL = {"embedding_units": 6, "dropout": 0.2, "seed": 1}
CASES = {
    "facenet_small": ModelCase(
        "facenet_small", {**SMALL, "filters": (3, 4)}, faces(1, 2), sizes=(8, 9, 4)
    ),
    "facenet_small-of-one-size": ModelCase(
        "facenet_small",
        {"input_shape": (18, 16, 3), "filters": (3, 4, 4, 5), "pooling": "flatten"},
        faces(3, 2),
        sizes=(16,),
        any_size=False,
    ),
    "facenet_inception_resnet": ModelCase(
        "facenet_inception_resnet",
        {**SMALL, "input_shape": (None, None, 1), "repeats": (1, 1, 1), "width": 0.05},
        faces(1, 3),
        sizes=(75, 80),
    ),
}
