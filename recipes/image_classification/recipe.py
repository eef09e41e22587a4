"""Image classification: model, metrics and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.notes import print_note
from dlrecipes.data.batches import map_numbered
from dlrecipes.data.image_batches import fit, image_batches, plain_decoding_errors
from dlrecipes.data.labelled_images import ImageExamples
from dlrecipes.data.reports import DataReport
from dlrecipes.export.explanations import explain_signature
from dlrecipes.export.image_signatures import image_processing, image_signatures
from dlrecipes.export.litert_metadata import classifier
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import classification_metrics, count_macs
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.example_files import class_images
from dlrecipes.recipe.labels import labels_file
from dlrecipes.training import ImageClassifier

from . import compression, data, figures, networks, predict, training
from .augmentation import Augmentation
from .config import Config, PredictOptions

EVALUATION_BATCH = 250
# Number of test images on which every published file is verified.
VERIFIED = 50
CALIBRATION = 300
# Test images on which the accuracy of smaller LiteRT files is measured, at most.
MEASURED = 2000
# Maximum loss of accuracy of a smaller LiteRT file: a fraction or a number of images, whichever
# is larger.
MAX_DROP, MAX_DROPPED = 0.005, 3
NOTES = """\
An image may have any size; it is stretched to {size}x{size}. `classes` lists the classes in the
order of the columns of `probabilities`.

`model.tflite` takes colour images of {size}x{size} pixels as numbers from 0 to 1; the columns of
its output are the lines of `assets.extra/labels.txt`.
"""


class ImageClassification(Recipe):
    """Names what images show."""

    Config = Config
    objective = ("accuracy", "max")
    pipeline_tag = "image-classification"
    # Few validation images have the same accuracy in many epochs.
    monitor = "val_loss"
    mode = "min"

    def load_data(self) -> Splits:
        """Returns the images."""
        networks.check(self.config)
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the images."""
        return data.check(self.config)

    def build(self, splits: Splits) -> ImageClassifier:
        """Returns a classifier with the classes of the training data."""
        return training.build(
            self.config, splits.train.names, self.config.epoch_steps(len(splits.train))[0]
        )

    def dataset(
        self, model: ImageClassifier, examples: ImageExamples, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images, from 0 to 1, and one-hot classes; weights with --balance."""
        config = self.config
        examples = examples.with_names(model.class_names)
        classes = len(model.class_names)

        def scaled(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.cast(images, tf.float32) / 255, tf.one_hot(labels, classes)

        if start_epoch is None:
            batches, steps = image_batches(examples, config.size, EVALUATION_BATCH, config.seed)
            return batches.map(scaled), steps
        steps, passes = self.config.epoch_steps(len(examples))
        batches, _ = image_batches(
            examples, config.size, config.batch_size, config.seed, start_epoch * passes
        )
        augment = Augmentation(config)
        weights = training.class_weights(examples) if config.balance else None

        def augmented(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple:
            images, labels = batch
            images = tf.cast(images, tf.float32)
            images, labels = augment(images, tf.one_hot(labels, classes), number)
            if weights is None:
                return images / 255, labels
            return images / 255, labels, tf.linalg.matvec(labels, weights)

        # The number of the batch over all epochs is its seed.
        return map_numbered(batches, augmented, start_epoch * steps), steps

    def callbacks(self, model: ImageClassifier, splits: Splits) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that freeze, average and prune weights."""
        if self.config.prune:
            print_note(compression.pruned_weights(self.config, model))
        return training.callbacks(self.config, self.config.epoch_steps(len(splits.train))[0])

    @property
    def start_from_epoch(self) -> int:
        """First epochs of which none is the best, because pruning or rounding is not complete."""
        return training.first_epochs(self.config)

    def evaluate(self, model: ImageClassifier, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns accuracy with its interval, calibration, and metrics of each class."""
        examples = getattr(splits, part)
        labels = examples.with_names(model.class_names).labels
        probabilities = self._probabilities(model, examples)
        return classification_metrics(probabilities, labels, model.class_names)

    def _probabilities(self, model: ImageClassifier, examples: ImageExamples) -> np.ndarray:
        return self.memo.get(
            "probabilities", model, examples, lambda: self._classified(model, examples)
        )

    def _classified(self, model: ImageClassifier, examples: ImageExamples) -> np.ndarray:
        classify = tf.function(lambda images: training.outputs(model, images, self.config.mirror))
        with plain_decoding_errors():
            return np.concatenate(
                [
                    classify(tf.cast(images, tf.float32) / 255)["probabilities"].numpy()
                    for images, _ in image_batches(
                        examples, self.config.size, EVALUATION_BATCH, self.config.seed
                    )[0]
                ]
            )

    def describe(self, model: ImageClassifier, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulate operations per image, and the fraction of zeros."""
        zeros = {"sparsity": compression.sparsity(model)} if self.config.prune else {}
        return {"macs": count_macs(model.network) * (1 + self.config.mirror), **zeros}

    def figures(self, model: ImageClassifier, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields confusion matrix, mistakes, calibration, and what the network sees."""
        probabilities = self._probabilities(model, splits.test)
        examples = splits.test.with_names(model.class_names)
        yield from figures.figures(model, examples, probabilities, self.config)

    def signatures(self, model: ImageClassifier, splits: Splits) -> Exports:
        """Returns files and arrays to classes as the SavedModel, prepared images as LiteRT."""
        config = self.config
        images, shape = self._images(splits.test.spread(VERIFIED)), (config.size, config.size, 3)

        def square(image: tf.Tensor) -> tf.Tensor:
            return fit(image, config.size)

        def classes(images: tf.Tensor) -> dict[str, tf.Tensor]:
            names = tf.tile(tf.constant([model.class_names]), [tf.shape(images)[0], 1])
            return {**training.outputs(model, images, config.mirror), "classes": names}

        def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = training.outputs(model, images, config.mirror)
            return {"probabilities": outputs["probabilities"]}

        signatures, litert = image_signatures(
            classes,
            probabilities,
            images,
            fit=square,
            shape=shape,
        )
        signatures["explain"] = explain_signature(
            model,
            list(images),
            fit=square,
            shape=shape,
            classify=lambda images: training.outputs(model, images, config.mirror),
        )
        notes = NOTES.format(size=config.size)
        if config.prune:
            notes += f"\n{compression.pruned_weights(config, model)}\n"
        return Exports(
            signatures,
            litert,
            labels_file(model.class_names),
            notes,
            self._quantized(model, splits),
            metadata=classifier(model.class_names),
            sparsity=config.prune or None,
            processing=image_processing({"kind": "classes"}, fit=square, shape=shape, by="stretch"),
        )

    def _images(self, examples: ImageExamples) -> np.ndarray:
        """Returns a few images, resized, as uint8."""
        batches, _ = image_batches(examples, self.config.size, len(examples), self.config.seed)
        with plain_decoding_errors():
            return next(iter(batches))[0].numpy()

    def _quantized(self, model: ImageClassifier, splits: Splits) -> Quantized:
        config, examples = self.config, splits.test.spread(MEASURED)
        few = self._images(splits.train.spread(CALIBRATION))
        calibration = [(image[None].astype("float32") / 255,) for image in few]
        return Quantized(
            ("float16", "dynamic", "int8"),
            calibration,
            "accuracy",
            compression.accuracy(examples.with_names(model.class_names), config.size),
            max(MAX_DROP, (MAX_DROPPED + 0.5) / len(examples)),
            compression.method(config),
            compression.references(config, examples),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns the likely classes of each image."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the likely classes of an image as one line."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[tuple[ExampleFile, ...]]:
        """Returns test images of three classes."""
        return [class_images(splits.test.image, splits.test.labels, splits.test.names)]
