"""The images of the autoencoder: built-in, the user's own, or a TFDS dataset."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dlrecipes._utils.wording import counted
from dlrecipes.data.digits import LabelledImages, builtin_digits
from dlrecipes.data.faces import Size, fit_image
from dlrecipes.data.few_examples import few_in_all
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.data.image_files import grey
from dlrecipes.data.parts import complete_parts, stratified_split
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.splits import check_source
from dlrecipes.data.resized_images import (
    check_resized_images,
    read_resized_images,
    tfds_resized_images,
)
from dlrecipes.data.sources import BUILTIN, load_source, source_name
from dlrecipes.errors import DataError, UsageError, nearest
from dlrecipes.recipe import Splits

from .config import Config

# People of the built-in training, validation and test faces, and images of each.
PEOPLE, EACH = (240, 40, 80), 5
# Classes that a message lists.
LISTED = 20
# With fewer images a network remembers each of them.
ENOUGH = 200
TEST_SETS = {
    "digits": "They are scikit-learn's digits of 8x8 pixels, enlarged, by the writers of the "
    "training images: their error is not the error on MNIST.",
    "faces": "They are drawn faces of people who are not in the training data; photographs have "
    "more details.",
}

Parts = tuple[LabelledImages, LabelledImages, LabelledImages]


def load(config: Config) -> Splits:
    """Returns the images that `--data` names.

    Raises:
        DataError: If the data cannot be read, or there is nothing to learn in them.
        UsageError: If the settings do not suit the data.
    """
    notes: list[str] = []
    channels: Literal[1, 3] = 3 if config.colour else 1
    parts = load_source(
        config.data,
        builtin=lambda: _builtin(config),
        folder=lambda path: _complete(
            read_resized_images(path, config.side, channels, notes.append), config, notes
        ),
        tfds=lambda name: _complete(
            tfds_resized_images(name, config.data_dir, config.side, config.colour, notes.append),
            config,
            notes,
        ),
    )
    name = source_name(config.data, f"built-in {config.subject}, seed {config.seed}")
    parts = _grey_if_possible(parts, notes)
    _check_variety(parts[0], name, notes)
    parts = _left_out(parts, config)
    _check_number(parts[0], config, name)
    train, validation, test = parts
    facts = {
        "name": name,
        "images": f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test",
        "size": "{} x {}, {} channels".format(*train.images.shape[1:]),
    }
    if config.leave_out:
        facts["left out of training"] = config.leave_out
    return Splits(
        *parts,
        description=facts,
        notes=notes,
        training_notes=few_in_all(
            len(train), ENOUGH, "images", "expect errors on others to be much larger"
        ),
        test_set=TEST_SETS[config.subject] if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the images that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """
    return check_source(
        config.data,
        load=lambda: load(config),
        folder=lambda path: check_resized_images(path, config.data),
    )


def _builtin(config: Config) -> Parts:
    size = Size(config.side, channels=3 if config.colour else 1)
    if config.subject == "digits":
        train, validation, test = (
            LabelledImages(
                fit_image(part.images[..., None], Size(size.side)), part.labels, part.names
            )
            if size.side != part.images.shape[1]
            else LabelledImages(part.images[..., None], part.labels, part.names)
            for part in builtin_digits(config.seed)
        )
        return train, validation, test
    parts, first = [], 0
    for people in PEOPLE:
        images, _ = generated_faces(people, EACH, config.seed, size.side, first)
        images = images if config.colour else grey(images)[..., None]
        parts.append(LabelledImages(images, np.zeros(len(images), "int32"), ("",)))
        first += people
    train, validation, test = parts
    return train, validation, test


def _complete(parts: dict[str, LabelledImages], config: Config, notes: list[str]) -> Parts:
    """Returns all parts; missing ones are held out, within each class if it has enough images."""

    def split(whole: LabelledImages, seed: int, shares, where: str) -> Parts:
        counts = np.bincount(whole.labels)
        if counts[counts > 0].min() >= len(shares):
            return stratified_split(whole, seed, shares, where)
        rows = np.zeros(len(whole), "int32")
        numbered = LabelledImages(np.arange(len(whole)), rows, ("all",))
        first, second, third = stratified_split(numbered, seed, shares, where)
        return whole[first.images], whole[second.images], whole[third.images]

    if len(parts["train"]) < len({"train", "validation", "test"} - set(parts)) + 1:
        raise DataError(
            f"{config.data}: {counted(len(parts['train']), 'image is', 'images are')} too few to "
            "train on and to test.",
            "Give more images.",
        )
    return complete_parts(parts, config.seed, config.data, notes.append, split)


def _grey_if_possible(parts: Parts, notes: list[str]) -> Parts:
    """Returns images of one channel if none of them is in colour."""
    if parts[0].images.shape[-1] == 1:
        return parts
    if any(np.any(part.images != part.images[..., :1]) for part in parts):
        return parts
    notes.append("No image is in colour: they are described in grey.")
    train, validation, test = (
        LabelledImages(part.images[..., :1], part.labels, part.names) for part in parts
    )
    return train, validation, test


def _check_variety(train: LabelledImages, name: str, notes: list[str]) -> None:
    """Refuses images that are all equal, or all blank; notes some that are blank."""
    flat = train.images.reshape(len(train), -1)
    if (flat == flat[0]).all():
        raise DataError(
            f"{name}: all {len(train):,} training images are equal: there is nothing to describe.",
            "Give images that differ.",
        )
    blank = int((flat == flat[:, :1]).all(axis=1).sum())
    if blank == len(train):
        raise DataError(
            f"{name}: each of the {len(train):,} training images is blank, of a single colour.",
            "Give images that show something.",
        )
    if blank:
        notes.append(f"{name}: {blank:,} of {len(train):,} training images are blank.")


def _left_out(parts: Parts, config: Config) -> Parts:
    """Returns the parts without the class that is left out, which stays in the test images."""
    if not config.leave_out:
        return parts
    train, validation, test = parts
    if config.leave_out not in train.names:
        names = [name for name in train.names if name]
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        known = f"The classes are {', '.join(names[:LISTED])}{more}."
        known = f"{nearest(config.leave_out, names)} {known}"
        raise UsageError(
            f"--leave-out {config.leave_out}: not a class of the data.",
            known.strip() if names else "The images have no classes: leave the option out.",
        )
    label = train.names.index(config.leave_out)
    if len(train.names) == 1 or (train.labels == label).all():
        raise UsageError(
            f"--leave-out {config.leave_out}: no other class is left to train on.",
            "Leave the option out, or add images of another class.",
        )
    is_left_out = test.labels == label
    if is_left_out.all() or not is_left_out.any():
        has = "no other class" if is_left_out.all() else "no such image"
        raise UsageError(
            f"--leave-out {config.leave_out}: the test images have {has}, so that nothing can be "
            "measured.",
            "Leave another class out.",
        )
    return train[train.labels != label], validation[validation.labels != label], test


def _check_number(train: LabelledImages, config: Config, name: str) -> None:
    """Refuses codes that are longer than the data allow, and classifiers without classes."""
    if config.network == "dbn":
        if len(np.unique(train.labels)) < 2:
            raise UsageError(
                f"--network dbn: {name} has no classes for the classifier.",
                "Give a folder with one folder of images per class, or another network.",
            )
        return
    code, pixels = config.code, int(np.prod(train.images.shape[1:]))
    if code > len(train):
        raise UsageError(
            f"--code-units {code}: {name} has {len(train):,} training images, fewer than the "
            "numbers of the code.",
            f"Give more images, or --code-units {len(train)} or fewer.",
        )
    if config.network == "pca" and code > pixels:
        raise UsageError(
            f"--network pca --code-units {code}: an image has {pixels:,} numbers, fewer than the "
            "code.",
            f"Give --code-units {pixels} or fewer.",
        )
