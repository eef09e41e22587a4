"""DCGAN: model, metrics, figures and exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes._utils.notes import print_note
from dlrecipes.data.batches import array_batches, passes_per_epoch, steps_per_epoch
from dlrecipes.data.digits import LabelledImages
from dlrecipes.data.image_bytes import encode_batch, to_signed, to_uint8
from dlrecipes.data.reports import DataReport
from dlrecipes.export.processing import Processing
from dlrecipes.export.version import ModelVersion
from dlrecipes.figures import epoch_frames, image_grid, over_epochs, tiled
from dlrecipes.metrics.feature_classifier import FeatureClassifier
from dlrecipes.metrics.verification import squared_distances
from dlrecipes.models import dcgan_discriminator, dcgan_generator
from dlrecipes.recipe import Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.labels import labels_file
from dlrecipes.training import GAN, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in

from . import data, predict
from .config import Config, PredictOptions

EVALUATION_BATCH = 64
# Training steps of the classifier that the metrics are based on.
CLASSIFIER_STEPS = 400
# Number of images of the same noise that are kept of each epoch.
SNAPSHOT_IMAGES = 36
# Number of images in the figure of samples; rows and columns of the other figures.
SHEET, ROWS, COLUMNS = 64, 6, 8
# Number of images that are compared in each published file.
COMPARED = 4
# Maximum mean difference to the model's own images for a smaller LiteRT file to be published.
DROP = 0.02
# With such a recall, such a precision is misleading.
LOW_RECALL, HIGH_PRECISION = 0.05, 0.5
MISLEADING = (
    "precision {precision:.2f} says little with recall {recall:.2f}: a few unusual real images may "
    "decide it, also for blurred samples. Look at the samples, fid and diversity."
)
NOTES = """\
The same seed gives the same images.{classes} The noise is uniform in [-1, 1). Images are uint8;
those of `model.tflite` are numbers from 0 to 1.
"""


class DeepConvolutionalGAN(Recipe):
    """Generates images that resemble a dataset."""

    Config = Config
    objective = ("fid", "min")
    pipeline_tag = "unconditional-image-generation"
    # Adversarial losses do not show which epoch is best.
    monitor = None
    # Trained once for all splits: training it takes longer than measuring.
    _classifier: FeatureClassifier | None = None

    def load_data(self) -> Splits:
        """Returns the images."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the images."""
        return data.check(self.config)

    def build(self, splits: Splits) -> GAN:
        """Returns the generator and the discriminator."""
        config, examples = self.config, splits.train
        classes = len(examples.names)
        options = {
            "filters": config.filters,
            "size": config.side,
            "channels": examples.images.shape[-1],
            "num_classes": classes if config.conditional and classes > 1 else 0,
        }
        with built_in(config.precision):
            generator = dcgan_generator(latent_size=config.latent_size, **options)
            discriminator = dcgan_discriminator(**options)
        model = GAN(
            generator,
            discriminator,
            discriminator_steps=config.discriminator_steps,
            objective=config.objective,
            noise="uniform",
            seed=config.seed,
        )
        model.compile(self._optimizer(examples), self._optimizer(examples))
        return model

    def _optimizer(self, examples: LabelledImages) -> keras.optimizers.Optimizer:
        _, steps = self._passes(examples)
        rate = learning_rate_schedule(
            self.config.lr_schedule, self.config.learning_rate, steps * self.config.epochs
        )
        return keras.optimizers.Adam(rate, beta_1=0.5)

    def _passes(self, examples: LabelledImages) -> tuple[int, int]:
        """Returns the passes over the data per epoch, and the steps per epoch."""
        size = self.config.batch_size * self.config.discriminator_steps
        steps = steps_per_epoch(len(examples), size)
        passes = passes_per_epoch(steps, self.config.min_steps_per_epoch)
        return passes, passes * steps

    def dataset(
        self, model: GAN, examples: LabelledImages, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images from -1 to 1, with their classes for a conditional model."""

        def scaled(images, labels):
            return (to_signed(images), labels) if model.takes_labels else to_signed(images)

        config, arrays = self.config, (examples.images, examples.labels)
        if start_epoch is None:
            batches, steps = array_batches(*arrays, EVALUATION_BATCH, config.seed)
        else:
            size = config.batch_size * config.discriminator_steps
            passes, steps = self._passes(examples)
            batches, _ = array_batches(*arrays, size, config.seed, start_epoch * passes)
        return batches.map(scaled), steps

    def evaluate(self, model: GAN, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the similarity of generated and real images."""
        seed, train = self.config.seed, splits.train
        if self._classifier is None:
            self._classifier = FeatureClassifier.fit(
                train.images, train.labels, len(train.names), seed, CLASSIFIER_STEPS
            )
        generated = self._samples(model, splits, self.config.num_samples)
        scores = self._classifier.compare(getattr(splits, part).images, generated)
        if scores["recall"] < LOW_RECALL and scores["precision"] > HIGH_PRECISION:
            print_note(MISLEADING.format(**scores), once="misleading precision")
        return scores

    def _samples(self, model: GAN, splits: Splits, count: int) -> np.ndarray:
        """Returns generated images, uint8; a conditional model cycles through the classes."""
        labels = np.arange(count) % len(splits.train.names) if model.takes_labels else None
        batches = [
            model.sample(
                min(EVALUATION_BATCH, count - first),
                labels=None if labels is None else labels[first : first + EVALUATION_BATCH],
                seed=self.config.seed + first,
            )
            for first in range(0, count, EVALUATION_BATCH)
        ]
        return to_uint8(tf.concat(batches, axis=0)).numpy()

    def snapshot(self, model: GAN, splits: Splits) -> np.ndarray:
        """Returns images of the same noise in each epoch."""
        return self._samples(model, splits, SNAPSHOT_IMAGES)

    def figures(self, model: GAN, splits: Splits) -> Iterator[tuple[str, Figure | np.ndarray]]:
        """Yields samples, also by epoch and as a GIF, interpolations, nearest training images."""
        samples = self._samples(model, splits, SHEET)
        yield "samples", image_grid([tiled(samples)], 1, [f"{SHEET} samples"], inches=7)
        if self.snapshots:
            yield "epochs", over_epochs(self.snapshots)
            yield "training", epoch_frames(self.snapshots)
        images = self._interpolations(model, splits)
        title = "Interpolation between two noise vectors"
        yield "interpolations", image_grid(images, COLUMNS, title=title, inches=1.1)
        title = "Samples (left) and the nearest training images"
        nearest = _with_nearest(samples[:ROWS], splits.train.images)
        yield "nearest", image_grid(nearest, COLUMNS, title=title, inches=1.1)

    def _interpolations(self, model: GAN, splits: Splits) -> np.ndarray:
        """Returns images of noise that moves from one point to another, row by row."""
        units = self.config.latent_size
        ends = np.random.default_rng(self.config.seed).uniform(-1, 1, (2, ROWS, 1, units))
        fraction = np.linspace(0, 1, COLUMNS)[None, :, None]
        noise = ((1 - fraction) * ends[0] + fraction * ends[1]).astype("float32")
        inputs: Any = tf.constant(noise.reshape(-1, units))
        if model.takes_labels:
            labels = np.repeat(np.arange(ROWS) % len(splits.train.names), COLUMNS)
            inputs = {"noise": inputs, "label": tf.constant(labels, tf.int32)}
        return to_uint8(model(inputs)).numpy()

    def signatures(self, model: GAN, splits: Splits) -> Exports:
        """Returns a seed or noise to images as the SavedModel, noise to numbers as LiteRT."""
        units, names = self.config.latent_size, splits.train.names
        conditional = model.takes_labels

        def generate(noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
            return model({"noise": noise, "label": label} if conditional else noise, training=False)

        def drawn(seed: tf.Tensor, count: tf.Tensor, label: tf.Tensor | None = None):
            noise = tf.random.stateless_uniform([count[0], units], [seed[0], 0], -1.0, 1.0)
            if label is None:
                return {"noise": noise}
            # A negative label stands for all classes in turn.
            turns = tf.range(count[0]) % len(names)
            label = tf.where(label[0] < 0, turns, tf.repeat(label[:1], count[0]))
            return {"noise": noise, "label": label}

        def from_seed(*request: tf.Tensor) -> dict[str, tf.Tensor]:
            images = to_uint8(generate(**drawn(*request)))
            return {"images": images, "png_bytes": encode_batch(images)}

        seed = [
            tf.TensorSpec([1], tf.int32, name="seed"),
            tf.TensorSpec([1], tf.int32, name="count"),
        ]
        noise = [tf.TensorSpec([None, units], tf.float32, name="noise")]
        seed_example = [np.array([7], "int32"), np.array([3], "int32")]
        rng = np.random.default_rng(0)
        noise_example = [rng.uniform(-1, 1, (COMPARED, units)).astype("float32")]
        if conditional:
            labels = (np.arange(COMPARED) % len(names)).astype("int32")
            seed.append(tf.TensorSpec([1], tf.int32, name="label"))
            noise.append(tf.TensorSpec([None], tf.int32, name="label"))
            seed_example.append(labels[:1])
            noise_example.append(labels)
        litert = Signature(
            lambda *inputs: {"images": 0.5 + 0.5 * generate(*inputs)},
            noise,
            [tuple(array[k : k + 1] for array in noise_example) for k in range(COMPARED)],
        )
        by_noise = Signature(
            lambda *inputs: {"images": to_uint8(generate(*inputs))}, noise, [tuple(noise_example)]
        )
        return Exports(
            {
                "serving_default": Signature(from_seed, seed, [tuple(seed_example)]),
                "noise": by_noise,
            },
            litert,
            labels_file(names) if conditional else {},
            NOTES.format(classes=" `label` -1 cycles through the classes." if conditional else ""),
            _quantized(litert),
            processing=Processing(
                {"kind": "noise", "units": units, "classes": len(names) if conditional else 0},
                {"kind": "images", "names": ["images", "png_bytes"]},
                drawn,
            ),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Writes a sheet of generated images; returns its path."""
        return predict.predict(version, inputs, options or PredictOptions())

    def example_inputs(self, splits: Splits) -> list[tuple[str, ...]]:
        """Returns options, because there are no inputs."""
        return [("--count", "16", "--seed", "7")]

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the path of the sheet."""
        return predict.present(prediction)


def _with_nearest(samples: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns each sample followed by the training images nearest to it in pixels."""
    flat = [part.reshape(len(part), -1).astype("float32") for part in (samples, training)]
    order = np.argsort(squared_distances(*flat), axis=1)[:, : COLUMNS - 1]
    rows = np.concatenate([samples[:, None], training[order]], axis=1)
    return rows.reshape(-1, *samples.shape[1:])


def _quantized(litert: Signature) -> Quantized:
    """Returns smaller formats, measured by how close their images are to the model's own."""
    names = [spec.name for spec in litert.inputs]
    expected = [
        np.asarray(litert.function(*map(tf.constant, example))["images"])
        for example in litert.examples
    ]

    def closeness(generate: Callable) -> float:
        gaps = [
            np.abs(generate(**dict(zip(names, example, strict=True)))["images"] - images).mean()
            for example, images in zip(litert.examples, expected, strict=True)
        ]
        return 1 - float(np.mean(gaps))

    return Quantized(("float16", "dynamic"), litert.examples[:1], "closeness", closeness, DROP)
