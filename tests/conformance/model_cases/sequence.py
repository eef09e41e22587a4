"""Recurrent networks of the four input and output shapes."""

import keras
import numpy as np
from contract import ModelCase


def vectors(batch: int, time: int) -> dict[str, np.ndarray]:
    """Returns vectors; the second half of the last example is zero, which is padding."""
    features = np.random.default_rng(batch).normal(size=(batch, time, 3)).astype("float32")
    features[-1, -(time // 2) or time :] = 0
    return {"features": features}


def one_vector(batch: int, time: int) -> dict[str, np.ndarray]:
    return {"features": np.random.default_rng(batch).normal(size=(batch, 3)).astype("float32")}


def ids(batch: int, time: int) -> dict[str, np.ndarray]:
    tokens = np.random.default_rng(batch).integers(1, 7, (batch, time)).astype("int32")
    tokens[-1, -(time // 2) or time :] = 0
    return {"ids": tokens}


def one_id(batch: int, time: int) -> dict[str, np.ndarray]:
    return {"ids": np.random.default_rng(batch).integers(0, 7, batch).astype("int32")}


def case(shape, inputs, **kwargs):
    read = {"num_ids": 7, "embedding_units": 3} if "id" in inputs.__name__ else {"num_features": 3}
    small = {"shape": shape, "num_outputs": 4, "units": 3, "seed": 1, **read, **kwargs}
    return ModelCase("sequence_model", small, inputs)


CASES = {
    "sequence_model-one-to-one": case("one_to_one", one_vector, depth=2, dropout=0.2),
    "sequence_model-one-to-many": case("one_to_many", one_vector, steps=3, cell="elman"),
    "sequence_model-one-to-many-feedback": case(
        "one_to_many", one_id, steps=3, feedback=True, depth=2
    ),
    "sequence_model-many-to-one": case(
        "many_to_one", ids, mask_zero=True, bidirectional=True, cell="gru", dropout=0.2
    ),
    "sequence_model-many-to-one-jordan": case(
        "many_to_one", vectors, mask_zero=True, bidirectional=True, cell="jordan", depth=2
    ),
    "sequence_model-many-to-many": case(
        "many_to_many", vectors, mask_zero=True, cell="peephole_lstm", depth=2, dropout=0.2
    ),
    "sequence_model-many-to-many-own-cell": case(
        "many_to_many", vectors, cell=keras.layers.GRUCell
    ),
    "sequence_model-encoder-decoder": case(
        "many_to_many", ids, steps=3, mask_zero=True, bidirectional=True, dropout=0.2
    ),
    "sequence_model-encoder-decoder-feedback": case(
        "many_to_many", vectors, steps=3, feedback=True, cell="peephole_lstm"
    ),
}
