"""DCGAN: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import (
    evaluation_batches,
    passes_per_epoch,
    steps_per_epoch,
    training_batches,
)
from dlrecipes.data.digits import LabelledImages
from dlrecipes.export.version import ModelVersion
from dlrecipes.models import dcgan_discriminator, dcgan_generator
from dlrecipes.recipe import Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.training import GAN, learning_rate_schedule

from . import data, figures, predict, scores
from .config import Config, PredictOptions

EVALUATION_BATCH = 64
# Images of one noise that are drawn after each epoch.
WATCHED = 36
COMPARED = 4
# How much of the closeness to the model's own images a smaller LiteRT file may lose.
DROP = 0.02


class DeepConvolutionalGAN(Recipe):
    """Draws new images of the kind that a data set has."""

    Config = Config
    objective = ("fid", "min")
    pipeline_tag = "unconditional-image-generation"
    # Adversarial losses do not tell which epoch is best.
    monitor = None
    # The classifier that the metrics are based on, trained once.
    _classifier: scores.FeatureClassifier | None = None

    def load_data(self) -> Splits:
        """Returns the images."""
        return data.load(self.config)

    def build(self, splits: Splits) -> GAN:
        """Returns generator and discriminator."""
        config = self.config
        sizes = {
            "size": config.side,
            "channels": data.channels(splits.train),
            "num_classes": len(splits.train.names) if self._told(splits.train) else 0,
        }
        model = GAN(
            dcgan_generator(filters=config.filters, latent_size=config.latent_size, **sizes),
            dcgan_discriminator(filters=config.filters, **sizes),
            discriminator_steps=config.discriminator_steps,
            objective=config.objective,
            noise="uniform",
            seed=config.seed,
        )
        model.compile(self._optimizer(splits.train), self._optimizer(splits.train))
        return model

    def _told(self, examples: LabelledImages) -> bool:
        """Returns whether the networks are told the classes."""
        return self.config.conditional and len(examples.names) > 1

    def _optimizer(self, examples: LabelledImages) -> keras.optimizers.Optimizer:
        _, steps = self._passes(examples)
        rate = learning_rate_schedule(
            self.config.lr_schedule, self.config.learning_rate, steps * self.config.epochs
        )
        return keras.optimizers.Adam(rate, beta_1=0.5)

    def _passes(self, examples: LabelledImages) -> tuple[int, int]:
        """Returns how many passes over the data an epoch is, and how many steps."""
        size = self.config.batch_size * self.config.discriminator_steps
        steps = steps_per_epoch(len(examples), size)
        passes = passes_per_epoch(steps, self.config.min_steps_per_epoch)
        return passes, passes * steps

    def dataset(
        self, model: GAN, examples: LabelledImages, start_epoch: int | None = None
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of images from -1 to 1, with classes where they are told."""
        arrays = {"images": examples.images}, {"labels": examples.labels}

        def scaled(inputs, targets):
            images = tf.cast(inputs["images"], tf.float32) / 127.5 - 1
            return (images, targets["labels"]) if model.takes_labels else images

        if start_epoch is None:
            found = evaluation_batches(*arrays, EVALUATION_BATCH)
            return found.map(scaled), steps_per_epoch(len(examples), EVALUATION_BATCH)
        size = self.config.batch_size * self.config.discriminator_steps
        passes, steps = self._passes(examples)
        found = training_batches(*arrays, size, self.config.seed, start_epoch * passes)
        return found.map(scaled), steps

    def evaluate(self, model: GAN, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the similarity of generated and real images."""
        if self._classifier is None:
            # Shared by the parts: training it takes longer than measuring.
            self._classifier = scores.FeatureClassifier.trained(splits.train, self.config.seed)
        generated = self._samples(model, splits, self.config.num_samples)
        return scores.scores(self._classifier, getattr(splits, part).images, generated)

    def _samples(
        self, model: GAN, splits: Splits, count: int, seed: int | None = None
    ) -> np.ndarray:
        """Returns images of a seed, uint8; a conditional model cycles through the classes."""
        labels = np.arange(count) % len(splits.train.names) if model.takes_labels else None
        seed = self.config.seed if seed is None else seed
        made = [
            model.sample(
                min(EVALUATION_BATCH, count - first),
                labels=None if labels is None else labels[first : first + EVALUATION_BATCH],
                seed=seed + first,
            )
            for first in range(0, count, EVALUATION_BATCH)
        ]
        return _bytes(tf.concat(made, axis=0)).numpy()

    def snapshot(self, model: GAN, splits: Splits) -> np.ndarray:
        """Returns images of the same noise each time."""
        return self._samples(model, splits, WATCHED)

    def figures(self, model: GAN, splits: Splits) -> Iterator[tuple[str, Figure | np.ndarray]]:
        """Yields samples, also by epoch and as a GIF, interpolations, nearest training images."""
        made = self._samples(model, splits, figures.SHEET)
        yield "samples", figures.sheet(made)
        if self.snapshots:
            yield "epochs", figures.over_epochs(self.snapshots)
            yield "training", figures.frames(self.snapshots)
        yield (
            "interpolations",
            figures.rows(self._between(model, splits), "From one noise vector to another"),
        )
        nearest = figures.nearest(made[: figures.COMPARED], splits.train.images)
        yield "nearest", figures.rows(nearest, "Drawn (left) and the nearest training images")

    def _between(self, model: GAN, splits: Splits) -> np.ndarray:
        """Returns rows of images of noise that goes from one point to another."""
        ends = np.random.default_rng(self.config.seed).uniform(
            -1, 1, (2, figures.COMPARED, 1, self.config.latent_size)
        )
        share = np.linspace(0, 1, figures.STEPS)[None, :, None]
        noise = ((1 - share) * ends[0] + share * ends[1]).astype("float32")
        flat = tf.constant(noise.reshape(-1, self.config.latent_size))
        inputs: Any = flat
        if model.takes_labels:
            classes = np.arange(figures.COMPARED) % len(splits.train.names)
            rows = np.repeat(classes, figures.STEPS)
            inputs = {"noise": flat, "label": tf.constant(rows, tf.int32)}
        drawn = _bytes(model(inputs)).numpy()
        return drawn.reshape(figures.COMPARED, figures.STEPS, *drawn.shape[1:])

    def signatures(self, model: GAN, splits: Splits) -> Exports:
        """Returns a seed or noise to images as the SavedModel, noise to numbers as LiteRT."""
        units, names = self.config.latent_size, splits.train.names
        rng = np.random.default_rng(0)
        noise = rng.uniform(-1, 1, (COMPARED, units)).astype("float32")
        label = (np.arange(COMPARED) % len(names)).astype("int32")
        told = model.takes_labels

        def drawn(noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
            return model({"noise": noise, "label": label} if told else noise, training=False)

        def of_seed(seed: tf.Tensor, count: tf.Tensor, label: tf.Tensor | None = None):
            shape = [count[0], units]
            drawn_noise = tf.random.stateless_uniform(shape, [seed[0], 0], -1.0, 1.0)
            labels = None
            if label is not None:
                # Less than 0: all classes in turn.
                turns = tf.range(count[0]) % len(names)
                labels = tf.where(label[0] < 0, turns, tf.repeat(label[:1], count[0]))
            found = _bytes(drawn(drawn_noise, labels))
            spec = tf.TensorSpec([], tf.string)
            files = tf.map_fn(tf.io.encode_png, found, fn_output_signature=spec)
            return {"images": found, "png_bytes": files}

        whole = tf.TensorSpec([1], tf.int32)
        seeds = [_named(whole, "seed"), _named(whole, "count")]
        noises = [tf.TensorSpec([None, units], tf.float32, name="noise")]
        request = [np.array([7], "int32"), np.array([3], "int32")]
        if told:
            seeds.append(_named(whole, "label"))
            noises.append(tf.TensorSpec([None], tf.int32, name="label"))
        serving = Signature(of_seed, seeds, [tuple([*request, label[:1]][: len(seeds)])])
        by_noise = Signature(
            lambda *tensors: {"images": _bytes(drawn(*tensors))},
            noises,
            [(noise, label)[: len(noises)]],
        )
        litert = Signature(
            lambda *tensors: {"images": 0.5 + 0.5 * drawn(*tensors)},
            noises,
            [(noise[k : k + 1], label[k : k + 1])[: len(noises)] for k in range(COMPARED)],
        )
        return Exports(
            {"serving_default": serving, "noise": by_noise},
            litert,
            {"labels.txt": "".join(f"{name}\n" for name in names)} if told else {},
            self._notes(told),
            _quantized(litert),
        )

    def _notes(self, conditional: bool) -> str:
        """Returns what the signatures cannot say, in Markdown."""
        label = " `label` -1 cycles through the classes." if conditional else ""
        return (
            f"The same seed gives the same images.{label} The noise is uniform in [-1, 1). Images "
            "are uint8, those of `model.tflite` numbers from 0 to 1.\n"
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Writes a sheet of generated images; returns its path."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the path of the sheet."""
        return predict.present(prediction)


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)


def _quantized(litert: Signature) -> Quantized:
    """Returns smaller forms, measured by how close their images are to the model's own."""
    names = [spec.name for spec in litert.inputs]
    wanted = [
        np.asarray(litert.function(*map(tf.constant, one))["images"]) for one in litert.examples
    ]

    def closeness(draw: Callable) -> float:
        gaps = [
            np.abs(draw(**dict(zip(names, one, strict=True)))["images"] - images).mean()
            for one, images in zip(litert.examples, wanted, strict=True)
        ]
        return 1 - float(np.mean(gaps))

    return Quantized(("float16", "dynamic"), litert.examples[:1], "closeness", closeness, DROP)


def _bytes(images: tf.Tensor) -> tf.Tensor:
    scaled = (tf.cast(images, tf.float32) + 1) * 127.5
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0, 255)), tf.uint8)
