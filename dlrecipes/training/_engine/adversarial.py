"""The base of the adversarial trainers: `compile` with two optimizers."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from dlrecipes.training._engine.checks import refuse_losses_and_metrics
from dlrecipes.training.trainer import Trainer

# Objectives whose discriminator outputs the logit of a probability.
LIKELIHOODS = ("minimax", "non_saturating")


class AdversarialTrainer(Trainer):
    """A trainer with one optimizer for its generators and one for its discriminators.

    `optimizer` updates the generators, and Keras' learning-rate callbacks act on it alone. To
    change the discriminators' learning rate as well, give `discriminator_optimizer` its own
    schedule. Subclasses define which variables belong to which optimizer.
    """

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """The variables that `optimizer` updates."""
        return self.generator.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """The variables that `discriminator_optimizer` updates."""
        return self.discriminator.trainable_variables

    @property
    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """Both optimizers, each with its variables."""
        if self.optimizer is None:
            return []
        return [
            (self.optimizer, self.generator_variables),
            (self.discriminator_optimizer, self.discriminator_variables),
        ]

    def mean_score(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the discriminator's mean output, as a probability if `objective` defines one."""
        outputs = tf.cast(outputs, tf.float32)
        return tf.reduce_mean(tf.sigmoid(outputs) if self.objective in LIKELIHOODS else outputs)

    def compile(self, optimizer=None, discriminator_optimizer=None, **kwargs):
        """Configures training.

        Args:
            optimizer: Optimizer of the generators: a name or a Keras optimizer. Defaults to Adam
                with learning rate 2e-4 and `beta_1=0.5` (Radford et al., 2015).
            discriminator_optimizer: Optimizer of the discriminators. Defaults to a copy of
                `optimizer`.
            **kwargs: Other keyword arguments of `keras.Model.compile`, except losses and metrics.

        Raises:
            ValueError: If a loss or metrics are given, because the trainer defines its own, or if
                both optimizers are the same object.
        """
        if isinstance(discriminator_optimizer, str) and _is_loss(discriminator_optimizer):
            raise ValueError(
                "compile takes the discriminators' optimizer second, not "
                f"{discriminator_optimizer!r}: {type(self).__name__} has its own losses."
            )
        refuse_losses_and_metrics(type(self).__name__, kwargs)
        if optimizer is None:
            optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
        optimizer = keras.optimizers.get(optimizer)
        if optimizer is discriminator_optimizer:
            raise ValueError("optimizer and discriminator_optimizer must be two objects, not one.")
        if discriminator_optimizer is None:
            discriminator_optimizer = type(optimizer).from_config(optimizer.get_config())
        super().compile(optimizer=optimizer, **kwargs)
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        other = keras.optimizers.get(discriminator_optimizer)
        if scaled and not isinstance(other, keras.optimizers.LossScaleOptimizer):
            other = keras.optimizers.LossScaleOptimizer(other)
        self.discriminator_optimizer = other

    def fit(self, *args, class_weight=None, **kwargs):
        """Trains as `keras.Model.fit` does, without class weights.

        Raises:
            ValueError: If `class_weight` is given.
        """
        if class_weight is not None:
            raise ValueError(f"{type(self).__name__} takes no class_weight.")
        with self._averaged_at_the_end():
            return super().fit(*args, **kwargs)

    @contextlib.contextmanager
    def _averaged_at_the_end(self) -> Iterator[None]:
        """Lets each optimizer with `use_ema` set its own variables to their averages.

        Keras' `fit` calls `optimizer` alone, and with the variables of all networks.
        """
        if self.optimizer is None:
            yield
            return

        def finalize(variables: list[keras.Variable]) -> None:
            for optimizer, variables in self.optimized:
                type(optimizer).finalize_variable_values(optimizer, variables)

        self.optimizer.finalize_variable_values = finalize
        try:
            yield
        finally:
            del self.optimizer.finalize_variable_values

    def get_compile_config(self):
        """Returns the arguments of `compile`, serialized."""
        if not self.compiled:
            return None
        serialize = keras.saving.serialize_keras_object
        return {
            "optimizer": serialize(self.optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config):
        """Compiles a loaded model as it was compiled when saved, and builds both optimizers."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.build_optimizers()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Otherwise Keras builds `optimizer` on the variables of all networks.
        self.build_optimizers()
        super()._maybe_symbolic_build(iterator, data_batch)


def _is_loss(name: str) -> bool:
    try:
        keras.optimizers.get(name)
    except ValueError:
        return True
    return False
