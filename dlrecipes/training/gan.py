"""Generative adversarial networks, trained by alternating updates."""

from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer, number
from dlrecipes.losses import gradient_penalty
from dlrecipes.losses.adversarial import adversarial_losses
from dlrecipes.training._engine import gan_networks as networks
from dlrecipes.training._engine import stateless_random, values
from dlrecipes.training._engine.adversarial import AdversarialTrainer
from dlrecipes.training._engine.optimizer_step import batch_count
from dlrecipes.training.trainer import batch_size

NOISES = ("normal", "uniform")


@keras.saving.register_keras_serializable(package="dlrecipes")
class GAN(AdversarialTrainer):
    """Trains a GAN by alternating k updates of the discriminator and one of the generator.

    A batch of `fit` consists of `discriminator_steps` (k) minibatches: each takes every k-th
    example. Each discriminator update uses a new minibatch and new noise, and the generator's
    update new noise again. The last batch of an epoch may have any size; its minibatches then
    differ by one example.

    An update leaves the other network unchanged, including its moving statistics and spectral
    normalization: the other network runs in training mode, with the batch's own statistics, but
    stores nothing. A generator's moving statistics therefore come from its own updates, and a
    discriminator's from real and generated minibatches, which are normalized separately.
    Regularizers are added to the losses.

    With classes, `fit` takes `(images, labels)`, and both networks have an input named `label`.
    Generated examples get the labels of the real examples that they are compared with, so that
    labels have the same frequencies as in the data. The generator's update uses the labels of the
    last minibatch.

    `fit` logs `generator_loss` and `discriminator_loss`; `real_score` and `fake_score`, the
    discriminator's mean output for real and for generated examples, as probabilities for
    `"minimax"` and `"non_saturating"`; `gradient_norm` of the generator; and
    `discriminator_gradient_norm`. Validation logs both losses and both scores, in inference mode.
    `compile` takes two optimizers.

    Args:
        generator: Functional or sequential model from noise, or from `label` and noise.
        discriminator: Functional or sequential model from examples, or from `label` and examples,
            to one logit or score for each example or patch. It must not use batch normalization
            with `"wasserstein"`.
        discriminator_steps: Updates of the discriminator per update of the generator, at least 1.
            Defaults to 1.
        objective: Adversarial loss of `losses`: `"minimax"`, `"non_saturating"`,
            `"least_squares"`, `"hinge"` or `"wasserstein"`. Defaults to `"non_saturating"`.
        gradient_penalty_weight: Weight of the gradient penalty in the discriminator's loss, at
            least 0; used with `"wasserstein"` alone. Defaults to 10.0.
        noise: `"normal"`, with mean 0 and standard deviation 1, or `"uniform"` in [-1, 1).
            Defaults to `"normal"`.
        seed: Seed of the noise, at least 0. Defaults to 0.
        one_sided_penalty: Whether the penalty spares gradients with a norm below 1, as
            `losses.gradient_penalty(one_sided=True)`. Defaults to `False`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the generator: noise of shape `(batch, ...)`, and labels if it needs them.
        training: Whether batch normalization uses the batch's own statistics. Defaults to `False`.

    Returns:
        Generated examples.

    Raises:
        ValueError: If an argument is invalid, or if the networks do not match. In `fit`: if a batch
            does not fit the networks, contains NaN, is outside of the range of the generator's
            activation, or has a static size that is not a multiple of k.

    Example:

    >>> import keras
    >>> from dlrecipes.models import dcgan_discriminator, dcgan_generator
    >>> from dlrecipes.training import GAN
    >>> small = {"size": 8, "channels": 1, "filters": 2}
    >>> model = GAN(dcgan_generator(**small), dcgan_discriminator(**small))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> history = model.fit(keras.ops.zeros((4, 8, 8, 1)), batch_size=2, verbose=0).history
    >>> tuple(model.sample(3).shape)
    (3, 8, 8, 1)

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", algorithm 1. https://arxiv.org/abs/1406.2661
        Mirza and Osindero, 2014, "Conditional generative adversarial nets", equation 2.
        https://arxiv.org/abs/1411.1784
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, 2017, "Improved training of Wasserstein
        GANs", algorithm 1. https://arxiv.org/abs/1704.00028
    """

    serializable_arguments = ("generator", "discriminator")

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        discriminator_steps: int = 1,
        objective: str = "non_saturating",
        gradient_penalty_weight: float = 10.0,
        noise: str = "normal",
        seed: int = 0,
        one_sided_penalty: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("discriminator_steps", discriminator_steps)
        integer("seed", seed, least=0)
        number("gradient_penalty_weight", gradient_penalty_weight, "at least 0", lambda x: x >= 0)
        if noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(NOISES)}, not {noise!r}.")
        adversarial_losses(objective)  # Rejects an unknown name.
        latent = networks.main_input("generator", generator)
        examples = networks.main_input("discriminator", discriminator)
        networks.check_pair(generator, discriminator, latent, examples)
        self.generator = generator
        self.discriminator = discriminator
        self.discriminator_steps = discriminator_steps
        self.objective = objective
        self.gradient_penalty_weight = gradient_penalty_weight
        self.one_sided_penalty = one_sided_penalty
        self.noise = noise
        self.seed = seed
        self.generator_loss = keras.metrics.Mean(name="generator_loss")
        self.discriminator_loss = keras.metrics.Mean(name="discriminator_loss")
        self.real_score = keras.metrics.Mean(name="real_score")
        self.fake_score = keras.metrics.Mean(name="fake_score")
        self.discriminator_gradient_norm = keras.metrics.Mean(name="discriminator_gradient_norm")
        self.built = True

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of the noise of one example."""
        return tuple(networks.main_input("generator", self.generator).shape[1:])

    @property
    def takes_labels(self) -> bool:
        """Whether the networks have an input for labels."""
        return len(self.generator.inputs) > 1

    def call(self, inputs, training=False):
        return self.generator(inputs, training=training)

    def sample(self, count: int, seed: int = 0, labels: Any = None) -> tf.Tensor:
        """Generates examples in inference mode, the same for the same seed.

        Args:
            count: Number of examples, at least 1.
            seed: Seed of the noise, at least 0. Defaults to 0.
            labels: Class of each example, of shape `(count,)`, if the networks have labels.
                Defaults to `None`.

        Returns:
            Tensor of shape `(count, ...)`.

        Raises:
            ValueError: If an argument is invalid.
        """
        integer("count", count)
        integer("seed", seed, least=0)
        if (labels is not None) != self.takes_labels:
            rule = "must be given" if self.takes_labels else "must be None: there are no classes"
            raise ValueError(f"labels {rule}.")
        if labels is not None:
            labels = tf.convert_to_tensor(labels)
            if labels.shape != (count,):
                raise ValueError(f"labels must have shape ({count},), not {tuple(labels.shape)}.")
            networks.check_labels(self.generator, labels)
        noise = self._noise(count, seed, step=0, stream=0)
        return self.generator(
            networks.arrange_inputs(self.generator, noise, labels), training=False
        )

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for a batch that does not fit the networks."""
        if sample_weight is not None:
            raise ValueError("A GAN takes no sample weights.")
        if (y is not None) != self.takes_labels:
            parts = "(images, labels)" if self.takes_labels else "images alone"
            raise ValueError(f"fit must be given {parts}, to match the networks' inputs.")
        expected = tuple(networks.main_input("discriminator", self.discriminator).shape)
        if not tf.TensorShape(expected).is_compatible_with(x.shape):
            raise ValueError(f"Examples must have shape {expected}, not {tuple(x.shape)}.")
        values.check_image_type("Examples", x, self.generator)
        if y is not None:
            networks.check_labels(self.generator, y)

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for examples outside the generator's range, or unknown labels."""
        values.check_finite("x", x)
        values.check_images("Examples", x, self.generator)
        if y is not None:
            networks.check_labels(self.generator, y)

    def train_step(self, data):
        minibatches = self._minibatches(*self._unpack(data))
        for update, (real, labels) in enumerate(minibatches):
            self._update_discriminator(real, labels, update)
        self._update_generator(*minibatches[-1])
        norms = (self.gradient_norm, self.discriminator_gradient_norm)
        return {**self._results(), **{norm.name: norm.result() for norm in norms}}

    def test_step(self, data):
        real, labels = self._unpack(data)
        # The number of examples so far: noise differs between batches, not between validations.
        step, stream = self.generator_loss.count, 2 * self.discriminator_steps + 2
        noise = self._noise(batch_size(real), self.seed, step, stream)
        fake = self.generator(
            networks.arrange_inputs(self.generator, noise, labels), training=False
        )
        weights = self._interpolation_weights(real, step, stream + 1)
        loss, scores = self._discriminator_loss(real, fake, labels, weights, training=False)
        self._update_metrics(loss, *scores)
        _, generator_loss = adversarial_losses(self.objective)
        self.generator_loss.update_state(generator_loss(scores[1]), batch_size(real))
        return self._results()

    def get_config(self):
        return {
            **super().get_config(),
            "discriminator_steps": self.discriminator_steps,
            "objective": self.objective,
            "gradient_penalty_weight": self.gradient_penalty_weight,
            "one_sided_penalty": self.one_sided_penalty,
            "noise": self.noise,
            "seed": self.seed,
        }

    def _update_discriminator(self, real, labels, update: int) -> None:
        step, stream = batch_count(self.optimizer), 2 * update
        noise = self._noise(batch_size(real), self.seed, step, stream)
        fake = networks.call_without_updates(
            self.generator, networks.arrange_inputs(self.generator, noise, labels)
        )
        weights = self._interpolation_weights(real, step, stream + 1)
        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            loss, scores = self._discriminator_loss(real, fake, labels, weights, training=True)
            scaled = optimizer.scale_loss(loss)
        norm = self.update(optimizer, tape, scaled, variables)
        self._update_metrics(loss, *scores)
        self.discriminator_gradient_norm.update_state(norm)

    def _update_generator(self, real, labels) -> None:
        step, stream = batch_count(self.optimizer), 2 * self.discriminator_steps
        noise = self._noise(batch_size(real), self.seed, step, stream)
        inputs = networks.arrange_inputs(self.generator, noise, labels)
        _, generator_loss = adversarial_losses(self.objective)
        variables = self.generator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            fake = self.generator(inputs, training=True)
            regularizers = self.generator.losses
            discriminator_inputs = networks.arrange_inputs(self.discriminator, fake, labels)
            scores = networks.call_without_updates(self.discriminator, discriminator_inputs)
            loss = tf.add_n([generator_loss(scores), *regularizers])
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, variables)
        self.generator_loss.update_state(loss, batch_size(real))
        self.gradient_norm.update_state(norm)

    def _discriminator_loss(self, real, fake, labels, weights, training: bool):
        """Returns the discriminator's loss, and its scores of real and generated examples."""
        discriminator_loss, _ = adversarial_losses(self.objective)
        # Separate calls, because one batch would share the statistics of batch normalization.
        scores = [
            self.discriminator(
                networks.arrange_inputs(self.discriminator, examples, labels), training=training
            )
            for examples in (real, fake)
        ]
        terms = [discriminator_loss(*scores)]
        if training:
            terms += self.discriminator.losses
        if weights is not None:
            gradients = self._penalty_gradients(real, fake, labels, weights, training)
            penalty = gradient_penalty(gradients, one_sided=self.one_sided_penalty)
            terms.append(self.gradient_penalty_weight * penalty)
        return tf.add_n(terms), scores

    def _penalty_gradients(self, real, fake, labels, weights, training: bool) -> tf.Tensor:
        """Returns the critic's gradients at points between real and generated examples."""
        points = fake + tf.cast(weights, fake.dtype) * (tf.cast(real, fake.dtype) - fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            discriminator_inputs = networks.arrange_inputs(self.discriminator, points, labels)
            scores = networks.call_without_updates(
                self.discriminator, discriminator_inputs, training
            )
            means = tf.reduce_mean(tf.reshape(scores, [batch_size(points), -1]), axis=1)
        return tape.gradient(means, points)

    def _noise(self, count, seed: int, step, stream: int) -> tf.Tensor:
        shape = [count, *self.latent_shape]
        if self.noise == "uniform":
            return 2 * stateless_random.uniform(shape, seed, step, stream) - 1
        return stateless_random.normal(shape, seed, step, stream)

    def _interpolation_weights(self, real, step, stream: int) -> tf.Tensor | None:
        """Returns the weight of the real example at each point of the gradient penalty, if any."""
        if self.objective != "wasserstein" or not self.gradient_penalty_weight:
            return None
        shape = [batch_size(real)] + [1] * (len(real.shape) - 1)
        return stateless_random.uniform(shape, self.seed, step, stream)

    def _unpack(self, data) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the examples and labels of a batch, after checking them."""
        examples, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        self.check_batch(examples, labels, weights)
        return examples, labels

    def _minibatches(self, examples, labels) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """Returns k minibatches, each with every k-th example of this process' batch."""
        steps, size = self.discriminator_steps, examples.shape[0]
        if steps == 1:
            return [(examples, labels)]
        if size is not None and size % steps and not tf.executing_eagerly():
            raise ValueError(f"A batch must have a multiple of {steps} examples, not {size}.")
        size = batch_size(examples)
        # With fewer examples than minibatches, some are used again.
        parts = [slice(first % size, None, steps) for first in range(steps)]
        return [(examples[part], None if labels is None else labels[part]) for part in parts]

    def _update_metrics(self, loss, real_scores, fake_scores) -> None:
        examples = batch_size(real_scores)
        self.discriminator_loss.update_state(loss, examples)
        for tracker, scores in ((self.real_score, real_scores), (self.fake_score, fake_scores)):
            tracker.update_state(self.mean_score(scores), examples)

    def _results(self) -> dict[str, tf.Tensor]:
        logged = (self.generator_loss, self.discriminator_loss, self.real_score, self.fake_score)
        return {tracker.name: tracker.result() for tracker in logged}
