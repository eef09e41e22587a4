"""Training of a restricted Boltzmann machine by contrastive divergence, persistent or not."""

import keras
import tensorflow as tf

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import stateless_random
from dlrecipes.training._engine.checks import refuse_losses_and_metrics, runtime_check
from dlrecipes.training._engine.optimizer_step import batch_count
from dlrecipes.training._engine.values import check_bounds
from dlrecipes.training.trainer import Trainer, batch_size

# The batch size of Tieleman's experiments.
CHAINS = 100


@keras.saving.register_keras_serializable(package="dlrecipes")
class ContrastiveDivergence(Trainer):
    """Trains a restricted Boltzmann machine on visible vectors, without targets.

    A step follows the gradient of the mean free energy of a batch minus the mean free energy of
    samples, which are constants: for the kernel, `<v h>` of the samples minus `<v h>` of the data.
    CD-k starts its samples at the data, and applies `k` Gibbs steps. The persistent form keeps
    `chains` samples that continue from step to step; it estimates the model better for the same
    cost, but needs a small learning rate, because the chains must keep up with the weights.

    Which units are sampled and which are probabilities follows Hinton's advice (2010, section 3).
    Hidden units in the chain are always sampled. Hidden units in the statistics are always
    probabilities, as in the gradient of the free energy. Visible units are probabilities or means
    in CD, which has less noise, and are sampled in persistent chains, which should follow the
    model's distribution.

    `fit` logs `loss`, the difference of the free energies (with the layer's regularizer), which
    does not measure progress; `free_energy` of the data; `reconstruction_error`, the mean squared
    error of `reconstruct`; and optionally `pseudo_likelihood`. Validation logs the same except for
    the loss. If `val_free_energy` rises above `free_energy`, the machine overfits (Hinton, 2010,
    section 6; to compare them at the same weights, `evaluate` both).

    Random numbers are a function of `seed` and step. Targets in the data are ignored. Under several
    replicas, each replica updates an equal part of the chains. Values for Bernoulli units outside
    [0, 1] end training with an error, except under XLA, which does not support such checks.

    Args:
        rbm: Built `layers.RestrictedBoltzmannMachine`, or a model of one, such as
            `models.restricted_boltzmann_machine`.
        steps: Gibbs steps `k` from the data, or from the chains' last state, to the samples, at
            least 1. Defaults to 1.
        persistent: Whether to use persistent chains. Defaults to `False`.
        chains: Number of persistent chains, at least 1 and a multiple of the number of replicas.
            Defaults to `None`, which means 100.
        sample_visible: Whether to sample the visible units in the chain. Defaults to `None`, which
            samples them only in persistent chains.
        pseudo_likelihood: Whether to log the log pseudo-likelihood, in nats per example, estimated
            from one random unit of each example; only for Bernoulli visible units. Defaults to
            `False`.
        seed: Seed of all random numbers, at least 0. Defaults to 0.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Visible vectors, of shape `(batch, features)`.
        training: Ignored.

    Returns:
        Probabilities, or means, of the hidden units, of shape `(batch, hidden_units)`.

    Raises:
        TypeError: If `rbm` is neither such a layer nor a model of one.
        ValueError: If it has no weights yet, if a number is out of bounds, if `chains` is given
            without `persistent`, or if the pseudo-likelihood is requested for Gaussian units.

    Example:

    >>> import keras
    >>> from dlrecipes.models import restricted_boltzmann_machine
    >>> from dlrecipes.training import ContrastiveDivergence
    >>> model = ContrastiveDivergence(restricted_boltzmann_machine(4, 2), steps=1)
    >>> model.compile(keras.optimizers.SGD(0.1))
    >>> history = model.fit(keras.ops.ones((8, 4)), verbose=0).history
    >>> sorted(history)
    ['free_energy', 'gradient_norm', 'loss', 'reconstruction_error']

    Reference:
        Hinton, 2002, "Training products of experts by minimizing contrastive divergence", equation
        5. https://doi.org/10.1162/089976602760128018
        Tieleman, 2008, "Training restricted Boltzmann machines using approximations to the
        likelihood gradient", section 3, for the persistent form.
        https://doi.org/10.1145/1390156.1390290
        Hinton, 2010, "A practical guide to training restricted Boltzmann machines", sections 3 to
        6.
    """

    serializable_arguments = ("rbm",)

    def __init__(
        self,
        rbm: RestrictedBoltzmannMachine | keras.Model,
        steps: int = 1,
        persistent: bool = False,
        chains: int | None = None,
        sample_visible: bool | None = None,
        pseudo_likelihood: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        integer("steps", steps)
        integer("seed", seed, 0)
        self.rbm = rbm
        self.steps = steps
        self.persistent = persistent
        self.chains = chains
        self.sample_visible = sample_visible
        self.pseudo_likelihood = pseudo_likelihood
        self.seed = seed
        machine = self.machine
        if not machine.built:
            raise ValueError(f"{rbm.name} has no weights yet: call it on a batch first.")
        if chains is not None:
            integer("chains", chains)
            if not persistent:
                raise ValueError("chains needs persistent=True; without it there are no chains.")
        if pseudo_likelihood and machine.visible != "bernoulli":
            raise ValueError("pseudo_likelihood needs Bernoulli visible units, not Gaussian.")
        if persistent:
            self.states = self._chain_variable(chains or CHAINS)
        means = ["free_energy", "reconstruction_error"]
        means += ["pseudo_likelihood"] if pseudo_likelihood else []
        self.means = {name: keras.metrics.Mean(name=name) for name in means}
        self.built = True

    @property
    def machine(self) -> RestrictedBoltzmannMachine:
        """The layer that is trained."""
        if isinstance(self.rbm, RestrictedBoltzmannMachine):
            return self.rbm
        layers = getattr(self.rbm, "layers", ())
        layers = [layer for layer in layers if layer.weights or not layer.built]
        if len(layers) != 1 or not isinstance(layers[0], RestrictedBoltzmannMachine):
            raise TypeError(
                "rbm must be a RestrictedBoltzmannMachine or a model of one and nothing else, "
                f"not {getattr(self.rbm, 'name', self.rbm)!r}."
            )
        return layers[0]

    def call(self, inputs, training=False):
        return self.rbm(inputs)

    def reconstruct(self, visible: tf.Tensor) -> tf.Tensor:
        """Returns visible probabilities, or means, given those of the hidden units.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            Visible vectors of the same shape.
        """
        return self.machine.visible_probabilities(self.machine.hidden_probabilities(visible))

    def sample(self, visible: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the states of chains after `steps` Gibbs steps.

        Args:
            visible: Current states, of shape `(batch, features)`; under several replicas, those of
                this replica's chains.
            step: Number of the optimizer's step, which determines the random numbers.

        Returns:
            Visible vectors of the same shape.
        """
        machine, sample_visible = self.machine, self.sample_visible
        sample_visible = self.persistent if sample_visible is None else sample_visible
        for number in range(self.steps):
            hidden = machine.hidden_probabilities(visible)
            hidden = self._sample_units(hidden, machine.hidden, step, 2 * number)
            visible = machine.visible_probabilities(hidden)
            if sample_visible:
                visible = self._sample_units(visible, machine.visible, step, 2 * number + 1)
        return visible

    def train_step(self, data):
        machine, step = self.machine, batch_count(self.optimizer)
        visible = self._visible(data)
        samples = self._next_states(step) if self.persistent else self.sample(visible, step)
        # Before the update, so that all logs of a step have the same weights.
        logs = self._update_monitors(visible)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(machine.free_energy(visible))
            loss -= tf.reduce_mean(machine.free_energy(samples))
            loss = tf.add_n([loss, *machine.losses])
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, machine.trainable_variables)
        if self.persistent:
            self.states.assign(samples)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(visible))
        self.gradient_norm.update_state(norm)
        return {
            "loss": self._loss_tracker.result(),
            **logs,
            "gradient_norm": self.gradient_norm.result(),
        }

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """Configures training, as `keras.Model.compile` does without losses and metrics.

        Args:
            optimizer: A name or a Keras optimizer. Defaults to `"rmsprop"`, as in Keras.
            loss: Must be `None`, the default; the place of Keras' argument.
            **kwargs: Other keyword arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss or metrics are given.
        """
        refuse_losses_and_metrics(type(self).__name__, {"loss": loss, **kwargs})
        super().compile(optimizer=optimizer, **kwargs)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for data of the wrong shape, or with sample weights."""
        if sample_weight is not None:
            raise ValueError("Contrastive divergence takes no sample_weight: leave it out.")
        arrays, features = tf.nest.flatten(x), self.machine.kernel.shape[0]
        expected = tf.TensorShape([None, features])
        if len(arrays) != 1 or not expected.is_compatible_with(arrays[0].shape):
            shapes = ", ".join(str(tuple(array.shape)) for array in arrays)
            raise ValueError(f"The data must be of shape (batch, {features}), not {shapes}.")

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for data that are not finite, or not in [0, 1] for Bernoulli units."""
        super().check_values(x)
        if self.machine.visible == "bernoulli":
            data, rule = tf.nest.flatten(x)[0], "in [0, 1] for Bernoulli visible units"
            check_bounds("Values", data, 0, 1, rule, "Divide 8-bit images by 255.")

    def test_step(self, data):
        return self._update_monitors(self._visible(data))

    def get_config(self):
        names = ("steps", "persistent", "chains", "sample_visible", "pseudo_likelihood", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _visible(self, data) -> tf.Tensor:
        """Returns the visible vectors of a batch, after checking them."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_batch(x, y, weight)
        visible = tf.cast(tf.nest.flatten(x)[0], tf.float32)
        if self.machine.visible == "bernoulli":
            text = "Values of Bernoulli visible units must lie between 0 and 1."
            least, most = tf.reduce_min(visible), tf.reduce_max(visible)
            checked = runtime_check((least >= 0) & (most <= 1), text)
            with tf.control_dependencies([checked] if checked is not None else []):
                visible = tf.identity(visible)
        return visible

    def _sample_units(self, mean: tf.Tensor, kind: str, step: tf.Tensor, stream: int) -> tf.Tensor:
        shape = [tf.shape(mean)[0], mean.shape[1]]
        # The number of persistent chains differs from the number of examples in the batch.
        key = {"seed": self.seed, "step": step, "stream": stream, "examples": not self.persistent}
        if kind == "bernoulli":
            return tf.cast(stateless_random.uniform(shape, **key) < mean, mean.dtype)
        return mean + stateless_random.normal(shape, **key)

    def _update_monitors(self, visible: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates the metrics that show progress, and returns their means."""
        free = self.machine.free_energy(visible)
        monitors = {
            "free_energy": free,
            "reconstruction_error": tf.square(visible - self.reconstruct(visible)),
        }
        if self.pseudo_likelihood:
            monitors["pseudo_likelihood"] = self._pseudo_likelihood(visible)
        for name, values in monitors.items():
            mean = tf.reduce_mean(values)
            self.means[name].update_state(mean, sample_weight=batch_size(visible))
        return {name: self.means[name].result() for name in monitors}

    def _pseudo_likelihood(self, visible: tf.Tensor) -> tf.Tensor:
        """Returns `features` times the log-probability of one random unit given the others."""
        features = visible.shape[1]
        # The chains use the lower streams.
        random = stateless_random.uniform(
            [batch_size(visible)], self.seed, batch_count(self.optimizer), 2 * self.steps
        )
        unit = tf.one_hot(tf.cast(random * features, tf.int32), features)
        binary = tf.round(visible)
        flipped = tf.abs(unit - binary)
        free = self.machine.free_energy(binary)
        return features * tf.math.log_sigmoid(self.machine.free_energy(flipped) - free)

    def _chain_variable(self, chains: int) -> keras.Variable:
        initial = keras.initializers.RandomUniform(0.0, 1.0, self.seed)
        if self.machine.visible == "gaussian":
            initial = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        return self.add_weight(
            (chains, self.machine.kernel.shape[0]),
            initial,
            dtype="float32",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="chains",
        )

    def _next_states(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the next states of all chains; each replica updates an equal part of them."""
        states = tf.convert_to_tensor(self.states)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return self.sample(states, step)
        chains, features = states.shape
        if chains % replicas:
            raise ValueError(f"chains must be a multiple of the {replicas} replicas, not {chains}.")
        context = tf.distribute.get_replica_context()
        parts = tf.reshape(states, [replicas, chains // replicas, features])
        updated = self.sample(parts[context.replica_id_in_sync_group], step)
        # Every replica needs all chains, because its gradient is weighted by its examples.
        return context.all_gather(updated, axis=0)
