"""Translation of images between two domains, without pairs."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer, number
from dlrecipes.layers._arguments import pair as size_pair
from dlrecipes.training._engine import values
from dlrecipes.training._engine.checks import check_inputs
from dlrecipes.training._engine.gan_networks import call_without_updates
from dlrecipes.training._engine.optimizer_step import batch_count
from dlrecipes.training._engine.translation import (
    TranslationTrainer,
    check_image_size,
    check_networks,
    check_pair,
    l1,
    translation_losses,
    unpack_pair,
)
from dlrecipes.training.image_pool import ImagePool
from dlrecipes.training.trainer import batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class CycleGAN(TranslationTrainer):
    """Trains two generators that translate images between domains A and B, on unpaired images.

    The generators together minimize, in one step,

        adversarial(D_B(G(a))) + adversarial(D_A(F(b)))
            + cycle_weight * (|F(G(a)) - a| + |G(F(b)) - b|)
            + cycle_weight * identity_weight * (|G(b) - b| + |F(a) - a|)

    where G maps A to B, F maps B to A, and differences are mean absolute differences. As in the
    authors' code, `identity_weight` is relative to `cycle_weight`. The discriminators are then
    updated together, each with half of its loss, on the real images of the batch and on generated
    images from a pool of the last `pool_size`, one for each domain.

    All networks run in training mode. An update leaves the other networks unchanged, including
    their moving statistics. Weight regularizers are added to the losses. `optimizer` updates both
    generators, and `discriminator_optimizer` both discriminators.

    `fit` takes `(a, b)` in place of inputs and targets: two arrays of equal length, or a data set
    of pairs of batches (`tf.data.Dataset.zip` of two that are shuffled independently), floats in
    [-1, 1]. It logs

    - `generator_loss`, the whole loss of the generators, and `discriminator_loss`, the sum of both;
    - `cycle` and `identity`, without their weights (`identity` is 0 if its weight is 0);
    - `real_score` and `fake_score`, the discriminators' mean output for real images and for those
      from the pools, a probability for `"minimax"` and `"non_saturating"`;
    - `gradient_norm` of the generators, and `discriminator_gradient_norm`.

    Validation logs all but the norms, in inference mode and without the pools.

    Args:
        generator_ab: Model from images of domain A to domain B, such as
            `models.cyclegan_generator`.
        generator_ba: Another model, from domain B to domain A.
        discriminator_a: Model from images of domain A to one logit or score for each patch or
            image, such as `models.patchgan(condition_channels=0, norm="instance")`.
        discriminator_b: Another model, for domain B.
        cycle_weight: Weight of the cycle loss, the paper's lambda, at least 0. Defaults to 10.0.
        identity_weight: Weight of the identity loss, relative to `cycle_weight`, at least 0. With
            0 it is not computed, which is the paper's choice except to preserve colors.
            Defaults to 0.5.
        pool_size: Number of generated images of each domain to store, at least 0. Defaults to 50.
        image_size: Height and width of the training images, one integer or two, for the pools.
            Required if the generators leave it unknown and `pool_size` is not 0. Defaults to
            `None`.
        objective: Adversarial loss of `losses`: `"least_squares"` (not halved, as in the paper),
            `"minimax"`, `"non_saturating"`, `"hinge"` or `"wasserstein"`. Defaults to
            `"least_squares"`.
        seed: Seed of the pools, at least 0. Defaults to 0.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Images of domain A, of shape `(batch, height, width, channels)`.
        training: Whether dropout is on and batch normalization uses the batch's own statistics.
            Defaults to `False`.

    Returns:
        Images of domain B; `translate_ba` maps the other way.

    Raises:
        ValueError: If an argument is invalid, if a network has no weights yet or is given twice, or
            if the size of the pools' images is unknown. In `fit`: if a batch is not a pair of
            floats, if images do not have the expected size, or if they contain NaN or are outside
            of the range of the generators' activations.

    Example:

    >>> import keras
    >>> from dlrecipes.models import cyclegan_generator, patchgan
    >>> from dlrecipes.training import CycleGAN
    >>> ab, ba = (cyclegan_generator(blocks=1, filters=2) for _ in "ab")
    >>> small = {"layers": 1, "filters": 2, "condition_channels": 0, "norm": "instance"}
    >>> model = CycleGAN(ab, ba, patchgan(**small), patchgan(**small), image_size=8)
    >>> model.compile()  # Adam with learning rate 2e-4 and beta_1=0.5 for all
    >>> images = keras.ops.zeros((2, 8, 8, 3))
    >>> history = model.fit(images, images, verbose=0).history
    >>> tuple(model(images).shape), tuple(model.translate_ba(images).shape)
    ((2, 8, 8, 3), (2, 8, 8, 3))

    Reference:
        Zhu, Park, Isola and Efros, 2017, "Unpaired image-to-image translation using
        cycle-consistent adversarial networks", equations 1 to 3, section 4, and section 5.2 for the
        identity loss. https://arxiv.org/abs/1703.10593
    """

    serializable_arguments = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")

    def __init__(
        self,
        generator_ab: keras.Model,
        generator_ba: keras.Model,
        discriminator_a: keras.Model,
        discriminator_b: keras.Model,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        image_size: int | Sequence[int] | None = None,
        objective: str = "least_squares",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(objective, terms=("cycle", "identity"), **kwargs)
        number("cycle_weight", cycle_weight, "at least 0", lambda weight: weight >= 0)
        number("identity_weight", identity_weight, "at least 0", lambda weight: weight >= 0)
        integer("seed", seed, 0)
        integer("pool_size", pool_size, 0)
        check_networks(generator_ab=generator_ab, generator_ba=generator_ba)
        check_networks(discriminator_a=discriminator_a, discriminator_b=discriminator_b)
        self.generator_ab = generator_ab
        self.generator_ba = generator_ba
        self.discriminator_a = discriminator_a
        self.discriminator_b = discriminator_b
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.pool_size = pool_size
        self.image_size = image_size
        self.seed = seed
        for generator in (generator_ab, generator_ba):
            if not getattr(generator, "outputs", None):
                raise ValueError(f"{generator.name} must be a functional or sequential model.")
        channels = {network.inputs[0].shape[-1] for network in (generator_ab, generator_ba)}
        if identity_weight and len(channels) > 1:
            raise ValueError("identity_weight must be 0 where A and B have different channels.")
        self.pool_a = self._pool(generator_ba, stream=0)
        self.pool_b = self._pool(generator_ab, stream=1)
        self.built = True

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """The variables of both generators, which `optimizer` updates."""
        return [
            *self.generator_ab.trainable_variables,
            *self.generator_ba.trainable_variables,
        ]

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """The variables of both discriminators, which `discriminator_optimizer` updates."""
        return [
            *self.discriminator_a.trainable_variables,
            *self.discriminator_b.trainable_variables,
        ]

    def call(self, inputs, training=False):
        return self.generator_ab(inputs, training=training)

    def translate_ba(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Translates images of domain B to domain A, in the opposite direction of `call`.

        Args:
            inputs: Images of domain B, of shape `(batch, height, width, channels)`.
            training: Whether dropout is on and batch normalization uses the batch's own statistics.
                Defaults to `False`.

        Returns:
            Images of domain A.
        """
        return self.generator_ba(inputs, training=training)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error unless there are two batches of floats that the networks support."""
        check_pair(("a", "b"), x, y, sample_weight)
        check_inputs(self.generator_ab, x)
        check_inputs(self.generator_ba, y)
        check_image_size(self.discriminator_a, x)
        check_image_size(self.discriminator_b, y)

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for images that are not finite, or outside the generators' ranges."""
        values.check_finite("a", x)
        values.check_finite("b", y)
        values.check_images("Images of domain A", x, self.generator_ba)
        values.check_images("Images of domain B", y, self.generator_ab)

    def train_step(self, data):
        a, b = unpack_pair(data, ("a", "b"))
        step = tf.convert_to_tensor(batch_count(self.optimizer))
        optimizer, variables = self.optimizer, self.generator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            fakes, generator_logs = self._generator_losses(a, b, training=True)
            scaled = optimizer.scale_loss(generator_logs["generator_loss"])
        norm = self.update(optimizer, tape, scaled, variables)
        shown = self.pool_a.query(fakes[0], step), self.pool_b.query(fakes[1], step)
        optimizer, variables = self.discriminator_optimizer, self.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            discriminator_logs = self._discriminator_losses((a, b), shown, training=True)
            scaled = optimizer.scale_loss(discriminator_logs["discriminator_loss"])
        discriminator_norm = self.update(optimizer, tape, scaled, variables)
        logs = self.track_means(batch_size(a), {**generator_logs, **discriminator_logs})
        return {**logs, **self.track_norms(norm, discriminator_norm)}

    def test_step(self, data):
        a, b = unpack_pair(data, ("a", "b"))
        fakes, generator_logs = self._generator_losses(a, b, training=False)
        discriminator_logs = self._discriminator_losses((a, b), fakes, training=False)
        return self.track_means(batch_size(a), {**generator_logs, **discriminator_logs})

    def _generator_losses(self, a, b, training: bool):
        """Returns generated images of domains A and B, and the generators' loss with its terms."""
        ab, ba = self.generator_ab, self.generator_ba
        fake_b, fake_a = ab(a, training=training), ba(b, training=training)
        cycle = l1(ba(fake_b, training=training), a) + l1(ab(fake_a, training=training), b)
        identity = tf.zeros(())
        if self.identity_weight and self.cycle_weight:
            identity = l1(ab(b, training=training), b) + l1(ba(a, training=training), a)
        _, generator_loss = translation_losses(self.objective)
        terms = [
            generator_loss(call_without_updates(self.discriminator_a, fake_a, training)),
            generator_loss(call_without_updates(self.discriminator_b, fake_b, training)),
            self.cycle_weight * (cycle + self.identity_weight * identity),
        ]
        if training:
            terms += [*ab.losses, *ba.losses]
        loss = tf.add_n(terms)
        return (fake_a, fake_b), {"generator_loss": loss, "cycle": cycle, "identity": identity}

    def _discriminator_losses(self, real, shown, training: bool) -> dict[str, tf.Tensor]:
        """Returns the discriminators' loss and scores, given images of domains A and B."""
        discriminator_loss, _ = translation_losses(self.objective)
        terms, scores = [], []
        both = (self.discriminator_a, self.discriminator_b)
        for discriminator, *images in zip(both, real, shown, strict=True):
            outputs = [discriminator(image, training=training) for image in images]
            terms.append(discriminator_loss(*outputs))
            terms += discriminator.losses if training else []
            scores.append([self.mean_score(output) for output in outputs])
        (real_a, fake_a), (real_b, fake_b) = scores
        return {
            "discriminator_loss": tf.add_n(terms),
            "real_score": (real_a + real_b) / 2,
            "fake_score": (fake_a + fake_b) / 2,
        }

    def _pool(self, generator: keras.Model, stream: int) -> ImagePool:
        pool = ImagePool(self.pool_size, self.seed, stream)
        shape = tuple(generator.outputs[0].shape)
        if self.image_size is not None:
            shape = (None, *size_pair("image_size", self.image_size), *shape[3:])
        if self.pool_size and None in shape[1:]:
            raise ValueError(
                f"pool_size={self.pool_size} needs the images' size: give image_size, such as "
                "(256, 256)."
            )
        pool.build(shape)
        return pool

    def get_config(self):
        names = ("cycle_weight", "identity_weight", "pool_size", "image_size", "objective", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
