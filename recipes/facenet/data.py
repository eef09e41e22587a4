"""The faces that FaceNet learns from: built-in, or the user's own; and their augmentation."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from dlrecipes.data import augmentation
from dlrecipes.data.faces import (
    Size,
    builtin_faces,
    check_faces,
    described,
    read_faces,
    tfds_faces,
)
from dlrecipes.data.few_examples import few_in_all
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.splits import report_splits
from dlrecipes.data.sources import BUILTIN, load_source, source_name
from dlrecipes.recipe import Splits

from .config import Config

HELD_OUT = 40
EACH = 8
# With fewer people to learn from, a network hardly generalizes to others.
ENOUGH_PEOPLE = 20
TEST_SET = (
    f"They are drawn faces of {HELD_OUT} people who are not in the training data; photographs of "
    "real people are harder."
)


def size_of(config: Config) -> Size:
    """Returns the size that images are cropped and resized to."""
    return Size(config.size, config.crop, 3 if config.colour else 1)


def load(config: Config) -> Splits:
    """Returns the images that `--data` names, of different people in each split.

    Raises:
        DataError: If the data cannot be read; the message names the folder or file.
    """
    size, seed = size_of(config), config.seed
    notes: list[str] = []
    people = (config.people - 2 * HELD_OUT, HELD_OUT, HELD_OUT)
    parts = load_source(
        config.data,
        builtin=lambda: builtin_faces(people, EACH, size, seed),
        folder=lambda path: read_faces(path, size, seed, notes.append),
        tfds=lambda name: tfds_faces(name, Path(config.data_dir), size, seed),
    )
    expect = "expect strangers to be confused; more people help more than more images of each"
    few = few_in_all(parts[0].people, ENOUGH_PEOPLE, "people", expect)
    name = source_name(config.data, f"drawn faces, seed {seed}")
    return Splits(
        *parts,
        description={"name": name, **described(parts)},
        notes=notes,
        training_notes=few,
        test_set=TEST_SET if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the images that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """

    def examples(*_: object) -> DataReport:
        return report_splits(load(config), groups="people")

    return load_source(
        config.data,
        builtin=examples,
        folder=lambda path: check_faces(path, config.data),
        tfds=examples,
    )


def augment(images: tf.Tensor, config: Config, seed: tf.Tensor) -> tf.Tensor:
    """Returns a training batch with the random changes that the settings enable.

    Args:
        images: float32 of shape `(people * images_per_person, side, side, channels)`, 0 to 1; a
            person's images follow one another.
        config: The settings.
        seed: Random seed, two integers; the result depends on nothing else.
    """
    seeds = [seed + tf.constant([number, 0]) for number in range(4)]
    if config.warp:
        images = augmentation.warp(images, config.images_per_person, config.warp, seeds[2])
    if config.glasses:
        images = augmentation.wear_glasses(images, config.glasses, seeds[3])
    if config.flip:
        images = augmentation.random_flip(images, seeds[0])
    return augmentation.random_erasing(images, config.random_erasing, seeds[1])
