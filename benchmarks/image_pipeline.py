"""Measures the input pipeline of labelled images alone: scan, images per second, memory.

\b
    python benchmarks/image_pipeline.py FOLDER --size 96
    python benchmarks/image_pipeline.py FOLDER --links 200000 --size 96
    python benchmarks/image_pipeline.py FOLDER --size 96 --memory 0 --disk 0

FOLDER has one folder of images per class, or folders train, validation and test of such folders.
With `--links`, the images are those of FOLDER, linked as often as it takes, in a temporary folder.
"""

from __future__ import annotations

import itertools
import os
import resource
import tempfile
import time
from pathlib import Path

import click


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--size", type=click.IntRange(1), default=96, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--links", type=click.IntRange(0), default=0, help="Number of linked files.")
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--memory", type=click.IntRange(0), help="Bytes of decoded images kept in memory.")
@click.option("--disk", type=click.IntRange(0), help="Bytes of decoded images kept in a file.")
def main(
    folder: Path,
    size: int,
    batch_size: int,
    links: int,
    epochs: int,
    memory: int | None,
    disk: int | None,
) -> None:
    """Prints the seconds of the scan, the images per second of each epoch, and the memory."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.data import image_batches, image_store
    from dlrecipes.data.labelled_images import read_labelled_images

    if memory is not None:
        image_store.MEMORY = memory
    if disk is not None:
        image_store.DISK = disk
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as links_folder:
        if links:
            folder = link(folder, Path(links_folder), links)
        print(f"resident memory before: {resident_megabytes():,} MB")
        start = time.perf_counter()
        train, _, _ = read_labelled_images(folder, seed=0, note=lambda sentence: None)
        print(f"scan: {time.perf_counter() - start:.1f} s")
        batches, steps = image_batches.image_batches(train, size, batch_size, 0, start_epoch=0)
        iterator = iter(batches)
        for epoch in range(epochs):
            start, processor_start, count = time.perf_counter(), time.process_time(), 0
            for images, _ in itertools.islice(iterator, steps):
                count += len(images)
            seconds = time.perf_counter() - start
            processor = time.process_time() - processor_start
            print(
                f"epoch {epoch + 1}: {count:,} images, {count / seconds:,.0f} images per second, "
                f"{1000 * processor / count:.2f} ms of processor time per image"
            )
        print(f"maximum resident memory: {resident_megabytes():,} MB")


def link(folder: Path, target: Path, count: int) -> Path:
    """Links the images of a folder as often as it takes; returns the folder of the links."""
    from dlrecipes.data.image_folders import classes, parts

    files = classes(parts(folder).get("train", folder))
    for name in files:
        (target / name).mkdir()
    rounds = -(-count // sum(map(len, files.values())))
    numbers = itertools.count(1)
    for _ in range(rounds):
        for name, paths in files.items():
            for path in paths:
                number = next(numbers)
                if number <= count:
                    (target / name / f"{number}{path.suffix}").symlink_to(path)
    return target


def resident_megabytes() -> int:
    """Returns the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
