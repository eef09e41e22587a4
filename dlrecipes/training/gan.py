"""Generative adversarial networks, trained by alternating updates."""

from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer, number
from dlrecipes.losses import gradient_penalty
from dlrecipes.losses.adversarial import adversarial_losses
from dlrecipes.training._engine import gan_networks as networks
from dlrecipes.training._engine import stateless_random
from dlrecipes.training._engine.adversarial import AdversarialTrainer
from dlrecipes.training.trainer import batch_size

NOISES = ("normal", "uniform")


@keras.saving.register_keras_serializable(package="dlrecipes")
class GAN(AdversarialTrainer):
    """Trains a generator against a discriminator: k updates of this one, then one of that one.

    A batch of `fit` holds `discriminator_steps` (k) minibatches, every k-th example each. Each
    discriminator update takes a fresh minibatch and fresh noise, and the generator's fresh noise
    again. The last batch of an epoch may be any size: its minibatches differ by one example.

    An update leaves the other network as it was, moving statistics and spectral normalisation
    included: that one runs as in training, with the batch's own statistics, but keeps none. So
    a generator's moving statistics come from its own updates, and a discriminator's from real
    and generated minibatches, each normalised by itself. Regularizers are added to the losses.

    With classes, `fit` takes `(images, labels)`, and both networks have an input named `label`.
    Generated examples get the labels of the real ones that they are compared with, so that
    these have the data's frequencies; the generator's update, those of the last minibatch.

    Logs `generator_loss` and `discriminator_loss`; `real_score` and `fake_score`, the
    discriminator's mean for real and for generated examples, probabilities for `"minimax"`
    and `"non_saturating"` and plain outputs otherwise; and `gradient_norm`, the generator's, and
    `discriminator_gradient_norm`. Validation has both losses and scores, at inference. `compile`
    takes two optimizers.

    Args:
        generator: Functional or sequential model from noise, or from `label` and noise.
        discriminator: Such a model from examples, or from `label` and examples, to one number
            for each example or patch, before any squashing. No batch normalisation with
            `"wasserstein"`.
        discriminator_steps: Updates of the discriminator for each of the generator, at least 1.
        objective: `"minimax"`, `"non_saturating"`, `"least_squares"`, `"hinge"` or
            `"wasserstein"`, of `losses`.
        gradient_penalty_weight: With `"wasserstein"`, the penalty's weight in the
            discriminator's loss, at least 0; for no other objective.
        noise: `"normal"`, with mean 0 and standard deviation 1, or `"uniform"` in [-1, 1).
        seed: Seed of the noise.

    Call arguments:
        inputs: What the generator takes: noise of shape `(batch, ...)`, and perhaps labels.
        training: Whether batch normalisation takes the batch's own statistics.

    Returns:
        Generated examples, as the generator gives them.

    Raises:
        ValueError: If an argument is not one of those described, or the networks do not fit one
            another; in `fit`, if a batch does not fit them, or its size is given and no multiple
            of k.

    Example:

    >>> from dlrecipes.models import dcgan_discriminator, dcgan_generator
    >>> small = {"size": 8, "channels": 1, "filters": 2}
    >>> model = GAN(dcgan_generator(**small), dcgan_discriminator(**small))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> history = model.fit(keras.ops.zeros((4, 8, 8, 1)), batch_size=2, verbose=0).history
    >>> tuple(model.sample(3).shape)
    (3, 8, 8, 1)

    Reference:
        Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
        "Generative adversarial nets", algorithm 1.
        Mirza and Osindero, 2014, "Conditional generative adversarial nets", equation 2.
        Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, 2017, "Improved training of
        Wasserstein GANs", algorithm 1.
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("discriminator_steps", discriminator_steps)
        integer("seed", seed, least=0)
        number("gradient_penalty_weight", gradient_penalty_weight, "at least 0", lambda x: x >= 0)
        if noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(NOISES)}, not {noise!r}.")
        adversarial_losses(objective)  # Refuses another name.
        latent = networks.main_input("generator", generator)
        examples = networks.main_input("discriminator", discriminator)
        networks.check(generator, discriminator, latent, examples)
        self.generator = generator
        self.discriminator = discriminator
        self.discriminator_steps = discriminator_steps
        self.objective = objective
        self.gradient_penalty_weight = gradient_penalty_weight
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
        """Shape of one example's noise."""
        return tuple(networks.main_input("generator", self.generator).shape[1:])

    @property
    def takes_labels(self) -> bool:
        """Whether the networks are given classes."""
        return len(self.generator.inputs) > 1

    def call(self, inputs, training=False):
        """Returns generated examples."""
        return self.generator(inputs, training=training)

    def sample(self, count: int, seed: int = 0, labels: Any = None) -> tf.Tensor:
        """Generates examples at inference, always the same of one seed.

        Args:
            count: How many, at least 1.
            seed: Seed of the noise, at least 0.
            labels: With classes, the class of each, of shape `(count,)`.

        Returns:
            Tensor of shape `(count, ...)`.

        Raises:
            ValueError: If an argument is not one of those described.
        """
        integer("count", count)
        integer("seed", seed, least=0)
        if (labels is not None) != self.takes_labels:
            wanted = "must be given" if self.takes_labels else "must be None: there are no classes"
            raise ValueError(f"labels {wanted}.")
        if labels is not None:
            labels = tf.convert_to_tensor(labels)
            if labels.shape != (count,):
                raise ValueError(f"labels must have shape ({count},), not {tuple(labels.shape)}.")
            networks.check_labels(self.generator, labels)
        noise = self._noise(count, seed, step=0, stream=0)
        return self.generator(networks.inputs_of(self.generator, noise, labels), training=False)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses what the networks cannot take."""
        if sample_weight is not None:
            raise ValueError("A GAN takes no sample weights.")
        if (y is not None) != self.takes_labels:
            wanted = "(images, labels)" if self.takes_labels else "images alone"
            raise ValueError(f"fit must be given {wanted}, as the networks' inputs are.")
        wanted = tuple(networks.main_input("discriminator", self.discriminator).shape)
        if not tf.TensorShape(wanted).is_compatible_with(x.shape):
            raise ValueError(f"Examples must have shape {wanted}, not {tuple(x.shape)}.")
        if y is not None:
            networks.check_labels(self.generator, y)

    def train_step(self, data):
        """Returns the metrics of k discriminator updates and one of the generator."""
        minibatches = self._minibatches(*self._unpacked(data))
        for update, (real, labels) in enumerate(minibatches):
            self._update_discriminator(real, labels, update)
        self._update_generator(*minibatches[-1])
        norms = (self.gradient_norm, self.discriminator_gradient_norm)
        return {**self._results(), **{norm.name: norm.result() for norm in norms}}

    def test_step(self, data):
        """Returns the metrics of one batch, all of it one minibatch."""
        real, labels = self._unpacked(data)
        # The number of examples so far: each batch has its own noise, alike at each validation.
        step, stream = self.generator_loss.count, 2 * self.discriminator_steps + 2
        noise = self._noise(batch_size(real), self.seed, step, stream)
        fake = self.generator(networks.inputs_of(self.generator, noise, labels), training=False)
        weights = self._mixing(real, step, stream + 1)
        loss, scores = self._discriminator_loss(real, fake, labels, weights, training=False)
        self._track(loss, *scores)
        _, generator_loss = adversarial_losses(self.objective)
        self.generator_loss.update_state(generator_loss(scores[1]), batch_size(real))
        return self._results()

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "discriminator_steps": self.discriminator_steps,
            "objective": self.objective,
            "gradient_penalty_weight": self.gradient_penalty_weight,
            "noise": self.noise,
            "seed": self.seed,
        }

    def _update_discriminator(self, real, labels, update: int) -> None:
        step, stream = self.optimizer.iterations, 2 * update
        noise = self._noise(batch_size(real), self.seed, step, stream)
        fake = networks.unchanged(self.generator, networks.inputs_of(self.generator, noise, labels))
        weights = self._mixing(real, step, stream + 1)
        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            loss, scores = self._discriminator_loss(real, fake, labels, weights, training=True)
            scaled = optimizer.scale_loss(loss)
        norm = self.update(optimizer, tape, scaled, variables)
        self._track(loss, *scores)
        self.discriminator_gradient_norm.update_state(norm)

    def _update_generator(self, real, labels) -> None:
        step, stream = self.optimizer.iterations, 2 * self.discriminator_steps
        noise = self._noise(batch_size(real), self.seed, step, stream)
        inputs = networks.inputs_of(self.generator, noise, labels)
        _, generator_loss = adversarial_losses(self.objective)
        variables = self.generator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            fake = self.generator(inputs, training=True)
            regularizers = self.generator.losses
            judged = networks.inputs_of(self.discriminator, fake, labels)
            scores = networks.unchanged(self.discriminator, judged)
            loss = tf.add_n([generator_loss(scores), *regularizers])
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, variables)
        self.generator_loss.update_state(loss, batch_size(real))
        self.gradient_norm.update_state(norm)

    def _discriminator_loss(self, real, fake, labels, weights, training: bool):
        """Returns what the discriminator minimises, and its scores of real and fake examples."""
        discriminator_loss, _ = adversarial_losses(self.objective)
        judged = [networks.inputs_of(self.discriminator, one, labels) for one in (real, fake)]
        # Each by itself: in one batch they would share the statistics of batch normalisation.
        scores = [self.discriminator(inputs, training=training) for inputs in judged]
        terms = [discriminator_loss(*scores)]
        if training:
            terms += self.discriminator.losses
        if weights is not None:
            slopes = self._slopes(real, fake, labels, weights, training)
            terms.append(self.gradient_penalty_weight * gradient_penalty(slopes))
        return tf.add_n(terms), scores

    def _slopes(self, real, fake, labels, weights, training: bool) -> tf.Tensor:
        """Returns the critic's gradients at points between a real and a generated example each."""
        points = fake + tf.cast(weights, fake.dtype) * (tf.cast(real, fake.dtype) - fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            judged = networks.inputs_of(self.discriminator, points, labels)
            scores = networks.unchanged(self.discriminator, judged, training)
            each = tf.reduce_mean(tf.reshape(scores, [batch_size(points), -1]), axis=1)
        return tape.gradient(each, points)

    def _noise(self, count, seed: int, step, stream: int) -> tf.Tensor:
        shape = [count, *self.latent_shape]
        if self.noise == "uniform":
            return 2 * stateless_random.uniform(shape, seed, step, stream) - 1
        return stateless_random.normal(shape, seed, step, stream)

    def _mixing(self, real, step, stream: int) -> tf.Tensor | None:
        """Returns how near to its real example each point of the penalty is, if there is one."""
        if self.objective != "wasserstein" or not self.gradient_penalty_weight:
            return None
        shape = [batch_size(real)] + [1] * (len(real.shape) - 1)
        return stateless_random.uniform(shape, self.seed, step, stream)

    def _checked(self, method, args, kwargs) -> dict[str, Any]:
        given = super()._checked(method, args, kwargs)
        if hasattr(given.get("y"), "dtype"):
            # An array can be looked into.
            networks.check_labels(self.generator, given["y"])
        return given

    def _unpacked(self, data) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns examples and labels of a batch; refuses what the networks cannot take."""
        examples, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        self.check_batch(examples, labels, weights)
        return examples, labels

    def _minibatches(self, examples, labels) -> list[tuple[tf.Tensor, tf.Tensor | None]]:
        """Returns every k-th example each: of all replicas together, those of one process."""
        steps, size = self.discriminator_steps, examples.shape[0]
        if steps == 1:
            return [(examples, labels)]
        if size is not None and size % steps and not tf.executing_eagerly():
            raise ValueError(f"A batch must have a multiple of {steps} examples, not {size}.")
        size = batch_size(examples)
        # Of fewer examples than minibatches some are taken again.
        parts = [slice(first % size, None, steps) for first in range(steps)]
        return [(examples[part], None if labels is None else labels[part]) for part in parts]

    def _track(self, loss, real_scores, fake_scores) -> None:
        examples = batch_size(real_scores)
        self.discriminator_loss.update_state(loss, examples)
        for tracker, scores in ((self.real_score, real_scores), (self.fake_score, fake_scores)):
            tracker.update_state(self.mean_score(scores), examples)

    def _results(self) -> dict[str, tf.Tensor]:
        logged = (self.generator_loss, self.discriminator_loss, self.real_score, self.fake_score)
        return {tracker.name: tracker.result() for tracker in logged}
