"""Images of faces with whom they show: built in, a folder a person, TFDS; parted by people."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrecipes.data import image_files, tfds
from dlrecipes.data.generated.faces import generated_faces
from dlrecipes.errors import DataError

# Of the people: training, validation, test.
SHARES = (0.7, 0.15, 0.15)
PARTS = ("train", "validation", "test")
# Without two people with two images each nothing can be verified.
LEAST_PEOPLE, LEAST_IMAGES = 2, 2


@dataclass(frozen=True)
class FaceImages:
    """Images of one size and whom they show; slices are the same again.

    Args:
        images: uint8 array of shape `(count, size, size, channels)`, 1 or 3 channels.
        labels: int32 array of shape `(count,)`, places in `names`.
        names: The people.
        left_out: How many people were left out because there is one image of them.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice | np.ndarray) -> FaceImages:
        return FaceImages(self.images[rows], self.labels[rows], self.names, self.left_out)

    @property
    def people(self) -> int:
        """How many people are shown."""
        return len(np.unique(self.labels))


Parts = tuple[FaceImages, FaceImages, FaceImages]


@dataclass(frozen=True)
class Size:
    """What images are brought to.

    Args:
        side: Height and width in pixels.
        crop: Share of an image's height and width, about its middle, that is kept.
        channels: 1 for grey, 3 for colour.
    """

    side: int
    crop: float = 1.0
    channels: int = 1


def builtin_faces(people: Sequence[int], each: int, size: Size, seed: int) -> Parts:
    """Returns generated faces; nobody is in two parts.

    Args:
        people: How many are in the training, the validation and the test part.
        each: Images of each.
        size: Of the images.
        seed: Decides who they are, and every image.
    """
    parts, first = [], 0
    for count in people:
        images, labels = generated_faces(count, each, seed, size.side, first)
        names = tuple(f"person {first + number + 1}" for number in range(count))
        if size.channels == 1:
            images = image_files.grey(images)[..., None]
        parts.append(FaceImages(images, labels - first, names))
        first += count
    return tuple(parts)


def read_faces(path: Path, size: Size, seed: int) -> Parts:
    """Returns training, validation and test images of a folder with one folder a person.

    Folders `train`, `validation` and `test` hold such folders, of different people; of what is
    missing people of the training part are held out. Without them the people are parted, 70, 15
    and 15 %. People of whom there is one image are left out.

    Args:
        path: The folder.
        size: What the images are brought to.
        seed: Decides who is held out.

    Raises:
        DataError: If something cannot be read as it is, saying where, or there are too few.
    """
    path = Path(path)
    if not path.is_dir():
        reason = "this is no folder" if path.exists() else "there is no such folder"
        raise DataError(f"{path}: {reason}.", "Give a folder with one folder of images a person.")
    there = image_files.parts(path)
    if not there:
        return split(_folder(path, size), seed, SHARES, str(path))
    found = {part: _folder(there[part], size) for part in there}
    _refuse_acquaintances(found, there)
    missing = [part for part in PARTS if part not in found]
    if missing:
        held = sum(SHARES[PARTS.index(part)] for part in missing)
        shares = [1 - held, *(SHARES[k] if PARTS[k] in missing else 0 for k in (1, 2))]
        parts = split(found["train"], seed, shares, str(there["train"]))
        found |= {part: parts[PARTS.index(part)] for part in ("train", *missing)}
    for part in PARTS:
        _refuse_few(found[part], f"{there.get(part, path)}")
    return tuple(found[part] for part in PARTS)


def tfds_faces(name: str, data_dir: Path, size: Size, seed: int) -> Parts:
    """Returns the parts of a data set of TensorFlow Datasets: images with a person's name.

    Args:
        name: Such as `"lfw"`.
        data_dir: Where it is kept, or downloaded to.
        size: What the images are brought to.
        seed: Decides who is in which part.

    Raises:
        DataError: If there is no such data set, it cannot be had, or holds something else.
    """
    where = f"tfds:{name}"
    with tfds.prepared(name, data_dir) as builder:
        if {"image", "label"} - set(builder.info.features):
            raise DataError(f"{where}: images with a label are wanted.", "Such is lfw.")
        images, names = [], []
        for example in builder.as_dataset(split="all").as_numpy_iterator():
            images.append(_fitted(example["image"], size))
            label = example["label"]
            names.append(label.decode() if isinstance(label, bytes) else str(label))
    return split(_gathered(images, names, where), seed, SHARES, where)


def split(whole: FaceImages, seed: int, shares: Sequence[float], where: str) -> Parts:
    """Returns three parts, of different people.

    Args:
        whole: The images.
        seed: Decides who is where; the same seed gives the same parts.
        shares: Of the people in the first, the second and the third part; they sum to 1.
        where: What an error message calls the data.

    Raises:
        DataError: If there are too few people for two in each part.
    """
    people = np.unique(whole.labels)
    sizes = [0 if not share else max(2, round(share * len(people))) for share in shares[1:]]
    if len(people) - sum(sizes) < LEAST_PEOPLE:
        needed = LEAST_PEOPLE * sum(share > 0 for share in shares)
        raise DataError(
            f"{where}: there are {len(people)} people with two images or more; to train, to "
            f"validate and to test on different ones at least {needed} are needed.",
            "Give images of more people.",
        )
    order = np.random.default_rng(seed).permutation(people)
    ends = np.cumsum([len(people) - sum(sizes), *sizes])
    train, *others = (
        _compact(whole[np.isin(whole.labels, chosen)]) for chosen in np.split(order, ends[:-1])
    )
    return dataclasses.replace(train, left_out=whole.left_out), *others


def described(parts: Parts) -> Mapping[str, str]:
    """Returns facts of the parts for a model card: how many images of how many people."""
    names = ("training", "validation", "test")
    facts = {
        name: f"{len(part):,} images of {part.people:,} people"
        for name, part in zip(names, parts, strict=True)
    }
    left_out = sum(part.left_out for part in parts)
    if left_out:
        facts["left out"] = f"{left_out:,} people of whom there is one image"
    return facts


def fitted(image, size: Size):
    """Returns an image of any size as the network takes it; works inside a `tf.function`.

    Args:
        image: float32 tensor of shape `(height, width, 1 to 4)`, from 0 to 1.
        size: What it is brought to.

    Returns:
        float32 tensor of shape `(side, side, channels)`, from 0 to 1.
    """
    import tensorflow as tf

    from dlrecipes.data.image_bytes import of_channels

    image = of_channels(image, size.channels)
    if size.crop < 1:
        image = tf.image.central_crop(image, size.crop)
    image = tf.image.resize(image, [size.side, size.side], antialias=True)
    return tf.clip_by_value(image, 0.0, 1.0)


def _fitted(image: np.ndarray, size: Size) -> np.ndarray:
    found = fitted(image.astype("float32") / 255, size).numpy()
    return (found * 255).round().astype("uint8")


def _folder(folder: Path, size: Size) -> FaceImages:
    images, names = [], []
    for name, files in image_files.classes(folder).items():
        for file in files:
            colours = image_files.read_image(file, "RGB" if size.channels == 3 else "L")
            images.append(_fitted(np.atleast_3d(colours), size))
            names.append(name)
    return _gathered(images, names, str(folder))


def _gathered(images: Sequence[np.ndarray], names: Sequence[str], where: str) -> FaceImages:
    counts = Counter(names)
    known = [name for name, count in counts.items() if count >= LEAST_IMAGES]
    if len(known) < LEAST_PEOPLE:
        alone = next((name for name in counts if name not in known), "")
        raise DataError(
            f"{where}: two people with two images or more are wanted, there is {len(known)}"
            + (f"; of {alone!r} there is one image." if alone else "."),
            "Give more images of each person.",
        )
    rows = [row for row, name in enumerate(names) if name in set(known)]
    places = {name: place for place, name in enumerate(known)}
    labels = np.array([places[names[row]] for row in rows], "int32")
    kept = np.stack([images[row] for row in rows])
    return FaceImages(kept, labels, tuple(known), len(counts) - len(known))


def _compact(part: FaceImages) -> FaceImages:
    """Returns the same with the names of those alone who are shown."""
    shown, labels = np.unique(part.labels, return_inverse=True)
    names = tuple(part.names[place] for place in shown)
    return FaceImages(part.images, labels.astype("int32"), names)


def _refuse_acquaintances(found: Mapping[str, FaceImages], there: Mapping[str, Path]) -> None:
    for first, second in itertools.combinations([part for part in PARTS if part in found], 2):
        both = set(found[first].names) & set(found[second].names)
        if both:
            raise DataError(
                f"{there[second]}: {min(both)!r} is among the people of {there[first].name}, too.",
                "Validate and test with people whom no other part shows.",
            )


def _refuse_few(part: FaceImages, where: str) -> None:
    if part.people < LEAST_PEOPLE:
        raise DataError(f"{where}: at least two people are wanted.")
