"""Classic networks, from the perceptron to the self-organizing map."""

import numpy as np
from contract import ModelCase

STEP = "the derivative of a step is zero"
UNSEEN = {"visible_bias": "used in pretraining only; the hidden probabilities do not depend on it"}
PATTERNS = [[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]]


def vectors(name: str, *shape: int):
    """Returns a function that makes vectors; only their batch axis is unknown."""

    def make(batch: int, size: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(batch)
        return {name: rng.normal(size=(batch, *shape)).astype("float32")}

    return make


def case(builder: str, kwargs: dict, inputs, **more) -> ModelCase:
    return ModelCase(builder, kwargs, inputs, any_size=False, **more)


CASES = {
    "perceptron": case(
        "perceptron",
        {"num_features": 3, "units": 2, "weights": [[1, -1], [1, 1], [1, 0]], "threshold": 0.5},
        vectors("features", 3),
        without_gradient={"kernel": STEP, "thresholds": STEP},
    ),
    "mlp": case(
        "mlp",
        {"input_shape": (4,), "num_outputs": 3, "hidden_units": (6, 5)},
        vectors("features", 4),
    ),
    "mlp-of-images": case(
        "mlp",
        {
            "input_shape": (3, 4, 2),
            "num_outputs": 3,
            "hidden_units": (6, 5),
            "activation": "relu",
            "dropout": 0.2,
            "output_activation": "softmax",
            "seed": 1,
        },
        vectors("features", 3, 4, 2),
    ),
    "autoencoder": case(
        "autoencoder",
        {"num_features": 6, "hidden_units": (5, 4), "code_units": 2},
        vectors("features", 6),
    ),
    "convolutional_autoencoder": case(
        "convolutional_autoencoder",
        {"input_shape": (5, 6, 2), "filters": (3, 4), "code_units": 2},
        vectors("images", 5, 6, 2),
    ),
    "restricted_boltzmann_machine": case(
        "restricted_boltzmann_machine",
        {"visible_units": 6, "hidden_units": 4, "visible": "gaussian", "seed": 1},
        vectors("visible", 6),
        without_gradient=UNSEEN,
    ),
    "deep_belief_network": case(
        "deep_belief_network",
        {"visible_units": 6, "hidden_units": (5, 4), "num_classes": 3, "seed": 1},
        vectors("visible", 6),
        without_gradient=UNSEEN,
    ),
    "deep_belief_network-dropout": case(
        "deep_belief_network",
        {
            "visible_units": 6,
            "hidden_units": (5, 4),
            "dropout": 0.4,
            "input_dropout": 0.2,
            "seed": 1,
        },
        vectors("visible", 6),
        without_gradient=UNSEEN,
    ),
    "deep_belief_network-without-classifier": case(
        "deep_belief_network",
        {"visible_units": 6, "hidden_units": (5, 4), "num_classes": 0, "visible": "gaussian"},
        vectors("visible", 6),
        without_gradient=UNSEEN,
    ),
    **{
        f"hopfield_network-{update}": case(
            "hopfield_network",
            {"units": 6, "patterns": PATTERNS, "rule": rule, "update": update},
            vectors("states", 6),
        )
        for rule, update in (("hebbian", "asynchronous"), ("projection", "synchronous"))
    },
    "self_organizing_map": case(
        "self_organizing_map",
        {"num_features": 3, "grid": (3, 2)},
        vectors("features", 3),
        outputs=("distances", "winner"),
    ),
}
