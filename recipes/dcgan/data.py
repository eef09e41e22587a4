"""The images of DCGAN: built in, a folder of any, or a TFDS name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from dlrecipes.data import image_files, tfds
from dlrecipes.data.digits import LabelledImages, builtin_digits
from dlrecipes.data.faces import Size, fitted
from dlrecipes.data.generated.facades import generated_facades
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe import Splits

from .config import Config

# Of images that have no parts: training, validation, test.
SHARES = (0.8, 0.1, 0.1)
FACES, EACH, FACADES = 300, 6, 1500
# Validation and test get four each: one, and the neighbours that are counted.
LEAST = 40


def load(config: Config) -> Splits:
    """Returns the images that the configuration asks for.

    Raises:
        DataError: If they cannot be read as they are, saying where.
        UsageError: If the source is of a kind that this recipe does not have.
    """
    if config.data == "builtin":
        images, labels, names = _built_in(config)
        where = f"built-in {config.subject}, seed {config.seed}"
    elif config.data.startswith("tfds:"):
        images, labels, names = _tfds(config)
        where = config.data
    else:
        images, labels, names = _folder(config)
        where = config.data
    if len(images) < LEAST:
        raise DataError(f"{where}: {len(images)} images are too few; at least {LEAST} are wanted.")
    order = np.random.default_rng(config.seed).permutation(len(images))
    ends = np.cumsum([round(share * len(images)) for share in SHARES[:2]])
    whole = LabelledImages(images, labels, names)
    parts = [whole[np.sort(rows)] for rows in np.split(order, ends)]
    facts = {
        "name": where,
        "images": ", ".join(
            f"{len(part):,} {name}"
            for part, name in zip(parts, ("training", "validation", "test"), strict=True)
        ),
        "size": f"{config.side} x {config.side}, {channels(whole)} channels",
    }
    if len(names) > 1:
        facts["classes"] = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return Splits(*parts, description=facts)


def channels(examples: LabelledImages) -> int:
    """Returns 1 for grey images, 3 for colour."""
    return examples.images.shape[-1]


def _built_in(config: Config) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    if config.subject == "digits":
        parts = builtin_digits(config.seed)
        images = np.concatenate([part.images for part in parts])[..., None]
        labels = np.concatenate([part.labels for part in parts])
        size = Size(config.side, channels=1)
        return np.stack([_fitted(image, size) for image in images]), labels, parts[0].names
    if config.subject == "faces":
        images, _ = generated_faces(FACES, EACH, config.seed, config.side)
    elif config.side < 32:
        raise UsageError(
            f"--size {config.side}: facades are drawn from 32 pixels on.", "Give 32 or 64."
        )
    else:
        _, images = generated_facades(FACADES, config.seed, config.side)
    if not config.colour:
        images = image_files.grey(images)[..., None]
    return images, np.zeros(len(images), "int32"), ("",)


def _folder(config: Config) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns the images of a folder; a class is a folder in it."""
    path = Path(config.data).expanduser()
    if not path.is_dir():
        reason = "this is no folder" if path.exists() else "there is no such folder"
        raise DataError(f"{path}: {reason}.", "Give a folder of images.")
    found = {"": image_files.list_images(path)}
    if not found[""]:
        inside = sorted(folder for folder in path.iterdir() if folder.is_dir())
        found = {folder.name: image_files.list_images(folder) for folder in inside}
        found = {name: files for name, files in found.items() if files}
    files = [(file, name) for name, own in found.items() for file in own]
    if not files:
        raise DataError(
            f"{path}: there are no images in it, nor in its folders.",
            f"Files of {', '.join(image_files.SUFFIXES[:3])} and others are read.",
        )
    size = Size(config.side, channels=3 if config.colour else 1)
    mode: Literal["RGB", "L"] = "RGB" if config.colour else "L"
    images = [_fitted(np.atleast_3d(image_files.read_image(file, mode)), size) for file, _ in files]
    names = tuple(found)
    labels = np.array([names.index(name) for _, name in files], "int32")
    return np.stack(images), labels, names


def _tfds(config: Config) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    name = config.data.removeprefix("tfds:")
    images, labels = [], []
    with tfds.prepared(name, Path(config.data_dir)) as builder:
        features = builder.info.features
        if "image" not in features:
            raise DataError(f"tfds:{name}: images are wanted.", "Such are mnist and celeb_a.")
        grey = features["image"].shape[-1] == 1 or not config.colour
        size = Size(config.side, channels=1 if grey else 3)
        for example in builder.as_dataset(split="train").as_numpy_iterator():
            images.append(_fitted(example["image"], size))
            labels.append(example.get("label", 0))
        # A FeaturesDict has no get.
        label = dict(features).get("label")
        names = tuple(getattr(label, "names", None) or ("",))
    labels = labels if len(names) > 1 else [0] * len(images)
    return np.stack(images), np.array(labels, "int32"), names


def _fitted(image: np.ndarray, size: Size) -> np.ndarray:
    found = fitted(image.astype("float32") / 255, size).numpy()
    return (found * 255).round().astype("uint8")
