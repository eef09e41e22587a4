"""Measures whether the input pipeline of image_classification keeps up with the training step.

\b
    python benchmarks/image_pipeline.py builtin
    python benchmarks/image_pipeline.py builtin FOLDER --size 64 --size 128
    python benchmarks/image_pipeline.py FOLDER --memory 0
    python benchmarks/image_pipeline.py FOLDER --links 200000 --size 96
    python benchmarks/image_pipeline.py large --links 400

Each SOURCE is a folder with one folder of images per class, or with folders train, validation and
test of such folders; "builtin", the recipe's own images; or "large", generated JPEG files of 12
megapixels. With `--links`, there are that many images: those of the source, linked as often as it
takes, in a temporary folder.

All numbers are images per second. The pipeline decodes and augments, as the recipe does; in the
first epoch it reads the files, in later ones the kept images. The step trains on one batch again
and again. Then both run together.
"""

from __future__ import annotations

import itertools
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

COLUMNS = ("pipeline: first epoch", "later", "step", "together: first epoch", "later")
# Pixels of the generated photographs, and their number.
LARGE_SIZE, LARGE_COUNT = (4000, 3000), 40
# Least number of steps that are timed.
STEPS = 100


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("--size", "sizes", type=click.IntRange(1), multiple=True, default=[64])
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--network", default="small_resnet", show_default=True)
@click.option("--links", type=click.IntRange(0), default=0, help="Number of linked files.")
@click.option("--memory", type=click.IntRange(0), help="Bytes of decoded images kept in memory.")
@click.option("--disk", type=click.IntRange(0), help="Bytes of decoded images kept in a file.")
def main(
    sources: tuple[str, ...],
    sizes: tuple[int, ...],
    batch_size: int,
    network: str,
    links: int,
    memory: int | None,
    disk: int | None,
) -> None:
    """Prints images per second of pipeline, step and both, and the memory."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.data import image_store

    if memory is not None:
        image_store.MEMORY = memory
    if disk is not None:
        image_store.DISK = disk
    print(f"resident memory before: {resident_megabytes():,} MB")
    print(f"{'images per second':34} " + "  ".join(COLUMNS))
    for source in sources:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
            data = prepared(source, Path(place), links)
            for size in sizes:
                settings = {
                    "size": size,
                    "batch_size": batch_size,
                    "network": network,
                    "min_steps_per_epoch": 1,
                    "data": data,
                }
                rates = measure(settings)
                cells = (
                    f"{rate:{len(name)},.0f}" for name, rate in zip(COLUMNS, rates, strict=True)
                )
                print(f"{f'{Path(source).name}, {size} pixels':34} " + "  ".join(cells), flush=True)
    print(f"maximum resident memory: {resident_megabytes():,} MB")


def prepared(source: str, place: Path, links: int) -> str:
    """Returns the value of `--data` for a source, whose links are made in an empty folder."""
    if source == "builtin":
        return source
    folder = generate(place / "large") if source == "large" else Path(source)
    return str(link(folder, place / "links", links) if links else folder)


def measure(settings: dict[str, Any]) -> Iterator[float]:
    """Yields the images per second for each of `COLUMNS`.

    Args:
        settings: Settings of the recipe.
    """
    import tensorflow as tf

    from dlrecipes.recipe.registry import find

    source = find("image_classification")
    recipe = source.make(source.config()(**settings))
    splits = recipe.load_data()
    batches, steps = recipe.dataset(recipe.build(splits), splits.train, 0)
    iterator, count = iter(batches), len(splits.train)
    yield pipeline_rate(iterator, steps, count)
    # The pipeline is ahead of what was read of it.
    passes = -(-STEPS // steps)
    yield pipeline_rate(iterator, passes * steps, passes * count)
    batch = next(iterator)
    del iterator, batches
    # Other images, none of which is kept.
    splits = recipe.load_data()
    model = recipe.build(splits)
    same = tf.data.Dataset.from_tensor_slices(batch).batch(len(batch[0])).cache().repeat()
    training_rate(model, same, STEPS)
    yield training_rate(model, same, max(STEPS, steps)) * len(batch[0])
    batches, _ = recipe.dataset(model, splits.train, 0)
    first = training_rate(model, batches, steps)
    yield first * count / steps
    later, _ = recipe.dataset(model, splits.train, 1)
    yield training_rate(model, later, passes * steps) * count / steps


def pipeline_rate(iterator: Iterator, steps: int, images: int) -> float:
    """Returns the images per second of some steps of a dataset."""
    start = time.perf_counter()
    for _ in itertools.islice(iterator, steps):
        pass
    return images / (time.perf_counter() - start)


def training_rate(model: Any, batches: Any, steps: int) -> float:
    """Returns the steps per second of `fit`, without the time until the first step begins."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.start = getattr(self, "start", None) or time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.end = time.perf_counter()

    clock = Clock()
    model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[clock])
    return steps / (clock.end - clock.start)


def generate(folder: Path) -> Path:
    """Writes photographs of 12 megapixels, half of them in each of two classes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(LARGE_COUNT):
        path = folder / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Smooth areas with noise have about as many bytes as photographs.
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), "uint8"))
        pixels = np.asarray(coarse.resize(LARGE_SIZE, Image.Resampling.BICUBIC)).astype("int16")
        pixels += rng.integers(-8, 9, pixels.shape, "int16")
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path, quality=90)
    return folder


def link(folder: Path, target: Path, count: int) -> Path:
    """Links the images of a folder as often as it takes; returns the folder of the links."""
    from dlrecipes.data.image_folders import classes, parts

    files = classes(parts(folder).get("train", folder))
    for name in files:
        (target / name).mkdir(parents=True)
    rounds = -(-count // sum(map(len, files.values())))
    numbers = itertools.count(1)
    for _ in range(rounds):
        for name, paths in files.items():
            for path in paths:
                number = next(numbers)
                if number <= count:
                    (target / name / f"{number}{path.suffix}").symlink_to(path.resolve())
    return target


def resident_megabytes() -> int:
    """Returns the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
