"""Character language models."""

import numpy as np
from contract import ModelCase

CONDITIONS = {"tone": 3, "place": 5}


def characters(batch: int, time: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(batch)
    return {"characters": rng.integers(0, 7, (batch, time)).astype("int32")}


def with_conditions(batch: int, time: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(batch + 1)
    ids = {name: rng.integers(0, size, (batch, time)) for name, size in CONDITIONS.items()}
    return {**characters(batch, time), **{k: v.astype("int32") for k, v in ids.items()}}


def case(inputs, **kwargs):
    small = {"num_characters": 7, "units": 4, "embedding_units": 3, "condition_units": 2}
    return ModelCase("character_lm", {**small, "seed": 1, **kwargs}, inputs)


CASES = {
    "character_lm": case(characters, dropout=0.2),
    "character_lm-conditioned": case(with_conditions, conditions=CONDITIONS, cell="peephole_lstm"),
    "character_lm-untied": case(
        with_conditions, conditions=CONDITIONS, tied=False, depth=1, cell="elman"
    ),
    "character_lm-gru": case(characters, cell="gru", depth=3),
}
