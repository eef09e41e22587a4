"""The images that DCGAN learns to resemble: built-in, a folder, or a TFDS dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrecipes.data import image_files, tfds
from dlrecipes.data.digits import LabelledImages, builtin_digits
from dlrecipes.data.faces import Size, fit_image, read_fitted
from dlrecipes.data.generated.facades import generated_facades
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.data.sources import existing_folder, load_source, source_name
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe import Splits

from .config import Config

# Fractions of training and validation; the rest is for test.
SHARES = (0.8, 0.1)
FACES, EACH, FACADES = 300, 6, 1500
# Validation and test then have at least four images: recall needs more than three neighbours.
LEAST = 40


def load(config: Config) -> Splits:
    """Returns the images that `--data` names.

    Raises:
        DataError: If the data cannot be read; the message names the folder or file.
        UsageError: If the settings do not suit the data.
    """
    images = load_source(
        config.data,
        builtin=lambda: _builtin(config),
        folder=lambda path: _folder(path, config),
        tfds=lambda name: _tfds(name, config),
    )
    name = source_name(config.data, f"built-in {config.subject}, seed {config.seed}")
    if len(images) < LEAST:
        raise DataError(f"{name}: expected at least {LEAST} images, got {len(images)}.")
    order = np.random.default_rng(config.seed).permutation(len(images))
    ends = np.cumsum([round(share * len(images)) for share in SHARES])
    train, validation, test = (images[np.sort(rows)] for rows in np.split(order, ends))
    facts = {
        "name": name,
        "images": f"{len(train):,} training, {len(validation):,} validation, {len(test):,} test",
        "size": f"{config.side} x {config.side}, {images.images.shape[-1]} channels",
    }
    if len(images.names) > 1:
        etc = ", ..." if len(images.names) > 20 else ""
        facts["classes"] = ", ".join(images.names[:20]) + etc
    return Splits(train, validation, test, description=facts)


def _builtin(config: Config) -> LabelledImages:
    if config.subject == "digits":
        parts, size = builtin_digits(config.seed), Size(config.side)
        digits = [fit_image(image, size) for part in parts for image in part.images]
        labels = np.concatenate([part.labels for part in parts])
        return LabelledImages(np.stack(digits), labels, parts[0].names)
    if config.subject == "faces":
        images, _ = generated_faces(FACES, EACH, config.seed, config.side)
    elif config.side < 32:
        raise UsageError(
            f"--size {config.side}: facades need at least 32 pixels.", "Give 32 or 64."
        )
    else:
        _, images = generated_facades(FACADES, config.seed, config.side)
    if not config.colour:
        images = image_files.grey(images)[..., None]
    return LabelledImages(images, np.zeros(len(images), "int32"), ("",))


def _folder(path: Path, config: Config) -> LabelledImages:
    """Returns the images of a folder; or those of its folders, which are the classes."""
    path = existing_folder(path, "a folder of images")
    files = {"": image_files.list_images(path)}
    if not files[""]:
        folders = sorted(folder for folder in path.iterdir() if folder.is_dir())
        files = {folder.name: image_files.list_images(folder) for folder in folders}
    files = {name: paths for name, paths in files.items() if paths}
    if not files:
        raise DataError(
            f"{path}: there are no images in this folder or its folders.",
            f"Supported formats: {', '.join(image_files.SUFFIXES)}.",
        )
    size = Size(config.side, channels=3 if config.colour else 1)
    images = [read_fitted(file, size) for paths in files.values() for file in paths]
    labels = np.repeat(np.arange(len(files), dtype="int32"), [len(x) for x in files.values()])
    return LabelledImages(np.stack(images), labels, tuple(files))


def _tfds(name: str, config: Config) -> LabelledImages:
    images, labels = [], []
    with tfds.prepared(name, Path(config.data_dir)) as builder:
        features = dict(builder.info.features)
        if "image" not in features:
            raise DataError(f"tfds:{name}: expected images.", "Try mnist or celeb_a.")
        is_grey = features["image"].shape[-1] == 1 or not config.colour
        size = Size(config.side, channels=1 if is_grey else 3)
        for example in builder.as_dataset(split="train").as_numpy_iterator():
            images.append(fit_image(example["image"], size))
            labels.append(example.get("label", 0))
        names = tuple(getattr(features.get("label"), "names", None) or ("",))
    labels = labels if len(names) > 1 else [0] * len(images)
    return LabelledImages(np.stack(images), np.array(labels, "int32"), names)
