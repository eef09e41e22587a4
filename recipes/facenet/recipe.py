"""FaceNet: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import evaluation_batches
from dlrecipes.data.faces import FaceImages
from dlrecipes.data.identities import identity_steps, pk_batches
from dlrecipes.errors import UsageError
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import count_macs
from dlrecipes.recipe import Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.training import TripletEmbedding

from . import augmentation, data, networks, scores, show
from .config import Config, PredictOptions

EVALUATION_BATCH = 100
# Of the test images, these many are compared one by one in each published file.
COMPARED = 20
CALIBRATION = 200
# How much of the area below the ROC a smaller LiteRT file may lose.
DROP = 0.01


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
        splits = data.load(self.config)
        # Eigenfaces, the threshold and int8 come from these; the test's people are strangers.
        self._training, self._validation = splits.train, splits.validation
        return splits

    def build(self, splits: Splits) -> TripletEmbedding:
        """Returns the embedding and its loss."""
        config = self.config
        model = TripletEmbedding(
            networks.build(config, data.size_of(config)),
            margin=config.margin,
            mining=config.mining,
            metric=config.metric,
        )
        rate = config.learning_rate
        if config.lr_schedule == "cosine":
            steps = self._steps(splits.train) * config.epochs
            rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)
        model.compile(keras.optimizers.AdamW(rate, weight_decay=config.weight_decay))
        return model

    def batches(
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

    def evaluate(self, model: TripletEmbedding, examples: FaceImages) -> dict[str, Any]:
        """Returns verification and identification of the network, of pixels and of eigenfaces."""
        found = scores.scores(self._embeddings(model, examples), examples.labels, self.config.seed)
        pixels, eigenfaces = scores.baselines(self._training, examples)
        return {
            **found,
            "pixels": scores.scores(pixels, examples.labels, self.config.seed),
            "eigenfaces": scores.scores(eigenfaces, examples.labels, self.config.seed),
        }

    def describe(self, model: TripletEmbedding) -> dict[str, Any]:
        """Returns the multiplications of an image, and the distance that parts two people."""
        return {
            "macs": count_macs(model.network) * (1 + self.config.mirror),
            "threshold": self._threshold(model),
        }

    def _threshold(self, model: TripletEmbedding) -> float:
        people = self._validation
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
        curves = {name: scores.curve(found, examples.labels) for name, found in ways.items()}
        yield "roc", show.roc(curves)
        yield "distances", show.distances(embeddings, examples.labels, self._threshold(model))
        yield "matrix", show.matrix(embeddings, examples)
        yield "neighbours", show.neighbours(embeddings, examples)
        yield "map", show.chart(embeddings, examples, self.config.seed)

    def signatures(self, model: TripletEmbedding, examples: FaceImages) -> Exports:
        """Returns files and arrays to embeddings as the SavedModel, prepared arrays as LiteRT."""
        config, size = self.config, data.size_of(self.config)
        few = examples[:COMPARED]
        files = np.array([tf.io.encode_png(x).numpy() for x in few.images], object)

        def answers(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"embedding": networks.embed(model, images, config.mirror)}

        serving = Signature(
            lambda image_bytes: answers(data.read(image_bytes, size)),
            [tf.TensorSpec([None], tf.string, name="image_bytes")],
            [(files,)],
        )
        large = np.repeat(np.repeat(few.images[:4], 2, axis=1), 3, axis=2)
        from_images = Signature(
            lambda images: answers(data.prepare(images, size)),
            [tf.TensorSpec([None, None, None, None], tf.uint8, name="images")],
            [(few.images,), (large,)],
        )
        shape = [None, size.side, size.side, size.channels]
        litert = Signature(
            answers,
            [tf.TensorSpec(shape, tf.float32, name="images")],
            [(batch,) for batch in _arrays(few, 1)],
        )
        threshold = self._threshold(model)
        return Exports(
            {"serving_default": serving, "images": from_images},
            litert,
            {show.THRESHOLD_FILE: f"{threshold:.6f}\n"},
            show.usage(self.name, size, threshold),
            self._quantized(examples),
        )

    def _quantized(self, examples: FaceImages) -> Quantized:
        def area(embed) -> float:
            found = [embed(images=x)["embedding"] for x in _arrays(examples, EVALUATION_BATCH)]
            return scores.curve(np.concatenate(found), examples.labels).auc

        calibration = [(x,) for x in _arrays(self._training[:CALIBRATION], 1)]
        return Quantized(("float16", "int8"), calibration, "auc", area, DROP)

    def predict(self, function: Any, inputs: Sequence[str]) -> list[str]:
        """Returns how far each two images are from one another."""
        return show.compared(function, inputs, None)

    def answer(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[str]:
        """Returns who each image shows, by a gallery; or whether two show one person."""
        return show.answers(version, list(inputs), options or PredictOptions())

    def example_inputs(self, splits: Splits) -> list[str | tuple[str, ...]]:
        """Returns names such as a user's images may have, two to be compared."""
        return [("one.jpg", "other.jpg")]


def _arrays(examples: FaceImages, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(examples), size):
        yield examples.images[start : start + size].astype("float32") / 255
