"""Shared by the trainers of image-to-image translation: batches, losses and logs."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.losses.adversarial import adversarial_losses
from dlrecipes.training._engine.adversarial import AdversarialTrainer
from dlrecipes.training._engine.checks import check_built


class TranslationTrainer(AdversarialTrainer):
    """An adversarial trainer from images to images, which logs means over the examples of an epoch.

    Args:
        objective: Name of an objective of `losses.adversarial`.
        terms: Names of further values to log.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.
    """

    def __init__(self, objective: str, terms: Sequence[str], **kwargs):
        super().__init__(**kwargs)
        adversarial_losses(objective)  # Rejects an unknown name.
        self.objective = objective
        names = ("generator_loss", "discriminator_loss", *terms, "real_score", "fake_score")
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.discriminator_gradient_norm = keras.metrics.Mean(name="discriminator_gradient_norm")

    def track_means(
        self, examples: tf.Tensor, values: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Adds a batch's means to those of the epoch, and returns the latter."""
        for name, mean in self.means.items():
            mean.update_state(values[name], sample_weight=examples)
        return {name: mean.result() for name, mean in self.means.items()}

    def track_norms(self, generator: tf.Tensor, discriminator: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds a step's gradient norms to those of the epoch, and returns the latter."""
        self.gradient_norm.update_state(generator)
        self.discriminator_gradient_norm.update_state(discriminator)
        trackers = (self.gradient_norm, self.discriminator_gradient_norm)
        return {tracker.name: tracker.result() for tracker in trackers}


def translation_losses(objective: str) -> tuple[Callable, Callable]:
    """Returns the losses of an objective with the weights of pix2pix and CycleGAN.

    The discriminator's loss is halved, which slows the discriminator down. Least squares are plain
    squares in both papers, while the library's pair, by Mao et al., has half of them.

    Args:
        objective: Name of an objective of `losses.adversarial`.

    Returns:
        The discriminator's loss, a function of the outputs for real and for generated examples, and
        the generator's loss, a function of the outputs for generated examples.

    Example:

    >>> from dlrecipes.training._engine.translation import translation_losses
    >>> discriminator_loss, generator_loss = translation_losses("least_squares")
    >>> float(discriminator_loss([3.0], [1.0])), float(generator_loss([4.0]))  # (4 + 1) / 2, 9
    (2.5, 9.0)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional adversarial
        networks", section 3.3. https://arxiv.org/abs/1611.07004
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", section 4. https://arxiv.org/abs/1703.10593
    """
    discriminator_loss, generator_loss = adversarial_losses(objective)
    scale = 2.0 if objective == "least_squares" else 1.0

    def halved(real_outputs, fake_outputs):
        return scale / 2 * discriminator_loss(real_outputs, fake_outputs)

    return halved, lambda fake_outputs: scale * generator_loss(fake_outputs)


def unpack_pair(data: Any, names: tuple[str, str]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the two batches of images in the data of a step, as float32.

    Args:
        data: Data of a step.
        names: Names of the two batches, for messages.

    Raises:
        ValueError: If there are not two batches, or if they are not floats.
    """
    first, second, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_pair(names, first, second, weights)
    return tf.cast(first, tf.float32), tf.cast(second, tf.float32)


def check_pair(names: tuple[str, str], first: Any, second: Any, weights: Any = None) -> None:
    """Raises an error unless there are two batches of floats and no sample weights."""
    expected = f"fit must be given ({', '.join(names)}), two batches of images"
    if weights is not None or not all(hasattr(value, "dtype") for value in (first, second)):
        raise ValueError(f"{expected}, and no sample weights.")
    for value in (first, second):
        if not tf.as_dtype(value.dtype).is_floating:
            raise ValueError(f"{expected} in [-1, 1], not {tf.as_dtype(value.dtype).name}.")


def check_image_size(discriminator: keras.Model, inputs: Any) -> None:
    """Raises an error if images are too small for a discriminator's convolutions.

    Args:
        discriminator: Model of images of any size.
        inputs: Inputs of the discriminator: a structure of `tf.TensorSpec`, with the batch axis.
    """
    specs = tf.nest.flatten(inputs)
    if any(spec.shape.rank != 4 or None in spec.shape[1:] for spec in specs):
        return
    symbols = tf.nest.map_structure(
        lambda spec: keras.KerasTensor((None, *spec.shape[1:]), "float32"), inputs
    )
    try:
        discriminator(symbols)
    except ValueError:
        height, width = specs[0].shape[1:3]
        raise ValueError(
            f"{discriminator.name} cannot judge images of {height} x {width}: "
            "they are too small for its layers."
        ) from None


def l1(images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the mean absolute difference between two batches of images, in float32.

    Raises:
        ValueError: If their shapes differ, because one would be broadcast.
    """
    if not images.shape.is_compatible_with(targets.shape):
        raise ValueError(
            f"A generator outputs images of shape {tuple(images.shape)}, which cannot be compared "
            f"with {tuple(targets.shape)}."
        )
    return tf.reduce_mean(tf.abs(tf.cast(images, tf.float32) - tf.cast(targets, tf.float32)))


def check_networks(**networks: keras.Model) -> None:
    """Raises an error if a network has no weights yet, or is given twice."""
    for name, network in networks.items():
        check_built(network, name)
    for name, network in networks.items():
        for other, second in networks.items():
            if name < other and network is second:
                raise ValueError(f"{name} and {other} must be two networks, not one.")
