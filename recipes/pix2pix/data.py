"""The pairs of images that pix2pix learns from: built-in, or the user's own."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.few_examples import few_in_all
from dlrecipes.data.image_pairs import (
    ImagePairs,
    builtin_pairs,
    check_pairs,
    described,
    read_pairs,
)
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.splits import report_splits
from dlrecipes.data.sources import BUILTIN, load_source, source_name
from dlrecipes.recipe import Splits

from .config import Config

# With fewer pairs, new images are translated worse than those of the training.
ENOUGH = 50
TEST_SET = (
    "They are drawn facades with exact label maps, not photographs, whose textures and labels are "
    "less regular."
)


def load(config: Config) -> Splits:
    """Returns the pairs that `--data` names.

    Raises:
        DataError: If the data cannot be read; the message names the folder or file.
        UsageError: If the data is a TFDS dataset.
    """
    held_out = max(4, config.examples // 8)
    counts = (config.examples, held_out, held_out)
    notes: list[str] = []
    parts = load_source(
        config.data,
        builtin=lambda: builtin_pairs(counts, config.size, config.seed),
        folder=lambda path: read_pairs(path, config.size, config.seed, config.pairs, notes.append),
        recipe="pix2pix",
        expected="a folder of pairs of images",
    )
    expect = "expect good translations of these, and blurred ones of others"
    few = few_in_all(len(parts[0]), ENOUGH, "pairs", expect)
    name = source_name(config.data, f"generated facades, seed {config.seed}")
    if config.data != BUILTIN:
        first, second = config.direction.split("_to_")
        notes.append(f"The {first} image is translated into the {second} one (--direction).")
    return Splits(
        *parts,
        description={"name": name, **described(parts)},
        notes=notes,
        training_notes=few,
        test_set=TEST_SET if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the pairs that `--data` names.

    Raises:
        DataError: If nothing can be read.
        UsageError: If the data is a TFDS dataset.
    """
    return load_source(
        config.data,
        builtin=lambda: report_splits(load(config)),
        folder=lambda path: check_pairs(path, config.data, config.pairs),
        recipe="pix2pix",
        expected="a folder of pairs of images",
    )


def sides(config: Config, pairs: ImagePairs) -> tuple[np.ndarray, np.ndarray]:
    """Returns the inputs and the targets, both uint8."""
    if config.direction == "right_to_left":
        return pairs.right, pairs.left
    return pairs.left, pairs.right
