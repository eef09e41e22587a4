"""Translation of images, learned from pairs: a conditional GAN with an L1 loss."""

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import number
from dlrecipes.training._engine import values
from dlrecipes.training._engine.gan_networks import call_without_updates
from dlrecipes.training._engine.translation import (
    TranslationTrainer,
    check_image_size,
    check_networks,
    check_pair,
    l1,
    translation_losses,
    unpack_pair,
)
from dlrecipes.training.trainer import batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class Pix2Pix(TranslationTrainer):
    """Trains a generator to translate one image into another, from pairs of images.

    The discriminator judges pairs of an input and its target, or of an input and the generated
    image. The generator minimizes its adversarial loss plus `l1_weight` times the mean absolute
    difference from the target, and the discriminator half of its own loss. As in the authors'
    PyTorch code, each step generates an image once, updates the discriminator, and then updates the
    generator through the updated discriminator.

    Both networks run in training mode, with the batch's own statistics. An update leaves the other
    network unchanged, including its moving statistics: the discriminator's come from its own
    updates. (In the authors' code the generator's update changes them as well.) Weight regularizers
    are added to the losses.

    `fit` takes `(input, target)`, floats in [-1, 1]. It logs

    - `generator_loss`, the whole loss of the generator, and `discriminator_loss`;
    - `l1`, without its weight;
    - `real_score` and `fake_score`, the discriminator's mean output for targets and for generated
      images, a probability for `"minimax"` and `"non_saturating"`;
    - `gradient_norm` of the generator, and `discriminator_gradient_norm`.

    Validation logs all but the norms, in inference mode.

    Inference is deterministic: dropout is off, and batch normalization uses its moving statistics.
    The paper keeps both in training mode, as its only source of noise. For that, call the model
    with `training=True`, which also updates the moving statistics.

    Args:
        generator: Model from images to images, such as `models.pix2pix_unet`.
        discriminator: Model from inputs named `condition` and `image` to one logit or score for
            each patch or image, such as `models.patchgan`.
        l1_weight: Weight of the mean absolute difference, the paper's lambda, at least 0. Defaults
            to 100.0.
        objective: Adversarial loss of `losses`: `"minimax"`, `"non_saturating"`,
            `"least_squares"` (not halved, as in the authors' code), `"hinge"` or `"wasserstein"`.
            Defaults to `"non_saturating"`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`.
        training: Whether dropout is on and batch normalization uses the batch's own statistics.
            Defaults to `False`.

    Returns:
        Generated images.

    Raises:
        ValueError: If an argument is invalid. In `fit`: if a batch is not a pair of floats, or if
            targets do not have the shape of generated images, or if images contain NaN or are
            outside of the range of the generator's activation.

    Example:

    >>> import keras
    >>> from dlrecipes.models import patchgan, pix2pix_unet
    >>> from dlrecipes.training import Pix2Pix
    >>> generator = pix2pix_unet(size=16, filters=2)
    >>> model = Pix2Pix(generator, patchgan(layers=1, filters=2))
    >>> model.compile()  # Adam with learning rate 2e-4 and beta_1=0.5 for both
    >>> images = keras.ops.zeros((4, 16, 16, 3))
    >>> history = model.fit(images, images, batch_size=2, verbose=0).history
    >>> tuple(model(images).shape)
    (4, 16, 16, 3)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional adversarial
        networks", equation 4 and section 3.3. https://arxiv.org/abs/1611.07004
    """

    serializable_arguments = ("generator", "discriminator")

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        l1_weight: float = 100.0,
        objective: str = "non_saturating",
        **kwargs,
    ):
        super().__init__(objective, terms=("l1",), **kwargs)
        number("l1_weight", l1_weight, "at least 0", lambda weight: weight >= 0)
        check_networks(generator=generator, discriminator=discriminator)
        names = [tensor.name for tensor in getattr(discriminator, "inputs", None) or ()]
        if names and sorted(names) != ["condition", "image"]:
            raise ValueError(f"discriminator must have inputs condition and image, not {names}.")
        self.generator = generator
        self.discriminator = discriminator
        self.l1_weight = l1_weight
        self.built = True

    def call(self, inputs, training=False):
        return self.generator(inputs, training=training)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error unless there are two batches of floats with the networks' shapes."""
        check_pair(("input", "target"), x, y, sample_weight)
        super().check_batch(x)
        expected = (getattr(self.generator, "outputs", None) or [y])[0].shape
        if not tf.TensorShape(expected).is_compatible_with(y.shape):
            raise ValueError(f"Targets must have shape {tuple(expected)}, not {tuple(y.shape)}.")
        check_image_size(self.discriminator, {"condition": x, "image": y})

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for images that are not finite, or outside the generator's range."""
        values.check_finite("input", x)
        values.check_finite("target", y)
        values.check_images("Inputs", x, self.generator)
        values.check_images("Targets", y, self.generator)

    def train_step(self, data):
        condition, target = unpack_pair(data, ("input", "target"))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.generator_variables])
            fake = self.generator(condition, training=True)
            regularizers = self.generator.losses
            with tape.stop_recording():
                discriminator_norm, discriminator_logs = self._update_discriminator(
                    condition, target, fake
                )
            outputs = call_without_updates(
                self.discriminator, {"condition": condition, "image": fake}
            )
            generator_logs = self._generator_losses(outputs, fake, target, regularizers)
            scaled = self.optimizer.scale_loss(generator_logs["generator_loss"])
        norm = self.update(self.optimizer, tape, scaled, self.generator_variables)
        logs = self.track_means(batch_size(condition), {**generator_logs, **discriminator_logs})
        return {**logs, **self.track_norms(norm, discriminator_norm)}

    def test_step(self, data):
        condition, target = unpack_pair(data, ("input", "target"))
        fake = self.generator(condition, training=False)
        outputs, discriminator_logs = self._discriminator_losses(
            condition, target, fake, training=False
        )
        generator_logs = self._generator_losses(outputs, fake, target)
        return self.track_means(batch_size(condition), {**generator_logs, **discriminator_logs})

    def _update_discriminator(self, condition, target, fake):
        """Updates the discriminator; returns the norm of its gradient, and its logs."""
        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            _, discriminator_logs = self._discriminator_losses(
                condition, target, fake, training=True
            )
            loss = tf.add_n([discriminator_logs["discriminator_loss"], *self.discriminator.losses])
            scaled = optimizer.scale_loss(loss)
        norm = self.update(optimizer, tape, scaled, variables)
        return norm, {**discriminator_logs, "discriminator_loss": loss}

    def _discriminator_losses(self, condition, target, fake, training: bool):
        """Returns the outputs for generated images, and the discriminator's loss and scores."""
        # Separate calls, because one batch would share the statistics of batch normalization.
        fake_outputs, real_outputs = (
            self.discriminator({"condition": condition, "image": image}, training=training)
            for image in (fake, target)
        )
        discriminator_loss, _ = translation_losses(self.objective)
        return fake_outputs, {
            "discriminator_loss": discriminator_loss(real_outputs, fake_outputs),
            "real_score": self.mean_score(real_outputs),
            "fake_score": self.mean_score(fake_outputs),
        }

    def _generator_losses(self, outputs, fake, target, regularizers=()) -> dict[str, tf.Tensor]:
        """Returns the generator's loss and its L1 term."""
        _, generator_loss = translation_losses(self.objective)
        difference = l1(fake, target)
        terms = [generator_loss(outputs), self.l1_weight * difference, *regularizers]
        return {"generator_loss": tf.add_n(terms), "l1": difference}

    def get_config(self):
        arguments = {"l1_weight": self.l1_weight, "objective": self.objective}
        return {**super().get_config(), **arguments}
