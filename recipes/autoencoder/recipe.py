"""Autoencoder: model, metrics, figures and exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import array_batches, epoch_steps, map_batches
from dlrecipes.data.digits import LabelledImages
from dlrecipes.data.reports import DataReport
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import classification_metrics, count_macs
from dlrecipes.recipe import ExampleFile, Exports, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.example_files import class_images
from dlrecipes.training import ImageClassifier, SupervisedTrainer, learning_rate_schedule

from . import data, exports, figures, networks, predict, pretraining, scores
from .config import Config, PredictOptions

EVALUATION_BATCH = 500
# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.01


class Autoencoder(Recipe):
    """Describes images by a few numbers, and restores them."""

    Config = Config
    objective = ("squared_error", "min")
    pipeline_tag = "image-feature-extraction"
    metric_groups = ("pca",)
    independent_inputs = predict.INDEPENDENT_INPUTS
    # Fitted once for all parts.
    _pca: Any = None

    @property
    def monitor(self) -> str:
        """The logged name that chooses the best epoch."""
        return "val_mse" if self.config.network in ("deep", "convolutional") else "val_loss"

    @property
    def pretrains(self) -> bool:
        """Whether the layers are first trained as Boltzmann machines."""
        return self.config.machines

    @property
    def trains(self) -> bool:
        """Whether epochs train the network; PCA is computed."""
        return self.config.network != "pca"

    def load_data(self) -> Splits:
        """Returns the images."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the images."""
        return data.check(self.config)

    def build(self, splits: Splits) -> SupervisedTrainer:
        """Returns the network; its classes are those of the training data."""
        config = self.config
        config.check_combination()
        network = networks.build(config, splits.train)
        if config.network == "dbn":
            model = ImageClassifier(network, splits.train.names)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(self._optimizer(splits), loss, metrics=["accuracy"])
            return model
        model = SupervisedTrainer(network)
        if config.network == "pca":
            # The weights are the solution: a step with this optimizer changes nothing.
            model.compile(keras.optimizers.SGD(0.0), "mse")
            return model
        losses = {"cross_entropy": "binary_crossentropy", "squared_error": "mse"}
        model.compile(self._optimizer(splits), losses[config.loss], metrics=["mse"])
        return model

    def _optimizer(self, splits: Splits) -> keras.optimizers.Optimizer:
        config = self.config
        steps = self._epoch(len(splits.train))[0] * config.epochs
        return keras.optimizers.Adam(
            learning_rate_schedule(
                config.lr_schedule, config.learning_rate, steps, alpha=FINAL_RATE
            )
        )

    def _epoch(self, examples: int) -> tuple[int, int]:
        """Returns the training steps of an epoch, and how often it repeats the images."""
        if self.config.network == "pca":
            return 1, 1
        return epoch_steps(examples, self.config.batch_size, self.config.min_steps_per_epoch)

    def pretrain(self, model: SupervisedTrainer, splits: Splits, folder: Path) -> np.ndarray:
        """Trains the layers as Boltzmann machines; returns filters and samples."""
        return pretraining.train(self.config, model, splits.train, folder)

    def dataset(
        self,
        model: SupervisedTrainer,
        examples: LabelledImages,
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images from 0 to 1, with the images or classes as targets."""
        config, arrays = self.config, (examples.images, examples.labels)
        steps, passes = self._epoch(len(examples))
        if start_epoch is None:
            batches, steps = array_batches(*arrays, EVALUATION_BATCH, config.seed)
        else:
            batches, _ = array_batches(
                *arrays, config.batch_size, config.seed, start_epoch * passes
            )
        first = -1_000_000 if start_epoch is None else start_epoch * steps

        def prepared(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple:
            images, labels = batch
            inputs = images = tf.cast(images, tf.float32) / 255
            if config.noise:
                # The number of the batch over all epochs is its seed.
                seed = tf.stack([config.seed, tf.cast(number, tf.int32)])
                inputs = scores.add_noise(images, config, seed)
            return inputs, labels if config.network == "dbn" else images

        return batches.enumerate(first).map(prepared), steps

    def evaluate(self, model: SupervisedTrainer, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the squared error and what else can be measured, also for PCA."""
        config = self.config
        train, examples = (
            networks.fitting(model, own) for own in (splits.train, getattr(splits, part))
        )
        described = scores.describe(model, examples.images)
        if config.network == "dbn":
            return self._classification(model, examples, described)
        known = scores.describe(model, train.images).codes
        metrics: dict[str, Any] = scores.scores(described, known, examples, train)
        pca = self.pca(train)
        by_pca = scores.describe_by_pca(pca, examples.images)
        known = scores.describe_by_pca(pca, train.images).codes
        of_pca = scores.scores(by_pca, known, examples, train)
        if config.noise:
            inputs = scores.noisy(examples.images, config)
            restored = scores.describe(model, inputs).restored
            metrics["noisy_psnr"] = scores.psnr(examples.images, inputs)
            metrics["denoised_psnr"] = scores.psnr(examples.images, restored)
            restored = scores.describe_by_pca(pca, inputs).restored
            of_pca["denoised_psnr"] = scores.psnr(examples.images, restored)
        return metrics if config.network == "pca" else {**metrics, "pca": of_pca}

    def _classification(
        self, model: ImageClassifier, examples: LabelledImages, described: scores.Described
    ) -> dict[str, Any]:
        probabilities = _probabilities(model, examples.images)
        return {
            **classification_metrics(probabilities, examples.labels, model.class_names),
            "squared_error": float(described.errors(examples.images).mean()),
        }

    def pca(self, train: LabelledImages) -> Any:
        """Returns PCA of the training images with as many components as the code has numbers."""
        if self._pca is None:
            self._pca = networks.fit_pca(train, self.config.code, self.config.seed)
        return self._pca

    def describe(self, model: SupervisedTrainer, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulate operations per image, and the numbers of its code."""
        codes = scores.describe(model, splits.test.images[:1]).codes
        return {"macs": count_macs(model.network), "code_units": codes.shape[1]}

    def figures(self, model: SupervisedTrainer, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields codes, restored images, filters, samples and errors."""
        probabilities = None
        if isinstance(model, ImageClassifier):
            probabilities = _probabilities(model, splits.test.images)
        yield from figures.figures(self, model, splits, probabilities)

    def signatures(self, model: SupervisedTrainer, splits: Splits) -> Exports:
        """Returns signatures that encode, decode, restore and, for a DBN, classify."""
        return exports.exports(self.config, model, splits)

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Writes the restored images, or ranks the images by their errors."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the result for an image as one line."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[tuple[ExampleFile, ...]]:
        """Returns test images of three classes, or the first three."""
        test = splits.test
        names = [name or "image" for name in test.names]
        if len(names) > 1:
            return [class_images(lambda row: test.images[row], test.labels, names)]
        few = test.images[:3]
        return [tuple(ExampleFile(f"image-{row}.png", image) for row, image in enumerate(few))]


def _probabilities(model: ImageClassifier, images: np.ndarray) -> np.ndarray:
    """Returns the probability of each class, shape `(images, classes)`."""

    def classify(batch: np.ndarray) -> tf.Tensor:
        return model.classify(tf.cast(batch, tf.float32) / 255)["probabilities"]

    call: Callable = tf.function(classify, reduce_retracing=True)
    return map_batches(call, images, batch_size=EVALUATION_BATCH)
