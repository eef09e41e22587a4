"""FaceNet: model, metrics, figures and exports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.file_names import slug
from dlrecipes._utils.notes import print_note
from dlrecipes.data.batches import array_batches, map_batches
from dlrecipes.data.eigenfaces import eigenface_coordinates
from dlrecipes.data.faces import FaceImages, fitted
from dlrecipes.data.identities import identity_steps, pk_batches
from dlrecipes.data.reports import DataReport
from dlrecipes.data.sources import BUILTIN
from dlrecipes.export.image_signatures import image_processing, image_signatures
from dlrecipes.export.litert_metadata import embedder
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import count_macs
from dlrecipes.metrics.embeddings import embedding_roc, embedding_scores
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.transfer import Transfer
from dlrecipes.training import TripletEmbedding, learning_rate_schedule

from . import data, figures, networks, predict
from .config import Config, PredictOptions

EVALUATION_BATCH = 100
# Each LiteRT interpreter keeps the activations of its largest batch.
LITERT_BATCH = 10
# Number of test images that are compared in each published file.
COMPARED = 20
CALIBRATION = 200
# Maximum loss of AUC for a smaller LiteRT file to be published.
DROP = 0.01
# The cosine schedule ends at this fraction of the learning rate.
FINAL_RATE = 0.01
NOTES = """\
An image shows one face, framed as in training, in {colour} for `model.tflite`, which takes numbers
from 0 to 1. The squared distance of two embeddings is from 0 to 4; if it is at most
{threshold:.3f} (`assets.extra/threshold.txt`), two images are taken to show the same person.
"""
DRAWN = """
The model was trained on drawn faces. On photographs of real people it makes more mistakes, and
the threshold may not suit them.
"""


class FaceNet(Recipe):
    """Compares faces, and identifies a face in a gallery."""

    Config = Config
    objective = ("eer", "min")
    pipeline_tag = "image-feature-extraction"
    independent_inputs = predict.INDEPENDENT_INPUTS
    metric_groups = ("pixels", "eigenfaces")
    # The loss over a few people's triplets does not show which epoch is best: it may be 0, and
    # semi-hard mining selects other triplets in each epoch.
    monitor = None

    def load_data(self) -> Splits:
        """Returns the images, of different people in each split."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the images."""
        return data.check(self.config)

    def build(self, splits: Splits) -> TripletEmbedding:
        """Returns the embedding network with its triplet loss."""
        config = self.config
        model = TripletEmbedding(
            networks.build(config, data.size_of(config)),
            margin=config.margin,
            mining=config.mining,
            metric=config.metric,
        )
        # All validation images are one batch.
        model.validation_part = EVALUATION_BATCH
        steps = self._steps(splits.train) * config.epochs
        rate = learning_rate_schedule(
            config.lr_schedule, config.learning_rate, steps, alpha=FINAL_RATE
        )
        model.compile(keras.optimizers.AdamW(rate, weight_decay=config.weight_decay))
        return model

    def initialize(self, model: TripletEmbedding, source: TripletEmbedding) -> Transfer:
        """Copies the weights that a new run begins with; notes an embedding of another size."""
        transfer = super().initialize(model, source)
        own, units = self.config.embedding_units, source.network.output_shape[-1]
        fitting = units // transfer.source_members * transfer.members
        if transfer.useful and own != fitting:
            print_note(
                f"--embedding-units {own}: the published network has {fitting // transfer.members} "
                f"units per member. Its last layer is kept with --embedding-units {fitting}."
            )
        return transfer

    def dataset(
        self, model: TripletEmbedding, examples: FaceImages, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches with several images of each person; all images for evaluation."""
        config = self.config
        if start_epoch is None:
            # Triplets are formed within a batch, so all images are in one.
            arrays = examples.images, examples.labels
            batches, steps = array_batches(*arrays, len(examples), config.seed)
            return batches.map(lambda x, y: (_scaled(x), y)), steps
        steps = self._steps(examples)
        batches = pk_batches(
            examples.images,
            examples.labels,
            self._people(examples),
            config.images_per_person,
            config.seed,
            start_epoch,
            steps,
        )

        # Not in the network: Keras' RandomFlip and RandomErasing cannot be exported there.
        def augmented(number, batch):
            seed = tf.stack([config.seed, tf.cast(number, tf.int32)])
            return data.augment(_scaled(batch[0]), config, seed), batch[1]

        # The number of the batch over all epochs is its seed.
        return batches.enumerate(start_epoch * steps).map(augmented), steps

    def _steps(self, examples: FaceImages) -> int:
        config = self.config
        steps = identity_steps(examples.labels, self._people(examples), config.images_per_person)
        return max(config.min_steps_per_epoch, steps)

    def _people(self, examples: FaceImages) -> int:
        """Returns the number of people per batch."""
        size, each = self.config.batch_size, self.config.images_per_person
        return min(size // each, examples.people)

    def evaluate(self, model: TripletEmbedding, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns verification and identification metrics of the network and two baselines."""
        examples = getattr(splits, part)
        metrics = {
            name: embedding_scores(embeddings, examples.labels, self.config.seed)
            for name, embeddings in self._representations(model, splits, examples).items()
        }
        return {**metrics.pop("network"), **metrics}

    def describe(self, model: TripletEmbedding, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulates per image, and the threshold between people."""
        return {
            "macs": count_macs(model.network) * (1 + self.config.mirror),
            "threshold": self._threshold(model, splits),
        }

    def _threshold(self, model: TripletEmbedding, splits: Splits) -> float:
        people = splits.validation
        roc = embedding_roc(self._embeddings(model, people), people.labels)
        return roc.threshold_at(self.config.target_far)

    def _embeddings(self, model: TripletEmbedding, examples: FaceImages) -> np.ndarray:
        embed = _compiled(model, self.config.mirror)

        def embeddings() -> np.ndarray:
            return map_batches(
                lambda batch: embed(_scaled(batch)), examples.images, batch_size=EVALUATION_BATCH
            )

        return self.memo.get("embeddings", model, examples, embeddings)

    def _representations(
        self, model: TripletEmbedding, splits: Splits, examples: FaceImages
    ) -> dict[str, np.ndarray]:
        """Returns the network's embeddings, and the baselines' vectors, of images."""
        training, pixels = (part.images.reshape(len(part), -1) for part in (splits.train, examples))
        return {
            "network": self._embeddings(model, examples),
            "pixels": pixels.astype("float32") / 255,
            "eigenfaces": eigenface_coordinates(training, pixels),
        }

    def figures(self, model: TripletEmbedding, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields ROC, distances, their matrix, nearest neighbours and a map of the test people."""
        examples = splits.test
        representations = self._representations(model, splits, examples)
        curves = {name: embedding_roc(x, examples.labels) for name, x in representations.items()}
        yield "roc", figures.roc(curves)
        embeddings, threshold = representations["network"], self._threshold(model, splits)
        yield "distances", figures.distances(embeddings, examples.labels, threshold)
        yield "matrix", figures.matrix(embeddings, examples)
        yield "neighbours", figures.neighbours(embeddings, examples)
        yield "map", figures.chart(embeddings, examples, self.config.seed)

    def signatures(self, model: TripletEmbedding, splits: Splits) -> Exports:
        """Returns files and arrays to embeddings as the SavedModel, prepared arrays as LiteRT."""
        config, size = self.config, data.size_of(self.config)

        def embed(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"embedding": networks.embed(model, images, config.mirror)}

        def fit(image: tf.Tensor) -> tf.Tensor:
            return fitted(image, size)

        signatures, litert = image_signatures(
            embed,
            embed,
            splits.test.images[:COMPARED],
            fit=fit,
            shape=size.shape,
        )
        threshold = self._threshold(model, splits)
        notes = NOTES.format(threshold=threshold, colour="colour" if config.colour else "grey")
        return Exports(
            signatures,
            litert,
            {predict.THRESHOLD_FILE: f"{threshold:.6f}\n"},
            notes + (DRAWN if config.data == BUILTIN else ""),
            _quantized(splits),
            metadata=embedder(),
            processing=image_processing(
                {"kind": "same"}, fit=fit, shape=size.shape, by="scale", crop=size.crop
            ),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns a comparison of each pair of images, or each image's identity in a gallery."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns a comparison or an identity as one line."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[tuple[ExampleFile, ...]]:
        """Returns pairs of test images: of one person, and of two."""
        test = splits.test
        person = next(label for label in test.labels if np.sum(test.labels == label) > 1)
        one, same = np.flatnonzero(test.labels == person)[:2]
        others = np.flatnonzero(test.labels != person)[:1]

        def file(row: int) -> ExampleFile:
            return ExampleFile(f"{slug(test.names[test.labels[row]])}-{row}.png", test.images[row])

        return [(file(one), file(row)) for row in (same, *others)]


@functools.lru_cache(maxsize=1)
def _compiled(model: TripletEmbedding, mirror: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the embedding as a graph, which all metrics and figures of a run share."""
    spec = tf.TensorSpec(model.network.input_shape, tf.float32)
    return tf.function(lambda x: networks.embed(model, x, mirror), input_signature=[spec])


def _quantized(splits: Splits) -> Quantized:
    def auc(embed: Callable[..., Mapping[str, np.ndarray]]) -> float:
        embeddings = map_batches(
            lambda batch: embed(images=_scaled(batch).numpy())["embedding"],
            splits.test.images,
            batch_size=LITERT_BATCH,
        )
        return embedding_roc(embeddings, splits.test.labels).auc

    calibration = [(_scaled(image[None]).numpy(),) for image in splits.train.images[:CALIBRATION]]
    return Quantized(("float16", "int8"), calibration, "auc", auc, DROP)


def _scaled(images: np.ndarray | tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255
