"""Object detection: model, metrics and exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.notes import print_note
from dlrecipes.data.batches import map_numbered
from dlrecipes.data.box_augmentation import BoxAugmentation
from dlrecipes.data.box_batches import box_batches
from dlrecipes.data.box_examples import BoxExamples
from dlrecipes.data.image_resizing import fit_array
from dlrecipes.data.reports import DataReport
from dlrecipes.export.detection_accuracy import measure_map50
from dlrecipes.export.detection_signatures import detection_signatures
from dlrecipes.export.litert_metadata import detector
from dlrecipes.export.processing_check import check_stretched
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics import count_macs, detection_metrics
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.labels import labels_file
from dlrecipes.recipe.transfer import Transfer
from dlrecipes.training import FasterRCNN

from . import data, detections, figures, predict, training
from .config import Config, PredictOptions

# Number of test images on which every published file is verified.
VERIFIED = 30
CALIBRATION = 100
# Test images on which the precision of smaller LiteRT files is measured, at most.
MEASURED = 300
# Maximum loss of mAP50 of a smaller LiteRT file.
MAX_DROP = 0.01
NOTES = """\
An image may have any size; it is stretched to {size}x{size}, and boxes are given in its own pixels:
left, top, right and bottom. Boxes are ordered by their scores.

`model.tflite` takes colour images of {size}x{size} pixels as numbers from 0 to 1. Its outputs are
those that MediaPipe's ObjectDetector reads: `locations` (top, left, bottom and right as fractions
of the image), `classes` (lines of `assets.extra/labels.txt`, from 0), `scores` and `count`, the
number of all rows. Rows after the last box have the class -1 and the score 0.

The signature `draw` draws boxes with scores of at least 0.5.
"""


class ObjectDetection(Recipe):
    """Finds objects in images."""

    Config = Config
    objective = ("map50", "max")
    pipeline_tag = "object-detection"
    # Losses of a detector rise while its boxes still improve; the cosine schedule ends at its best.
    monitor = None

    def load_data(self) -> Splits:
        """Returns the images with their boxes."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on images and boxes."""
        return data.check(self.config)

    def build(self, splits: Splits) -> FasterRCNN:
        """Returns a detector of the classes of the training data."""
        sizes, ratios, overlap = training.anchors(self.config, splits.train)
        if overlap is not None:
            print_note(
                f"--anchors auto: sizes {_listed(sizes)}, ratios {_listed(ratios)} "
                f"(mean overlap with the boxes {overlap:.2f})",
                # A run with --start builds two models.
                once=("anchors", self.config.data, sizes, ratios),
            )
        steps = self.config.epoch_steps(len(splits.train))[0]
        return training.build(self.config, splits.train.names, (sizes, ratios), steps)

    def initialize(self, model: FasterRCNN, source: keras.Model) -> Transfer:
        """Copies the weights of a detector, or the features of an image classifier."""
        if isinstance(source, FasterRCNN):
            return super().initialize(model, source)
        return training.initialize(self.config, model, source)

    def row_names(self, model: FasterRCNN) -> Mapping[str, Sequence[str]]:
        """Returns the classes of the last layers' rows, for one with four rows per class.

        The first row of the scores is the background's.
        """
        names = model.class_names
        return {
            "class_logits": ("", *names),
            "box_deltas": tuple(name for name in names for _ in range(4)),
        }

    def dataset(
        self, model: FasterRCNN, examples: BoxExamples, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images, from 0 to 1, with boxes, classes and ignored boxes."""
        config = self.config
        examples = examples.with_names(model.class_names)

        def scaled(images: tf.Tensor, targets: Any) -> tuple[tf.Tensor, Any]:
            return tf.cast(images, tf.float32) / 255, targets

        if start_epoch is None:
            batches, steps = box_batches(
                examples, config.size, detections.EVALUATION_BATCH, config.seed
            )
            return batches.map(scaled), steps
        steps, passes = self.config.epoch_steps(len(examples))
        batches, _ = box_batches(
            examples, config.size, config.batch_size, config.seed, start_epoch * passes
        )
        augment = BoxAugmentation(
            config.size,
            flip=config.flip,
            scale=config.scale,
            shift=config.shift,
            colour=config.colour,
            mosaic=config.mosaic,
            seed=config.seed,
        )

        def augmented(number: tf.Tensor, batch: tuple[tf.Tensor, Any]) -> tuple[tf.Tensor, Any]:
            images, targets = augment(tf.cast(batch[0], tf.float32), batch[1], number)
            return images / 255, targets

        # The number of the batch over all epochs is its seed.
        return map_numbered(batches, augmented, start_epoch * steps), steps

    def evaluate(self, model: FasterRCNN, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns COCO's metrics: mean average precision and recall, by class and by size."""
        examples = getattr(splits, part)
        truths = detections.truths(examples.with_names(model.class_names))
        return detection_metrics(self._detect(model, examples), truths, model.class_names)

    def _detect(self, model: FasterRCNN, examples: BoxExamples) -> list[detections.Arrays]:
        return self.memo.get(
            "detections", model, examples, lambda: detections.detect(model, examples, self.config)
        )

    def describe(self, model: FasterRCNN, splits: Splits) -> dict[str, Any]:
        """Returns the multiply-accumulate operations per image."""
        return {"macs": count_macs(model.network)}

    def figures(self, model: FasterRCNN, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields detections, precision and recall, confusion and the recall of proposals."""
        found = self._detect(model, splits.test)
        examples = splits.test.with_names(model.class_names)
        yield from figures.figures(model, examples, found, self.config)

    def signatures(self, model: FasterRCNN, splits: Splits) -> Exports:
        """Returns files and arrays to boxes as the SavedModel, prepared images as LiteRT."""
        config, names = self.config, model.class_names
        chosen = splits.test.spread(VERIFIED)
        images = [chosen.image(k) for k in range(len(chosen))]
        signatures, litert = detection_signatures(
            detections.detector(config, model),
            names,
            images,
            size=config.size,
            iou_threshold=config.overlap,
            score_threshold=detections.LEAST_SCORE,
        )
        return Exports(
            signatures,
            litert,
            labels_file(names),
            NOTES.format(size=config.size),
            self._quantized(model, splits),
            metadata=detector(names),
            check=lambda version: check_stretched(images, config.size),
        )

    def _quantized(self, model: FasterRCNN, splits: Splits) -> Quantized:
        few = splits.train.spread(CALIBRATION)
        images = (fit_array(few.image(k), self.config.size) for k in range(len(few)))
        examples = splits.test.spread(MEASURED).with_names(model.class_names)
        return Quantized(
            ("float16", "dynamic", "int8"),
            [(image[None],) for image in images],
            "map50",
            measure_map50(
                examples.image, detections.truths(examples), examples.names, self.config.size
            ),
            MAX_DROP,
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns the objects in each image."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the objects of an image, one per line."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[tuple[ExampleFile, ...]]:
        """Returns three test images."""
        few = splits.test.spread(3)
        return [tuple(ExampleFile(f"image-{k}.png", few.image(k)) for k in range(len(few)))]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
