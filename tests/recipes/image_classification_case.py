"""Tiny images and runs for the tests of image classification."""

import numpy as np
from PIL import Image

from dlrecipes import runner
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.recipe import Splits, registry
from dlrecipes.runner import run_folder

NAME = "image_classification"
TINY = {
    "images": 100,
    "size": 16,
    "width": 0.25,
    "epochs": 2,
    "batch_size": 20,
    "min_steps_per_epoch": 1,
    "seed": 3,
}


CLASSES = ["cat", "dog"]


def recipe(**settings):
    source = registry.find(NAME)
    settings = {**TINY, **settings}
    return source.recipe()(source.config().parse(settings), source.name)


def run(task, folder):
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


def module(name):
    return registry.find(NAME)._module(name)


def noise(*shape, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), "uint8")
    return np.asarray(Image.fromarray(small).resize(shape[1::-1], Image.Resampling.BICUBIC))


def labelled(names, count=4, size=16):
    images = [noise(size, size, seed=k) for k in range(count * len(names))]
    return ImageExamples.from_arrays(images, np.repeat(np.arange(len(names)), count), names)


def all_parts(names, count=4, size=16):
    part = labelled(names, count, size)
    return Splits(part, part, part, description={}, notes=[])


APPLICATION = {"network": "applications:MobileNetV3Small", "width": 1.0, "size": 32}
