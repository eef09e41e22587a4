"""Digit recognition: model, metrics, figures and exports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes import figures
from dlrecipes.data.batches import (
    evaluation_batches,
    passes_per_epoch,
    steps_per_epoch,
    training_batches,
)
from dlrecipes.data.class_indices import class_indices
from dlrecipes.data.digits import LabelledImages
from dlrecipes.data.reports import DataReport
from dlrecipes.export.image_signatures import image_processing, image_signatures
from dlrecipes.export.litert_metadata import classifier
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import classification_metrics, confusion_matrix, count_macs
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.example_files import class_images
from dlrecipes.recipe.labels import labels_file
from dlrecipes.training import ImageClassifier, learning_rate_schedule

from . import data, networks, predict
from .config import Config
from .figures import measured

EVALUATION_BATCH = 500
# Number of test images on which every published file is verified.
VERIFIED = 100
CALIBRATION = 500
# Maximum loss of accuracy of a smaller LiteRT file: a fraction or a number of images, whichever
# is larger.
MAX_DROP, MAX_DROPPED = 0.003, 3
# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.002
NOTES = """\
A character may be light on dark or dark on light, of any size and anywhere in the image. A blank
image has the label `""`. `classes` lists the classes in the order of the columns of
`probabilities`.

The signature `images` uses grey images of 28x28 pixels unchanged, which must be light on black as
in MNIST; all others are resized and centred. `model.tflite` takes such 28x28 images as numbers
from 0 to 1, with one channel or three; the columns of its output are the lines of
`assets.extra/labels.txt`.
"""


class DigitRecognition(Recipe):
    """Classifies images of digits or other characters."""

    Config = Config
    objective = ("accuracy", "max")
    pipeline_tag = "image-classification"
    # Many epochs have the same accuracy.
    monitor = "val_loss"
    mode = "min"

    def load_data(self) -> Splits:
        """Returns the images."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the images."""
        return data.check(self.config)

    def build(self, splits: Splits) -> ImageClassifier:
        """Returns a classifier with the classes of the training data."""
        config, names = self.config, splits.train.names
        model = ImageClassifier(networks.build(config, len(names)), names)
        steps = self._passes(len(splits.train)) * self._steps(len(splits.train)) * config.epochs
        rate = learning_rate_schedule(
            config.lr_schedule, config.learning_rate, steps, alpha=FINAL_RATE
        )
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        )
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        model.compile(keras.optimizers.Adam(rate), loss, metrics=[accuracy])
        return model

    def dataset(
        self,
        model: ImageClassifier,
        examples: LabelledImages,
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images, from 0 to 1, and one-hot classes."""
        inputs = {"images": examples.images[..., None]}
        targets = {"labels": class_indices(examples.labels, examples.names, model.class_names)}
        classes = len(model.class_names)

        def scaled(inputs, targets):
            images = tf.cast(inputs["images"], tf.float32) / 255
            return images, tf.one_hot(targets["labels"], classes)

        if start_epoch is None:
            batches = evaluation_batches(inputs, targets, EVALUATION_BATCH)
            return batches.map(scaled), steps_per_epoch(len(examples), EVALUATION_BATCH)
        size, seed = self.config.batch_size, self.config.seed
        # One epoch is several passes over a small dataset.
        passes = self._passes(len(examples))
        batches = training_batches(inputs, targets, size, seed, start_epoch * passes)
        return batches.map(scaled), passes * self._steps(len(examples))

    def _steps(self, examples: int) -> int:
        return steps_per_epoch(examples, self.config.batch_size)

    def _passes(self, examples: int) -> int:
        return passes_per_epoch(self._steps(examples), self.config.min_steps_per_epoch)

    def evaluate(self, model: ImageClassifier, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns accuracy, mean cross-entropy, calibration error, and the scores of each class."""
        examples = getattr(splits, part)
        truth = class_indices(examples.labels, examples.names, model.class_names)
        probabilities = self._probabilities(model, examples)
        return classification_metrics(probabilities, truth, model.class_names)

    def _probabilities(self, model: ImageClassifier, examples: LabelledImages) -> np.ndarray:
        return self.memo.get(
            "probabilities", model, examples, lambda: _probabilities(model, examples)
        )

    def describe(self, model: ImageClassifier, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulate operations per image."""
        return {"macs": count_macs(model.network)}

    def figures(self, model: ImageClassifier, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields confusion matrix, mistakes, filters, feature maps and a comparison of networks."""
        examples, names = splits.test, model.class_names
        truth = class_indices(examples.labels, examples.names, names)
        probabilities = self._probabilities(model, examples)
        predicted = probabilities.argmax(axis=1)
        counts = confusion_matrix(truth, predicted, len(names))
        yield "confusion", figures.confusion(counts, names, "Classes, test")
        yield (
            "mistakes",
            figures.mistakes(examples.images, truth, probabilities, names, cmap="gray_r"),
        )
        layers = figures.convolutions(model.network)
        if layers:
            yield "filters", figures.filters(layers[0])
            (image,) = next(_arrays(examples, 1))
            yield "feature_maps", figures.feature_maps(model.network, image, cmap="gray_r")
        error = float(np.mean(predicted != truth))
        this_run = (f"this run, {self.config.network}", error, count_macs(model.network))
        builtin = self.config.data == "builtin"
        name = "the built-in digits" if builtin else "MNIST"
        title = f"Networks on {name}; the area is the number of parameters"
        networks = measured("builtin" if builtin else "MNIST")
        yield "networks", figures.accuracy_by_cost(networks, title, this_run)

    def signatures(self, model: ImageClassifier, splits: Splits) -> Exports:
        """Returns the signatures: files or arrays for the SavedModel, 28x28 images for LiteRT."""
        few = splits.test.images[:VERIFIED, ..., None]
        large = np.repeat(np.repeat(few[:8], 3, axis=1), 3, axis=2)
        shape = (networks.SIZE, networks.SIZE, 1)
        signatures, litert = image_signatures(
            lambda images: _outputs(model, images),
            lambda images: {"probabilities": model.classify(images)["probabilities"]},
            few,
            fit=data.fit,
            shape=shape,
            prepare=data.prepare,
            arrays=(few, np.repeat(255 - large, 3, axis=3)),
        )
        return Exports(
            signatures,
            litert,
            labels_file(model.class_names),
            NOTES,
            _quantized(model, splits),
            metadata=classifier(model.class_names),
            processing=image_processing(
                {"kind": "classes", "blank": True}, fit=data.fit, shape=shape, by="handwriting"
            ),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: None = None
    ) -> list[dict[str, Any]]:
        """Returns the class of each image file and the probabilities of all classes."""
        return predict.predict(version, inputs)

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the class of an image and other likely classes."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[tuple[ExampleFile, ...]]:
        """Returns test images of three classes."""
        test = splits.test
        return [class_images(lambda row: test.images[row], test.labels, test.names)]


def _quantized(model: ImageClassifier, splits: Splits) -> Quantized:
    examples = splits.test
    truth = class_indices(examples.labels, examples.names, model.class_names)

    def accuracy(classify: Callable[..., Mapping[str, np.ndarray]]) -> float:
        parts = [classify(images=x)["probabilities"] for x in _arrays(examples, 100)]
        return float(np.mean(np.concatenate(parts).argmax(axis=1) == truth))

    calibration = [(x,) for x in _arrays(splits.train[:CALIBRATION], 1)]
    drop = max(MAX_DROP, (MAX_DROPPED + 0.5) / len(examples))
    return Quantized(("float16", "int8"), calibration, "accuracy", accuracy, drop)


def _outputs(model: ImageClassifier, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the label of each image, `""` for a blank one, and all classes' probabilities."""
    outputs = model.classify(images)
    has_ink = tf.reduce_any(images > 0, axis=[1, 2, 3])
    names = tf.tile(tf.constant([model.class_names]), [tf.shape(images)[0], 1])
    return {**outputs, "label": tf.where(has_ink, outputs["label"], ""), "classes": names}


def _probabilities(model: ImageClassifier, examples: LabelledImages) -> np.ndarray:
    """Returns the probability of each class, shape `(images, classes)`."""
    classify = _classifying(model)
    return np.concatenate([classify(x).numpy() for x in _arrays(examples, EVALUATION_BATCH)])


@functools.lru_cache(maxsize=1)
def _classifying(model: ImageClassifier) -> Callable[[np.ndarray], tf.Tensor]:
    # Traced once for all parts and sizes of batches.
    images = tf.TensorSpec([None, networks.SIZE, networks.SIZE, 1], tf.float32)
    return tf.function(lambda x: model.classify(x)["probabilities"], input_signature=[images])


def _arrays(examples: LabelledImages, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(examples), size):
        yield examples.images[start : start + size, ..., None].astype("float32") / 255
