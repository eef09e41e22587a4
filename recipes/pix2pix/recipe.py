"""pix2pix: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import evaluation_batches, steps_per_epoch, training_batches
from dlrecipes.data.image_pairs import ImagePairs
from dlrecipes.errors import UsageError
from dlrecipes.export.image_signatures import image_signatures
from dlrecipes.export.version import ModelVersion
from dlrecipes.models import patchgan, pix2pix_unet
from dlrecipes.recipe import Exports, Quantized, Recipe, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.training import Pix2Pix, SupervisedTrainer, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in, full_precision

from . import data, figures, predict, scores
from .config import Config, PredictOptions

EVALUATION_BATCH = 10
# Of the validation images, these many are drawn after each epoch.
WATCHED = 4
COMPARED = 4
# Largest loss of SSIM for a smaller LiteRT file to be published.
DROP = 0.01
NOTES = """\
Images of any size are resized to the network's. Arrays of the signature `images` are uint8, those
of `model.tflite` numbers from 0 to 1.
"""


class PixToPix(Recipe):
    """Draws the image that belongs to another one."""

    Config = Config
    objective = ("l1", "min")
    pipeline_tag = "image-to-image"
    # Adversarial losses do not tell which epoch is best.
    monitor = None
    metric_groups = ("real",)
    _trained_judge: scores.SegmentationJudge | None = None

    def load_data(self) -> Splits:
        """Returns the pairs."""
        return data.load(self.config)

    def build(self, splits: Splits) -> keras.Model:
        """Returns the generator with its discriminator, or with the L1 loss alone."""
        config = self.config
        if (
            config.adversarial
            and config.discriminator_layers
            and config.size < 3 * 2**config.discriminator_layers
        ):
            least = max(n for n in range(9) if config.size >= 3 * 2**n)
            raise UsageError(
                f"--discriminator-layers {config.discriminator_layers} --size {config.size}: "
                "nothing is left to judge.",
                f"--discriminator-layers {least} is the most for that size.",
            )
        with built_in(config.precision):
            generator = pix2pix_unet(
                config.size, filters=config.filters, dropout=config.dropout, seed=config.seed
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
        steps = steps_per_epoch(len(splits.train), self.config.batch_size) * self.config.epochs
        rate = learning_rate_schedule(self.config.lr_schedule, self.config.learning_rate, steps)
        return keras.optimizers.Adam(rate, beta_1=0.5)

    def dataset(
        self, model: keras.Model, examples: ImagePairs, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of inputs and targets, from -1 to 1; in training jittered."""
        config = self.config
        inputs, targets = data.sides(config, examples)
        arrays = {"inputs": inputs}, {"targets": targets}
        if start_epoch is None:
            found = evaluation_batches(*arrays, EVALUATION_BATCH)
            steps = steps_per_epoch(len(examples), EVALUATION_BATCH)
            return found.map(lambda x, y: (_signed(x["inputs"]), _signed(y["targets"]))), steps
        steps = steps_per_epoch(len(examples), config.batch_size)
        found = training_batches(*arrays, config.batch_size, config.seed, start_epoch)

        def varied(number, batch):
            pair = tf.concat([_signed(batch[0]["inputs"]), _signed(batch[1]["targets"])], axis=-1)
            seed = tf.stack([config.seed, tf.cast(number, tf.int32)])
            return data.jittered(pair, config.jitter, config.mirror, seed)

        # Numbered over all epochs: how a pair is cut out is drawn by that alone.
        return found.enumerate(start_epoch * steps).map(varied), steps

    def evaluate(self, model: keras.Model, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns image quality and, where there are label maps, the FCN score."""
        inputs, targets = data.sides(self.config, getattr(splits, part))
        drawn = self._drawn(model, inputs)
        metrics: dict[str, Any] = scores.image_quality(targets, drawn)
        if scores.is_map(inputs) and not scores.is_map(targets):
            judge = self._judge(splits)
            metrics |= scores.read_scores(inputs, judge.classes(drawn))
            metrics["real"] = scores.read_scores(inputs, judge.classes(targets))
        elif scores.is_map(targets):
            metrics |= scores.read_scores(targets, scores.classes_of(drawn))
        if self.config.fid != "off":
            metrics |= scores.fid(targets, drawn, self.config.fid == "download")
        return metrics

    def _judge(self, splits: Splits) -> scores.SegmentationJudge:
        """Returns the network that segments photographs, trained once on real ones."""
        if self._trained_judge is None:
            maps, photographs = data.sides(self.config, splits.train)
            self._trained_judge = scores.SegmentationJudge.trained(
                photographs, maps, self.config.seed
            )
        return self._trained_judge

    def _drawn(self, model: keras.Model, inputs: np.ndarray) -> np.ndarray:
        """Returns drawn images, uint8."""
        call = tf.function(lambda x: _bytes(_translated(model, _signed(x))))
        parts = [
            call(inputs[k : k + EVALUATION_BATCH]).numpy()
            for k in range(0, len(inputs), EVALUATION_BATCH)
        ]
        return np.concatenate(parts)

    def snapshot(self, model: keras.Model, splits: Splits) -> np.ndarray:
        """Returns what is drawn of some validation images."""
        inputs, _ = data.sides(self.config, splits.validation[:WATCHED])
        return self._drawn(model, inputs)

    def figures(self, model: keras.Model, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields drawn test images, some over the epochs, and what the discriminator says."""
        inputs, targets = data.sides(self.config, splits.test[: figures.SHEET])
        drawn = self._drawn(model, inputs)
        yield "sheet", figures.sheet(inputs, drawn, targets)
        if self.snapshots:
            watched = data.sides(self.config, splits.validation[:WATCHED])
            yield "epochs", figures.over_epochs(*watched, self.snapshots)
        if isinstance(model, Pix2Pix):
            few = slice(figures.JUDGED)
            with full_precision(model):
                judged = [
                    tf.sigmoid(
                        model.discriminator(
                            {"condition": _signed(inputs[few]), "image": _signed(images[few])},
                            training=False,
                        )
                    ).numpy()
                    for images in (targets, drawn)
                ]
            yield "patches", figures.patches(inputs, targets, drawn, judged)

    def signatures(self, model: keras.Model, splits: Splits) -> Exports:
        """Returns files to PNG files and arrays to arrays as the SavedModel, numbers as LiteRT."""
        size = self.config.size
        few = data.sides(self.config, splits.test)[0][:COMPARED]

        def translated(images: tf.Tensor) -> tf.Tensor:
            return _bytes(_translated(model, 2 * images - 1))

        def to_files(images: tf.Tensor) -> dict[str, tf.Tensor]:
            spec = tf.TensorSpec([], tf.string)
            files = tf.map_fn(tf.io.encode_png, translated(images), fn_output_signature=spec)
            return {"png_bytes": files}

        signatures, litert = image_signatures(
            lambda images: {"images": translated(images)},
            lambda images: {"images": 0.5 + 0.5 * _translated(model, 2 * images - 1)},
            few,
            decode=lambda image_bytes: data.read(image_bytes, size),
            prepare=lambda images: data.prepare(images, size),
            shape=(size, size, 3),
            serve_files=to_files,
        )
        return Exports(signatures, litert, notes=NOTES, quantized=self._quantized(splits.test))

    def _quantized(self, examples: ImagePairs) -> Quantized:
        inputs, targets = data.sides(self.config, examples)

        def ssim(draw) -> float:
            found = [draw(images=x[None].astype("float32") / 255)["images"] for x in inputs]
            drawn = np.clip(np.concatenate(found) * 255, 0, 255).round().astype("uint8")
            return scores.image_quality(targets, drawn)["ssim"]

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

    def example_inputs(self, splits: Splits) -> list[str]:
        """Returns a name such as a user's image may have."""
        return ["map.png"]


def _translated(model: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Returns what is drawn of images from -1 to 1, whatever the precision of training was."""
    with full_precision(model):
        return model(images, training=False)


def _signed(images: np.ndarray | tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 127.5 - 1


def _bytes(drawn: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value((drawn + 1) * 127.5, 0, 255)), tf.uint8)
