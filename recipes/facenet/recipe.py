"""FaceNet: model, metrics, figures and exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import evaluation_batches
from dlrecipes.data.faces import FaceImages
from dlrecipes.data.identities import identity_steps, pk_batches
from dlrecipes.errors import UsageError
from dlrecipes.export.image_signatures import image_signatures
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import count_macs
from dlrecipes.recipe import Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.training import TripletEmbedding, learning_rate_schedule

from . import augmentation, data, figures, networks, predict, scores
from .config import Config, PredictOptions

EVALUATION_BATCH = 100
# Test images that are compared one by one in each published file.
COMPARED = 20
CALIBRATION = 200
# Largest loss of AUC for a smaller LiteRT file to be published.
DROP = 0.01
# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.01
NOTES = """\
An image shows one face that fills it about as in training, in {colour} for `model.tflite`, as
numbers from 0 to 1. The squared distance of two embeddings is from 0 to 4; two images with at most
{threshold:.3f} show one person (`assets.extra/threshold.txt`).
"""


class FaceNet(Recipe):
    """Says whether two images show one person, and who somebody is."""

    Config = Config
    objective = ("eer", "min")
    pipeline_tag = "image-feature-extraction"
    metric_groups = ("pixels", "eigenfaces")
    # A few people's triplets do not tell which epoch is best: they cost nothing, or are others.
    monitor = None

    def load_data(self) -> Splits:
        """Returns the images, of other people in each part."""
        return data.load(self.config)

    def build(self, splits: Splits) -> TripletEmbedding:
        """Returns the embedding and its loss."""
        config = self.config
        model = TripletEmbedding(
            networks.build(config, data.size_of(config)),
            margin=config.margin,
            mining=config.mining,
            metric=config.metric,
        )
        steps = self._steps(splits.train) * config.epochs
        rate = learning_rate_schedule(
            config.lr_schedule, config.learning_rate, steps, alpha=FINAL_RATE
        )
        model.compile(keras.optimizers.AdamW(rate, weight_decay=config.weight_decay))
        return model

    def dataset(
        self, model: TripletEmbedding, examples: FaceImages, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of some images of each of some people; for evaluation, of all."""
        config = self.config

        def scaled(images, labels):
            return tf.cast(images, tf.float32) / 255, labels

        if start_epoch is None:
            # Triplets are those of a batch: all images are one.
            found = evaluation_batches(
                {"images": examples.images}, {"labels": examples.labels}, len(examples)
            )
            return found.map(lambda x, y: scaled(x["images"], y["labels"])), 1
        found = pk_batches(
            examples.images,
            examples.labels,
            self._people(examples),
            config.images_per_person,
            config.seed,
            start_epoch,
            self._steps(examples),
        )
        # Numbered over all epochs: how a batch is varied is drawn by that alone.
        numbered = found.map(scaled).enumerate(start_epoch * self._steps(examples))

        # Not within the network: Keras' RandomFlip and RandomErasing cannot be exported there.
        def varied(number, batch):
            seed = tf.stack([config.seed, tf.cast(number, tf.int32)])
            return augmentation.augment(batch[0], config, seed), batch[1]

        return numbered.map(varied), self._steps(examples)

    def _steps(self, examples: FaceImages) -> int:
        config = self.config
        steps = identity_steps(examples.labels, self._people(examples), config.images_per_person)
        return max(config.min_steps_per_epoch, steps)

    def _people(self, examples: FaceImages) -> int:
        """Returns how many people a batch shows."""
        config = self.config
        people = config.batch_size // config.images_per_person
        if people < 2:
            raise UsageError(
                f"--batch-size {config.batch_size} --images-per-person "
                f"{config.images_per_person}: a batch must show two people.",
                f"Give --batch-size {2 * config.images_per_person} or more.",
            )
        return min(people, examples.people)

    def evaluate(self, model: TripletEmbedding, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns verification and identification metrics of the network and two baselines."""
        examples = getattr(splits, part)
        embeddings = self._embeddings(model, examples)
        pixels, eigenfaces = scores.baselines(splits.train, examples)
        return {
            **scores.scores(embeddings, examples.labels, self.config.seed),
            "pixels": scores.scores(pixels, examples.labels, self.config.seed),
            "eigenfaces": scores.scores(eigenfaces, examples.labels, self.config.seed),
        }

    def describe(self, model: TripletEmbedding, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulates per image, and the distance that separates people."""
        return {
            "macs": count_macs(model.network) * (1 + self.config.mirror),
            "threshold": self._threshold(model, splits),
        }

    def _threshold(self, model: TripletEmbedding, splits: Splits) -> float:
        people = splits.validation
        roc = scores.curve(self._embeddings(model, people), people.labels)
        return roc.threshold_at(self.config.target_far)

    def _embeddings(self, model: TripletEmbedding, examples: FaceImages) -> np.ndarray:
        embed = tf.function(lambda x: networks.embed(model, x, self.config.mirror))
        return np.concatenate([embed(x).numpy() for x in _arrays(examples, EVALUATION_BATCH)])

    def figures(self, model: TripletEmbedding, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields ROC, distances, their matrix, nearest neighbours and a map of the test people."""
        examples = splits.test
        embeddings = self._embeddings(model, examples)
        pixels, eigenfaces = scores.baselines(splits.train, examples)
        ways = {"network": embeddings, "eigenfaces": eigenfaces, "pixels": pixels}
        curves = {name: scores.curve(x, examples.labels) for name, x in ways.items()}
        yield "roc", figures.roc(curves)
        yield (
            "distances",
            figures.distances(embeddings, examples.labels, self._threshold(model, splits)),
        )
        yield "matrix", figures.matrix(embeddings, examples)
        yield "neighbours", figures.neighbours(embeddings, examples)
        yield "map", figures.chart(embeddings, examples, self.config.seed)

    def signatures(self, model: TripletEmbedding, splits: Splits) -> Exports:
        """Returns files and arrays to embeddings as the SavedModel, prepared arrays as LiteRT."""
        config, size = self.config, data.size_of(self.config)

        def embed(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"embedding": networks.embed(model, images, config.mirror)}

        signatures, litert = image_signatures(
            embed,
            embed,
            splits.test.images[:COMPARED],
            decode=lambda image_bytes: data.read(image_bytes, size),
            prepare=lambda images: data.prepare(images, size),
            shape=(size.side, size.side, size.channels),
        )
        threshold = self._threshold(model, splits)
        return Exports(
            signatures,
            litert,
            {predict.THRESHOLD_FILE: f"{threshold:.6f}\n"},
            NOTES.format(threshold=threshold, colour="colour" if size.channels == 3 else "grey"),
            _quantized(splits),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns a comparison of each two images, or the identity of each one in a gallery."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns a comparison or an identity as one line."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[str | tuple[str, ...]]:
        """Returns names such as a user's images may have, two to be compared."""
        return [("one.jpg", "other.jpg")]


def _quantized(splits: Splits) -> Quantized:
    def area(embed: Callable[..., Mapping[str, np.ndarray]]) -> float:
        parts = [embed(images=x)["embedding"] for x in _arrays(splits.test, EVALUATION_BATCH)]
        return scores.curve(np.concatenate(parts), splits.test.labels).auc

    calibration = [(x,) for x in _arrays(splits.train[:CALIBRATION], 1)]
    return Quantized(("float16", "int8"), calibration, "auc", area, DROP)


def _arrays(examples: FaceImages, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(examples), size):
        yield examples.images[start : start + size].astype("float32") / 255
