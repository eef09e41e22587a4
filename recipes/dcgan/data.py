"""The images that DCGAN learns to resemble: built-in, a folder, or a TFDS dataset."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlrecipes.data import image_files
from dlrecipes.data.digits import LabelledImages, builtin_digits
from dlrecipes.data.faces import Size, fit_image
from dlrecipes.data.few_examples import few_in_all
from dlrecipes.data.generated.facades import generated_facades
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.images import ImageCheck
from dlrecipes.data.reports.splits import check_source
from dlrecipes.data.resized_images import (
    check_resized_images,
    read_resized_images,
    tfds_resized_images,
)
from dlrecipes.data.sources import BUILTIN, load_source, source_name
from dlrecipes.errors import DataError
from dlrecipes.recipe import Splits

from .config import Config

PARTS = ("train", "validation", "test")
# Fractions of the images that replace a missing part.
SHARES = {"validation": 0.1, "test": 0.1}
FACES, EACH, FACADES = 300, 6, 1500
# Recall needs more than three neighbours.
LEAST, LEAST_HELD_OUT = 40, 4
# With fewer images the discriminator remembers each of them.
ENOUGH = 200
_ALIKE = "so that a distance to them is not comparable with one to photographs."
TEST_SETS = {
    "digits": "They are scikit-learn's digits of 8x8 pixels, enlarged, by the writers of the "
    f"training images, {_ALIKE}",
    "faces": f"They are drawn faces of people who are also in the training data, {_ALIKE}",
    "facades": f"They are drawn facades, {_ALIKE}",
}


def load(config: Config) -> Splits:
    """Returns the images that `--data` names.

    Raises:
        DataError: If the data cannot be read; the message names the folder or file.
        UsageError: If the settings do not suit the data.
    """
    notes: list[str] = []
    parts = load_source(
        config.data,
        builtin=lambda: {"train": _builtin(config)},
        folder=lambda path: read_resized_images(
            path, config.side, 3 if config.colour else 1, notes.append
        ),
        tfds=lambda name: tfds_resized_images(
            name, config.data_dir, config.side, config.colour, parts=["train"]
        ),
    )
    name = source_name(config.data, f"built-in {config.subject}, seed {config.seed}")
    _require_enough({part: len(images) for part, images in parts.items()}, name)
    train, validation, test = _held_out(parts, config.seed)
    few = few_in_all(len(train), ENOUGH, "images", "expect little more than copies of them")
    facts = {
        "name": name,
        "images": f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test",
        "size": f"{config.side} x {config.side}, {train.images.shape[-1]} channels",
    }
    if len(train.names) > 1:
        etc = ", ..." if len(train.names) > 20 else ""
        facts["classes"] = ", ".join(train.names[:20]) + etc
    return Splits(
        train,
        validation,
        test,
        description=facts,
        notes=notes,
        training_notes=few,
        test_set=TEST_SETS[config.subject] if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the images that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """

    def validate(check: ImageCheck) -> None:
        counts = {part: sum(own.values()) for part, own in check.counts.items()}
        _require_enough(counts, config.data)

    return check_source(
        config.data,
        load=lambda: load(config),
        folder=lambda path: check_resized_images(path, config.data, validate),
    )


def _require_enough(counts: Mapping[str, int], name: str) -> None:
    total = sum(counts.values())
    if total < LEAST:
        raise DataError(f"{name}: expected at least {LEAST} images, got {total}.")
    for part, count in counts.items():
        if part != "train" and count < LEAST_HELD_OUT:
            raise DataError(
                f"{name}: expected at least {LEAST_HELD_OUT} {part} images, got {count}.",
                "Give more, or leave the folder out.",
            )


def _held_out(parts: dict[str, LabelledImages], seed: int) -> list[LabelledImages]:
    """Returns the three parts; those that are missing are held out of the training images."""
    whole = parts["train"]
    shares = {part: 0 if part in parts else share for part, share in SHARES.items()}
    order = np.random.default_rng(seed).permutation(len(whole))
    # The rounding gives the rest to the last missing part.
    sizes = [
        round((1 - sum(shares.values())) * len(whole)),
        round(shares["validation"] * len(whole)),
    ]
    if not shares["test"]:
        sizes[0] = len(whole) - sizes[1]
    rows = np.split(order, np.cumsum(sizes))
    held = {part: whole[np.sort(own)] for part, own in zip(PARTS, rows, strict=True)}
    return [held["train"], *(parts.get(part, held[part]) for part in PARTS[1:])]


def _builtin(config: Config) -> LabelledImages:
    if config.subject == "digits":
        parts, size = builtin_digits(config.seed), Size(config.side)
        digits = np.concatenate([part.images for part in parts])[..., None]
        labels = np.concatenate([part.labels for part in parts])
        return LabelledImages(fit_image(digits, size), labels, parts[0].names)
    if config.subject == "faces":
        images, _ = generated_faces(FACES, EACH, config.seed, config.side)
    else:
        config.check_combination()
        _, images = generated_facades(FACADES, config.seed, config.side)
    if not config.colour:
        images = image_files.grey(images)[..., None]
    return LabelledImages(images, np.zeros(len(images), "int32"), ("",))
