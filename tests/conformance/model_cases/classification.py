"""Image classifiers."""

import keras
import numpy as np
from contract import ModelCase


def images(channels: int = 3):
    """Returns a function that makes random images of `size` by `size` pixels."""

    def make(batch: int, size: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        return {"images": rng.normal(size=(batch, size, size, channels)).astype("float32")}

    return make


# Seeded, because all ReLUs of a layer with two or three units could be dead from the start.
SMALL = {"num_classes": 4, "kernel_initializer": keras.initializers.HeNormal(seed=1), "seed": 1}
PAPER = {
    "activation": "scaled_tanh",
    "pooling": "trainable",
    "connections": "paper",
    "output": "rbf",
}

CASES = {
    "lenet5": ModelCase(
        "lenet5",
        {"input_shape": (28, 28, 1), "padding": "same", "dropout": 0.2, "seed": 1},
        images(1),
        sizes=(28, 28),
        any_size=False,
    ),
    "lenet5-of-the-paper": ModelCase(
        "lenet5",
        {"num_classes": 4, "classifier_activation": None, **PAPER},
        images(1),
        sizes=(32, 32),
        any_size=False,
        # The logits are squared distances of about 84, the number of units in F6.
        tolerance=0.1,
    ),
    "small_cnn": ModelCase(
        "small_cnn",
        {**SMALL, "input_shape": (28, 28, 1), "width": 1 / 8},
        images(1),
        sizes=(28, 28),
        any_size=False,
    ),
    "small_resnet": ModelCase(
        "small_resnet",
        {**SMALL, "input_shape": (None, None, 3), "width": 1 / 8},
        images(),
        sizes=(16, 21, 1),
    ),
    "small_resnet-strided": ModelCase(
        "small_resnet",
        {
            **SMALL,
            "input_shape": (None, None, 3),
            "width": 1 / 8,
            "stem_stride": 2,
            "filters": (16, 32),
            "blocks": 2,
            "dropout": 0.2,
        },
        images(),
        sizes=(16, 21, 1),
    ),
    "alexnet": ModelCase(
        "alexnet",
        {**SMALL, "input_shape": (67, 67, 3), "width": 1 / 16},
        images(),
        sizes=(67, 67),
        any_size=False,
    ),
    **{
        f"vgg-{'normalized' if normalized else 'plain'}": ModelCase(
            "vgg",
            {
                **SMALL,
                "depth": 11,
                "input_shape": (32, 32, 3),
                "width": 1 / 16,
                "batch_normalization": normalized,
            },
            images(),
            sizes=(32, 32),
            any_size=False,
        )
        for normalized in (False, True)
    },
    "googlenet": ModelCase(
        "googlenet",
        {**SMALL, "input_shape": (None, None, 3), "width": 1 / 8},
        images(),
        sizes=(32, 45, 1),
    ),
    "googlenet-auxiliary": ModelCase(
        "googlenet",
        {**SMALL, "input_shape": (65, 65, 3), "auxiliary": True, "width": 1 / 8},
        images(),
        ("predictions", "auxiliary_1", "auxiliary_2"),
        sizes=(65, 65),
        any_size=False,
    ),
    "resnet-18": ModelCase(
        "resnet",
        {
            **SMALL,
            "depth": 18,
            "input_shape": (None, None, 3),
            "width": 1 / 16,
            "stem": "small",
            "shortcut": "A",
            "dropout": 0.2,
        },
        images(),
        sizes=(16, 19, 1),
    ),
    "resnet-50": ModelCase(
        "resnet",
        {**SMALL, "depth": 50, "input_shape": (None, None, 3), "width": 1 / 16},
        images(),
        sizes=(33, 40, 1),
    ),
}
