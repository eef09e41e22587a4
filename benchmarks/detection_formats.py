"""Compares the files of a published detector on all test images.

\b
    python benchmarks/detection_formats.py saved_models/object_detection-bccd/1 --data FOLDER

The SavedModel takes the image files. The Keras model and the LiteRT file take decoded images, which
are resized without TensorFlow. A box agrees with one of the same class, no edge of which is more
than half a pixel away, and whose score differs by at most 0.001. The command exits with 1 if a box
of one file agrees with no box of another.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

PIXELS, SCORE = 0.5, 1e-3

Boxes = dict[str, np.ndarray]


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--data", required=True, help="Data of the recipe, as for `dlrecipes run --data`.")
def main(folder: Path, data: str) -> None:
    """Prints how many boxes the files find, and how many of them differ."""
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    import tensorflow as tf

    import dlrecipes
    from dlrecipes.data.image_resizing import fit_array
    from dlrecipes.export.detection_litert import load_detector
    from dlrecipes.recipe.labels import published_labels
    from dlrecipes.recipes.object_detection import detections

    published = dlrecipes.load(folder)
    names = published_labels(published.version)
    serve, lite = published.function(), load_detector(published.version, names)
    config = published.recipe.config
    detect = tf.function(detections.detector(config, published.keras_model()))
    test = dlrecipes.load_recipe("object_detection", data=data).load_data().test
    total, different = 0, {"LiteRT": 0, "Keras": 0}
    for k in range(len(test)):
        image = test.image(k)
        served = arrays(serve(image_bytes=tf.io.encode_png(image)[None]))
        served["classes"] = np.array([names.index(label.decode()) for label in served["labels"]])
        model = arrays(detect(fit_array(image, lite.size)[None]))
        model["boxes"] *= np.tile(image.shape[1::-1], 2) / np.float32(lite.size)
        total += len(served["scores"])
        for file, found in (("LiteRT", lite(image)), ("Keras", model)):
            different[file] += without_match(served, found) + without_match(found, served)
    print(f"{len(test)} images, {total:,} boxes of the SavedModel")
    for file, count in different.items():
        print(f"{file:6}  {count} boxes differ")
    sys.exit(any(different.values()))


def arrays(outputs: Mapping[str, Any]) -> Boxes:
    """Returns the detections in one image as arrays, without padding."""
    count = int(outputs["count"][0])
    return {name: x[0, :count].numpy() for name, x in outputs.items() if name != "count"}


def without_match(one: Boxes, other: Boxes) -> int:
    """Returns how many boxes have no box of the other file that agrees."""
    edges = np.abs(one["boxes"][:, None] - other["boxes"]).max(axis=-1, initial=0)
    scores = np.abs(one["scores"][:, None] - other["scores"])
    same = one["classes"][:, None] == other["classes"]
    matches = same & (edges <= PIXELS) & (scores <= SCORE)
    return int((~matches.any(axis=1)).sum())


if __name__ == "__main__":
    main()
