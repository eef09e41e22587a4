"""pix2pix: model, metrics, figures and exports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dlrecipes.data.augmentation import random_jitter
from dlrecipes.data.batches import (
    array_batches,
    map_batches,
    passes_per_epoch,
    steps_per_epoch,
)
from dlrecipes.data.generated.facades import CLASSES, classes_of, is_label_map
from dlrecipes.data.image_bytes import (
    encode_batch,
    to_signed,
    to_uint8,
)
from dlrecipes.data.image_pairs import ImagePairs, brought_to
from dlrecipes.data.reports import DataReport
from dlrecipes.data.sources import BUILTIN
from dlrecipes.export.image_signatures import image_processing, image_signatures
from dlrecipes.export.version import ModelVersion
from dlrecipes.figures import image_grid, select_epochs
from dlrecipes.metrics.image_quality import image_quality
from dlrecipes.metrics.segmentation_judge import SegmentationJudge
from dlrecipes.models import patchgan, pix2pix_unet
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.training import Pix2Pix, SupervisedTrainer, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in, full_precision
from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy

from . import data, predict, scores
from .config import Config, PredictOptions

EVALUATION_BATCH = 10
# Training steps of the network behind the FCN score.
JUDGE_STEPS = 300
# Number of validation images whose translations are kept of each epoch.
SNAPSHOT_IMAGES = 4
# Numbers of test images in the figures.
SHEET, JUDGED = 12, 4
# Number of images that are compared in each published file.
COMPARED = 4
# Maximum loss of SSIM for a smaller LiteRT file to be published.
DROP = 0.01
NOTES = """\
Images of any size are resized to the network's. Arrays of the signature `images` are uint8, those
of `model.tflite` numbers from 0 to 1.
"""


class PixToPix(Recipe):
    """Translates one image into another."""

    Config = Config
    objective = ("l1", "min")
    pipeline_tag = "image-to-image"
    # Adversarial losses do not show which epoch is best.
    monitor = None
    metric_groups = ("real",)
    # Trained once for all splits.
    _trained_judge: SegmentationJudge | None = None

    def load_data(self) -> Splits:
        """Returns the pairs."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the pairs."""
        return data.check(self.config)

    def build(self, splits: Splits) -> keras.Model:
        """Returns the generator with its discriminator, or with the L1 loss alone."""
        config = self.config
        config.check_combination()
        with built_in(config.precision):
            generator = pix2pix_unet(
                config.size,
                filters=config.filters,
                levels=config.levels,
                dropout=config.dropout,
                upsampling=config.upsampling,
                final_filters=config.final_filters,
                seed=config.seed,
            )
            discriminator = patchgan(layers=config.discriminator_layers, filters=config.filters)
        if not config.adversarial:
            model = SupervisedTrainer(generator)
            model.compile(self._optimizer(splits), "mae")
            return model
        model = Pix2Pix(generator, discriminator, config.l1_weight, config.objective)
        model.compile(self._optimizer(splits), self._optimizer(splits))
        return model

    def _optimizer(self, splits: Splits) -> keras.optimizers.Optimizer:
        _, steps = self._passes(len(splits.train))
        rate = learning_rate_schedule(
            self.config.lr_schedule, self.config.learning_rate, steps * self.config.epochs
        )
        return keras.optimizers.Adam(rate, beta_1=0.5)

    def _passes(self, examples: int) -> tuple[int, int]:
        """Returns the passes over the data per epoch, and the steps per epoch."""
        steps = steps_per_epoch(examples, self.config.batch_size)
        passes = passes_per_epoch(steps, self.config.min_steps_per_epoch)
        return passes, passes * steps

    def dataset(
        self, model: keras.Model, examples: ImagePairs, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of inputs and targets, from -1 to 1; augmented in training."""
        config, arrays = self.config, data.sides(self.config, examples)
        if start_epoch is None:
            batches, steps = array_batches(*arrays, EVALUATION_BATCH, config.seed)
            return batches.map(lambda x, y: (to_signed(x), to_signed(y))), steps
        # At 64 pixels, interpolation blurs the edges of the label maps and of the targets.
        jitter = 0.0 if config.data == BUILTIN else config.jitter
        passes, steps = self._passes(len(examples))
        batches, _ = array_batches(*arrays, config.batch_size, config.seed, start_epoch * passes)

        def jittered(number, batch):
            pairs = tf.concat([to_signed(side) for side in batch], axis=-1)
            seed = tf.stack([config.seed, tf.cast(number, tf.int32)])
            pairs = random_jitter(pairs, jitter, config.mirror, seed)
            return pairs[..., :3], pairs[..., 3:]

        # The number of the batch over all epochs is its seed.
        return batches.enumerate(start_epoch * steps).map(jittered), steps

    def evaluate(self, model: keras.Model, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns image quality and, if one side consists of label maps, the FCN score."""
        examples = getattr(splits, part)
        inputs, targets = data.sides(self.config, examples)
        translated = self._translated(model, examples)
        metrics: dict[str, Any] = image_quality(targets, translated)
        if is_label_map(targets):
            metrics |= scores.fcn_scores(targets, classes_of(translated))
        elif is_label_map(inputs):
            judge = self._judge(splits)
            metrics |= scores.fcn_scores(inputs, judge.classes(translated))
            metrics["real"] = scores.fcn_scores(inputs, judge.classes(targets))
        if self.config.fid != "off":
            metrics |= scores.fid(targets, translated, self.config.fid == "download")
        return metrics

    def _translated(self, model: keras.Model, examples: Any) -> np.ndarray:
        """Returns the translations of all examples, uint8."""
        return self.memo.get(
            "translations",
            model,
            examples,
            lambda: self._translations(model, data.sides(self.config, examples)[0]),
        )

    def _judge(self, splits: Splits) -> SegmentationJudge:
        """Returns the network that segments photographs, trained on real ones."""
        if self._trained_judge is None:
            maps, photographs = data.sides(self.config, splits.train)
            self._trained_judge = SegmentationJudge.fit(
                photographs,
                classes_of(maps),
                len(CLASSES),
                self.config.seed,
                JUDGE_STEPS,
                SparseCategoricalCrossentropy(from_logits=True),
            )
        return self._trained_judge

    def _translations(self, model: keras.Model, inputs: np.ndarray) -> np.ndarray:
        """Returns translated images, uint8."""
        return map_batches(_compiled(model), inputs, batch_size=EVALUATION_BATCH)

    def snapshot(self, model: keras.Model, splits: Splits) -> np.ndarray:
        """Returns the translations of some validation images."""
        inputs, _ = data.sides(self.config, splits.validation[:SNAPSHOT_IMAGES])
        return self._translations(model, inputs)

    def figures(self, model: keras.Model, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields translated test images, others by epoch, and the discriminator's judgement."""
        inputs, targets = data.sides(self.config, splits.test[:SHEET])
        translated = self._translated(model, splits.test)[:SHEET]
        blocks = 2 if len(inputs) > 4 else 1
        titles = ["input", "translated", "target"] * blocks
        yield "sheet", image_grid(_by_row(inputs, translated, targets), 3 * blocks, titles)
        if self.snapshots:
            epochs = select_epochs(self.snapshots)
            first, last = data.sides(self.config, splits.validation[:SNAPSHOT_IMAGES])
            images = _by_row(first, *(self.snapshots[epoch] for epoch in epochs), last)
            titles = ["input", *(f"epoch {epoch}" for epoch in epochs), "target"]
            yield "epochs", image_grid(images, len(titles), titles)
        if isinstance(model, Pix2Pix):
            sides = (side[:JUDGED] for side in (inputs, targets, translated))
            yield "patches", _judgement(model, *sides)

    def signatures(self, model: keras.Model, splits: Splits) -> Exports:
        """Returns files to PNG files and arrays to arrays as the SavedModel, numbers as LiteRT."""
        size = self.config.size
        shape = (size, size, 3)
        inputs, _ = data.sides(self.config, splits.test)

        def translate(images: tf.Tensor) -> tf.Tensor:
            return _translate(model, 2 * images - 1)

        def fit(image: tf.Tensor) -> tf.Tensor:
            return brought_to(image, size)

        signatures, litert = image_signatures(
            lambda images: {"images": to_uint8(translate(images))},
            lambda images: {"images": 0.5 + 0.5 * translate(images)},
            inputs[:COMPARED],
            fit=fit,
            shape=shape,
            serve_files=lambda images: {"png_bytes": encode_batch(to_uint8(translate(images)))},
        )
        after = {"kind": "images", "names": ["png_bytes"]}
        return Exports(
            signatures,
            litert,
            notes=NOTES,
            quantized=self._quantized(splits.test),
            processing=image_processing(after, fit=fit, shape=shape, by="scale"),
        )

    def _quantized(self, examples: ImagePairs) -> Quantized:
        inputs, targets = data.sides(self.config, examples)

        def ssim(translate) -> float:
            images = [translate(images=x[None].astype("float32") / 255)["images"] for x in inputs]
            translated = np.clip(np.concatenate(images) * 255, 0, 255).round().astype("uint8")
            return image_quality(targets, translated)["ssim"]

        calibration = [(x[None].astype("float32") / 255,) for x in inputs[:1]]
        return Quantized(("float16", "dynamic"), calibration, "ssim", ssim, DROP)

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, str]]:
        """Writes the translation of each image; returns the paths."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, str]) -> str:
        """Returns the path of the translated image."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[ExampleFile]:
        """Returns the input of a test pair."""
        inputs, _ = data.sides(self.config, splits.test[:1])
        return [ExampleFile("input-0.png", inputs[0])]


@functools.lru_cache(maxsize=1)
def _compiled(model: keras.Model) -> Callable[[np.ndarray], tf.Tensor]:
    """Returns the translation as a graph, which all epochs, metrics and figures of a run share."""
    return tf.function(lambda x: to_uint8(_translate(model, to_signed(x))))


def _translate(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Returns translations of images from -1 to 1, in float32 even after mixed precision."""
    with full_precision(model):
        return model(images, training=False)


def _by_row(*columns: np.ndarray) -> list[np.ndarray]:
    """Returns the images of a grid row by row, given its columns."""
    return [image for row in zip(*columns, strict=True) for image in row]


def _judgement(
    model: Pix2Pix, inputs: np.ndarray, targets: np.ndarray, translated: np.ndarray
) -> Figure:
    """Draws the probability, by the discriminator, that each patch of an image is real."""
    colours = matplotlib.colormaps["RdYlGn"]
    maps = []
    with full_precision(model):
        for images in (targets, translated):
            pair = {"condition": to_signed(inputs), "image": to_signed(images)}
            logits = model.discriminator(pair, training=False)
            maps.append(colours(tf.sigmoid(logits).numpy()[..., 0]))
    titles = ("input", "target", "judged real", "translated", "judged real")
    rows = _by_row(inputs, targets, maps[0], translated, maps[1])
    figure = image_grid(rows, len(titles), titles)
    scale = ScalarMappable(Normalize(0, 1), colours)
    label = "probability that a patch is real"
    figure.colorbar(scale, ax=figure.axes, shrink=0.5, label=label)
    return figure
