"""Tiny images and runs for the tests of the autoencoder."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from dlrecipes import runner
from dlrecipes.data.digits import LabelledImages
from dlrecipes.recipe import registry
from dlrecipes.runner import run_folder

NAME = "autoencoder"
SIDE = 12
TINY = {
    "size": SIDE,
    "hidden_units": (24, 12),
    "code_units": 4,
    "epochs": 2,
    "pretrain_epochs": 1,
    "min_steps_per_epoch": 1,
    "batch_size": 50,
    "seed": 3,
}


def config_of(**settings):
    settings = {**TINY, **settings}
    if settings.get("network") == "pca":
        del settings["hidden_units"]
    return registry.find(NAME).config().parse(settings)


def recipe(**settings):
    return registry.find(NAME).recipe()(config_of(**settings), NAME)


def module(name):
    return registry.find(NAME)._module(name)


def run(task, folder):
    return runner.run(task, run_folder.new_folder(folder / "runs", None), folder / "models")


def pixels(part):
    return part.images.reshape(len(part), -1) / 255.0


def png(array):
    content = io.BytesIO()
    Image.fromarray(array.squeeze()).save(content, "PNG")
    return content.getvalue()


class Unpublished:
    """Exports that answer as their published version would."""

    def __init__(self, exports, folder):
        self.exports, self.folder = exports, folder
        (folder / "assets.extra").mkdir(parents=True)
        for name, text in exports.files.items():
            self.file(f"assets.extra/{name}").write_text(text)

    def file(self, name):
        return self.folder / name

    def read_image(self, path):
        return self.file(path).read_bytes()

    def call(self, signature, image_bytes):
        outputs = self.exports.signatures[signature].function(tf.constant(image_bytes))
        return {name: values.numpy() for name, values in outputs.items()}


def labelled(images, labels=None, names=("",)):
    labels = np.zeros(len(images)) if labels is None else labels
    return LabelledImages(np.asarray(images, "uint8"), np.asarray(labels, "int32"), tuple(names))


def random_images(count=12, side=SIDE, channels=1, seed=0):
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, "uint8")
