"""Digit recognition: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes import figures
from dlrecipes.data.batches import evaluation_batches, steps_per_epoch, training_batches
from dlrecipes.data.digits import LabelledImages
from dlrecipes.metrics import count_macs
from dlrecipes.recipe import Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.training import ImageClassifier

from . import data, networks, show
from .config import Config

EVALUATION_BATCH = 500
# Of the test images, these many are compared one by one in each published file.
COMPARED = 200
CALIBRATION = 500
# How much of the accuracy a smaller LiteRT file may lose: that, or as many images.
DROP, DROPPED = 0.003, 3


class DigitRecognition(Recipe):
    """Says which digit, or other character, an image shows."""

    Config = Config
    objective = ("accuracy", "max")
    pipeline_tag = "image-classification"
    # Not the accuracy, in which many epochs are equal.
    monitor = "val_loss"
    mode = "min"

    def load_data(self) -> Splits:
        """Returns the images."""
        splits = data.load(self.config)
        self._calibration = splits.train[:CALIBRATION]
        return splits

    def build(self, splits: Splits) -> ImageClassifier:
        """Returns the classifier of the training data's classes."""
        config, names = self.config, data.class_names(splits)
        model = ImageClassifier(networks.build(config, len(names)), names)
        rate = config.learning_rate
        if config.lr_schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(
                rate, self._steps(len(splits.train)) * config.epochs, alpha=0.002
            )
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        )
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        model.compile(keras.optimizers.Adam(rate), loss, metrics=[accuracy])
        return model

    def batches(
        self,
        model: ImageClassifier,
        examples: LabelledImages,
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images from 0 to 1, and classes as 1 of N."""
        inputs = {"images": examples.images[..., None]}
        targets = {"labels": data.known(examples, model.class_names)}
        classes = len(model.class_names)

        def scaled(inputs, targets):
            images = tf.cast(inputs["images"], tf.float32) / 255
            return images, tf.one_hot(targets["labels"], classes)

        if start_epoch is None:
            batches = evaluation_batches(inputs, targets, EVALUATION_BATCH)
            return batches.map(scaled), steps_per_epoch(len(examples), EVALUATION_BATCH)
        # Of few images an epoch is several passes.
        passes = self._passes(len(examples))
        size, seed = self.config.batch_size, self.config.seed
        batches = training_batches(inputs, targets, size, seed, start_epoch * passes)
        return batches.map(scaled), self._steps(len(examples))

    def _passes(self, examples: int) -> int:
        return -(
            -self.config.min_steps_per_epoch // steps_per_epoch(examples, self.config.batch_size)
        )

    def _steps(self, examples: int) -> int:
        return self._passes(examples) * steps_per_epoch(examples, self.config.batch_size)

    def evaluate(self, model: ImageClassifier, examples: LabelledImages) -> dict[str, Any]:
        """Returns accuracy, error and mean cross-entropy, and the accuracy of each class."""
        truth = data.known(examples, model.class_names)
        chances = probabilities(model, examples)
        right = chances.argmax(axis=1) == truth
        chosen = np.maximum(chances[np.arange(len(truth)), truth], 1e-12)
        by_class = {
            name: float(np.mean(right[truth == label]))
            for label, name in enumerate(model.class_names)
            if np.any(truth == label)
        }
        return {
            "accuracy": float(np.mean(right)),
            "error": float(np.mean(~right)),
            "cross_entropy": float(-np.mean(np.log(chosen))),
            "accuracy_by_class": by_class,
        }

    def describe(self, model: ImageClassifier) -> dict[str, Any]:
        """Returns the multiplications that an image takes."""
        return {"macs": count_macs(model.network)}

    def figures(self, model: ImageClassifier, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields the confusion matrix, the worst mistakes, filters, maps and the comparison."""
        examples, names = splits.test, model.class_names
        truth = data.known(examples, names)
        chances = probabilities(model, examples)
        counts = np.zeros((len(names), len(names)), int)
        np.add.at(counts, (truth, chances.argmax(axis=1)), 1)
        yield "confusion", figures.confusion(counts, names, "Classes, test")
        yield "mistakes", show.mistakes(examples.images, truth, chances, names)
        layers = show.feature_layers(model.network)
        if layers:
            yield "filters", show.filters(layers[0])
            yield "feature_maps", show.feature_maps(model.network, layers, examples.images[0])
        error = float(np.mean(chances.argmax(axis=1) != truth))
        here = (f"this run, {self.config.network}", error, count_macs(model.network))
        source = "builtin" if self.config.data == "builtin" else "MNIST"
        yield "networks", show.comparison(show.measured(source), source, here)

    def signatures(self, model: ImageClassifier, examples: LabelledImages) -> Exports:
        """Returns files and arrays to classes as the SavedModel, 28x28 numbers as LiteRT."""
        few = examples[:COMPARED]
        files = np.array([tf.io.encode_png(x[..., None]).numpy() for x in few.images], object)
        serving = Signature(
            lambda image_bytes: _answers(model, data.read(image_bytes)),
            [tf.TensorSpec([None], tf.string, name="image_bytes")],
            [(files,)],
        )
        large = np.repeat(np.repeat(few.images[:8], 3, axis=1), 3, axis=2)
        from_images = Signature(
            lambda images: _answers(model, data.prepare(images)),
            [tf.TensorSpec([None, None, None, None], tf.uint8, name="images")],
            [(few.images[..., None],), (np.repeat(255 - large[..., None], 3, axis=3),)],
        )
        litert = Signature(
            lambda images: {"probabilities": model.classify(images)["probabilities"]},
            [tf.TensorSpec([None, networks.SIZE, networks.SIZE, 1], tf.float32, name="images")],
            [(batch,) for batch in _arrays(few, 1)],
        )
        return Exports(
            {"serving_default": serving, "images": from_images},
            litert,
            {"labels.txt": "".join(f"{name}\n" for name in model.class_names)},
            show.usage(model, self.name),
            self._quantized(model, examples),
        )

    def _quantized(self, model: ImageClassifier, examples: LabelledImages) -> Quantized:
        truth = data.known(examples, model.class_names)

        def accuracy(classify: Callable[..., Mapping[str, np.ndarray]]) -> float:
            found = [classify(images=x)["probabilities"] for x in _arrays(examples, 100)]
            return float(np.mean(np.concatenate(found).argmax(axis=1) == truth))

        # The training's, where this recipe has read it; the model's answers are not fitted to it.
        known = getattr(self, "_calibration", examples[:CALIBRATION])
        calibration = [(x,) for x in _arrays(known, 1)]
        drop = max(DROP, (DROPPED + 0.5) / len(examples))
        return Quantized(("float16", "int8"), calibration, "accuracy", accuracy, drop)

    def predict(self, function: Any, inputs: Sequence[str]) -> list[str]:
        """Returns each image's class, and the next likely one."""
        return show.predictions(function, inputs)

    def example_inputs(self, splits: Splits) -> list[str]:
        """Returns a name such as a user's image may have."""
        return ["photo.png"]


def _answers(model: ImageClassifier, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns what an image shows, `""` where it is blank, and how likely each class is."""
    found = model.classify(images)
    drawn = tf.reduce_any(images > 0, axis=[1, 2, 3])
    names = tf.tile(tf.constant([model.class_names]), [tf.shape(images)[0], 1])
    return {**found, "label": tf.where(drawn, found["label"], ""), "classes": names}


def probabilities(model: ImageClassifier, examples: LabelledImages) -> np.ndarray:
    """Returns the probability of each class for each image, `(images, classes)`."""
    classify = tf.function(lambda images: model.classify(images)["probabilities"])
    found = [classify(x).numpy() for x in _arrays(examples, EVALUATION_BATCH)]
    return np.concatenate(found)


def _arrays(examples: LabelledImages, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(examples), size):
        yield examples.images[start : start + size, ..., None].astype("float32") / 255
