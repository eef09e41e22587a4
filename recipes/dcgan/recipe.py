"""DCGAN: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import evaluation_batches, steps_per_epoch, training_batches
from dlrecipes.data.digits import LabelledImages
from dlrecipes.export.version import ModelVersion
from dlrecipes.models import dcgan_discriminator, dcgan_generator
from dlrecipes.recipe import Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.training import GAN, LinearDecay

from . import data, scores, show
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

    def load_data(self) -> Splits:
        """Returns the images."""
        splits = data.load(self.config)
        self._training = splits.train
        self._critic: scores.FeatureClassifier | None = None
        return splits

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
        rate = self.config.learning_rate
        if self.config.lr_schedule == "linear":
            _, steps = self._passes(examples)
            half = max(1, steps * self.config.epochs // 2)
            rate = LinearDecay(rate, steps * self.config.epochs - half, half)
        return keras.optimizers.Adam(rate, beta_1=0.5)

    def _passes(self, examples: LabelledImages) -> tuple[int, int]:
        """Returns how many passes over the data an epoch is, and how many steps."""
        size = self.config.batch_size * self.config.discriminator_steps
        steps = steps_per_epoch(len(examples), size)
        passes = -(-self.config.min_steps_per_epoch // steps)
        return passes, passes * steps

    def batches(
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

    def evaluate(self, model: GAN, examples: LabelledImages) -> dict[str, Any]:
        """Returns how like real images made ones are."""
        if self._critic is None:
            self._critic = scores.FeatureClassifier.trained(self._training, self.config.seed)
        return scores.scores(
            self._critic, examples.images, self._samples(model, self.config.num_samples)
        )

    def _samples(self, model: GAN, count: int, seed: int | None = None) -> np.ndarray:
        """Returns images of a seed, uint8; of a conditional model, of all classes in turn."""
        labels = np.arange(count) % len(self._training.names) if model.takes_labels else None
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
        return self._samples(model, WATCHED)

    def figures(self, model: GAN, splits: Splits) -> Iterator[tuple[str, Figure | np.ndarray]]:
        """Yields samples, also by epoch and as a GIF, interpolations, nearest training images."""
        made = self._samples(model, show.SHEET)
        yield "samples", show.sheet(made)
        if self.snapshots:
            yield "epochs", show.over_epochs(self.snapshots)
            yield "training", show.frames(self.snapshots)
        yield "interpolations", show.rows(self._between(model), "From one noise to another")
        nearest = show.nearest(made[: show.COMPARED], splits.train.images)
        yield "nearest", show.rows(nearest, "Drawn (left) and the nearest training images")

    def _between(self, model: GAN) -> np.ndarray:
        """Returns rows of images of noise that goes from one point to another."""
        ends = np.random.default_rng(self.config.seed).uniform(
            -1, 1, (2, show.COMPARED, 1, self.config.latent_size)
        )
        share = np.linspace(0, 1, show.STEPS)[None, :, None]
        noise = ((1 - share) * ends[0] + share * ends[1]).astype("float32")
        flat = tf.constant(noise.reshape(-1, self.config.latent_size))
        inputs: Any = flat
        if model.takes_labels:
            classes = np.arange(show.COMPARED) % len(self._training.names)
            rows = np.repeat(classes, show.STEPS)
            inputs = {"noise": flat, "label": tf.constant(rows, tf.int32)}
        drawn = _bytes(model(inputs)).numpy()
        return drawn.reshape(show.COMPARED, show.STEPS, *drawn.shape[1:])

    def signatures(self, model: GAN, examples: LabelledImages) -> Exports:
        """Returns a seed or noise to images as the SavedModel, noise to numbers as LiteRT."""
        units, names = self.config.latent_size, examples.names
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
            show.usage(self.name, self.config, told),
            _quantized(litert),
        )

    def predict(self, function: Any, inputs: Sequence[str]) -> list[str]:
        """Returns where the sheet that was drawn lies."""
        return show.answers(function, inputs, PredictOptions(), ())

    def answer(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[str]:
        """Returns where the sheet that was drawn lies."""
        names = show.label_names(version)
        return show.answers(version.function(), inputs, options or PredictOptions(), names)

    def example_inputs(self, splits: Splits) -> list[str]:
        """Returns nothing: options say what is drawn."""
        return []


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
