"""Translation of images by pairs of them: a conditional GAN with an L1 loss."""

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import number
from dlrecipes.training._engine.gan_networks import unchanged
from dlrecipes.training._engine.translation import (
    TranslationTrainer,
    check_networks,
    l1,
    pair,
    refuse_no_pair,
    refuse_too_small,
    translation_losses,
)
from dlrecipes.training.trainer import batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class Pix2Pix(TranslationTrainer):
    """Trains a generator to draw the image that belongs to another one, from pairs.

    The discriminator judges pairs of an input and its target, or what was generated from it. The
    generator minimises its adversarial loss plus `l1_weight` times the mean absolute difference
    from the target, and the discriminator half of its own loss. As in the authors' PyTorch code
    an image is generated once a step; the discriminator is updated first, and then
    the generator, through the updated discriminator.

    Both networks run as in training, with the batch's own statistics. An update leaves the other
    network as it was, its moving statistics included: the discriminator's come from its
    own updates. (In the authors' code they move in the generator's update, too.) Regularizers
    of weights are added to the losses.

    `fit` takes `(input, target)`, floats in [-1, 1]. It logs `generator_loss`, all that the
    generator minimises, and `discriminator_loss`; `l1`, not weighted; `real_score` and
    `fake_score`, the discriminator's mean for targets and for generated images, probabilities
    for `"minimax"` and `"non_saturating"` and plain outputs otherwise; and `gradient_norm`, the
    generator's, and `discriminator_gradient_norm`. Validation logs all but the norms, at
    inference.

    Inference is deterministic: dropout is off and batch normalisation uses its moving
    statistics. The paper keeps both as in training, its only source of noise: for that, call the
    model with `training=True`, which moves the moving statistics, too.

    Args:
        generator: Model from images to images, such as `models.pix2pix_unet`.
        discriminator: Model from inputs named `condition` and `image` to one number for each
            patch or image, before any squashing, such as `models.patchgan`.
        l1_weight: Weight of the mean absolute difference, the paper's lambda, at least 0.
        objective: `"minimax"`, `"non_saturating"`, `"least_squares"`, `"hinge"` or
            `"wasserstein"`, of `losses`. Least squares are not halved, as in the authors' code.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`.
        training: Whether dropout is on and batch normalisation takes the batch's own statistics.

    Returns:
        Generated images, as the generator gives them.

    Raises:
        ValueError: If an argument is not one of those described; in `fit`, if a batch is no pair
            of floats, or targets do not have the shape of generated images.

    Example:

    >>> from dlrecipes.models import patchgan, pix2pix_unet
    >>> generator = pix2pix_unet(size=16, filters=2)
    >>> model = Pix2Pix(generator, patchgan(layers=1, filters=2))
    >>> model.compile()  # Adam with learning rate 2e-4 and beta_1=0.5 for both
    >>> images = keras.ops.zeros((4, 16, 16, 3))
    >>> history = model.fit(images, images, batch_size=2, verbose=0).history
    >>> tuple(model(images).shape)
    (4, 16, 16, 3)

    Reference:
        Isola, Zhu, Zhou and Efros, 2017, "Image-to-image translation with conditional
        adversarial networks", equation 4 and section 3.3.
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
        """Returns generated images."""
        return self.generator(inputs, training=training)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses what is no pair of floats, or of other shapes than the generator's."""
        refuse_no_pair(("input", "target"), x, y, sample_weight)
        super().check_batch(x)
        made = (getattr(self.generator, "outputs", None) or [y])[0].shape
        if not tf.TensorShape(made).is_compatible_with(y.shape):
            raise ValueError(f"Targets must have shape {tuple(made)}, not {tuple(y.shape)}.")
        refuse_too_small(self.discriminator, {"condition": x, "image": y})

    def train_step(self, data):
        """Returns the metrics of one update of the discriminator and one of the generator."""
        condition, target = pair(data, ("input", "target"))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in self.generator_variables])
            fake = self.generator(condition, training=True)
            own = self.generator.losses
            with tape.stop_recording():
                discriminator_norm, judged = self._update_discriminator(condition, target, fake)
            outputs = unchanged(self.discriminator, {"condition": condition, "image": fake})
            drawn = self._generator_losses(outputs, fake, target, own)
            scaled = self.optimizer.scale_loss(drawn["generator_loss"])
        norm = self.update(self.optimizer, tape, scaled, self.generator_variables)
        logs = self.tracked(batch_size(condition), {**drawn, **judged})
        return {**logs, **self.norms(norm, discriminator_norm)}

    def test_step(self, data):
        """Returns the metrics of one batch."""
        condition, target = pair(data, ("input", "target"))
        fake = self.generator(condition, training=False)
        outputs, judged = self._judged(condition, target, fake, training=False)
        drawn = self._generator_losses(outputs, fake, target)
        return self.tracked(batch_size(condition), {**drawn, **judged})

    def _update_discriminator(self, condition, target, fake):
        """Returns the norm of the gradient, and what is logged."""
        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            _, judged = self._judged(condition, target, fake, training=True)
            loss = tf.add_n([judged["discriminator_loss"], *self.discriminator.losses])
            scaled = optimizer.scale_loss(loss)
        norm = self.update(optimizer, tape, scaled, variables)
        return norm, {**judged, "discriminator_loss": loss}

    def _judged(self, condition, target, fake, training: bool):
        """Returns the outputs for generated images, and the discriminator's loss and scores."""
        # Apart: batch normalisation must not tell one from the other by what it mixes.
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

    def _generator_losses(self, outputs, fake, target, own=()) -> dict[str, tf.Tensor]:
        """Returns what the generator minimises and its L1 term."""
        _, generator_loss = translation_losses(self.objective)
        difference = l1(fake, target)
        terms = [generator_loss(outputs), self.l1_weight * difference, *own]
        return {"generator_loss": tf.add_n(terms), "l1": difference}

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"l1_weight": self.l1_weight, "objective": self.objective}
        return {**super().get_config(), **own}
