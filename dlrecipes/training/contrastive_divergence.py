"""Training of a restricted Boltzmann machine by contrastive divergence, persistent or not."""

import keras
import tensorflow as tf

from dlrecipes.layers import RestrictedBoltzmannMachine
from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import stateless_random
from dlrecipes.training._engine.checks import refuse_unless
from dlrecipes.training.trainer import Trainer, batch_size

# As many as the examples of a batch in Tieleman's experiments.
CHAINS = 100


@keras.saving.register_keras_serializable(package="dlrecipes")
class ContrastiveDivergence(Trainer):
    """Trains a restricted Boltzmann machine on what is seen alone: there are no targets.

    A step follows the gradient of the mean free energy of a batch less that of samples, which
    are constants: for the kernel, `<v h>` of the samples less `<v h>` of the data. CD-k starts
    its samples at the data and lets them take `k` Gibbs steps. Its persistent form keeps
    `chains` samples that go on from step to step, a better estimate of the model for `k` times
    the same price; it wants a small learning rate, as they must keep up with the weights.

    What is sampled and what is a probability is Hinton's advice (2010, section 3): hidden units
    of the chain are always drawn; the hidden ones of the statistics are always probabilities,
    which is what the free energy's gradient has; visible units are probabilities, or means, in
    CD, which has less noise, and drawn in persistent chains, which should be the model's.

    `fit` logs `loss`, the difference of free energies (with the layer's regularizer), which is
    no measure of progress; `free_energy` of the data; `reconstruction_error`, the mean squared
    error of `reconstruct`; and, if wanted, `pseudo_likelihood`. Validation logs the same but for
    the loss. Where `val_free_energy` rises above `free_energy`, the machine overfits (Hinton,
    2010, section 6; to compare at the same weights, `evaluate` both).

    Random numbers are a function of `seed` and step. Targets in the data are left unread. Under
    several replicas each moves on its share of the chains. Values for Bernoulli units
    outside of [0, 1] end training with an error, but not under XLA, which cannot tell.

    Args:
        rbm: A `layers.RestrictedBoltzmannMachine` that has its weights, or a model of one, such
            as `models.restricted_boltzmann_machine`.
        steps: Gibbs steps between the data, or the chains' last state, and the samples: `k`, at
            least 1.
        persistent: Whether the samples are those of persistent chains.
        chains: Number of persistent chains, at least 1 and a multiple of the replicas; `None`
            is 100.
        sample_visible: Whether the visible units of the samples are drawn; `None`: in
            persistent chains alone.
        pseudo_likelihood: Whether the log pseudo-likelihood is logged too, in nats an example,
            estimated by one unit of each, drawn at random; for Bernoulli visible units.
        seed: Seed of all stateless_random.

    Call arguments:
        inputs: Visible vectors, of shape `(batch, features)`.
        training: Changes nothing.

    Returns:
        Probabilities, or means, of the hidden units, of shape `(batch, hidden_units)`.

    Raises:
        TypeError: If `rbm` is no such layer, nor a model of one.
        ValueError: If it has no weights yet, a number is out of its bounds, `chains` is given
            though nothing persists, or the pseudo-likelihood is wanted of Gaussian units.

    Example:

    >>> from dlrecipes.models import restricted_boltzmann_machine
    >>> model = ContrastiveDivergence(restricted_boltzmann_machine(4, 2), steps=1)
    >>> model.compile(keras.optimizers.SGD(0.1))
    >>> history = model.fit(keras.ops.ones((8, 4)), verbose=0).history
    >>> sorted(history)
    ['free_energy', 'gradient_norm', 'loss', 'reconstruction_error']

    Reference:
        Hinton, 2002, "Training products of experts by minimizing contrastive divergence",
        equation 5.
        Tieleman, 2008, "Training restricted Boltzmann machines using approximations to the
        likelihood gradient", section 3, for the persistent form.
        Hinton, 2010, "A practical guide to training restricted Boltzmann machines", sections 3
        to 6.
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
                raise ValueError("chains is for persistent=True; without it there are none.")
        if pseudo_likelihood and machine.visible != "bernoulli":
            raise ValueError("pseudo_likelihood is of Bernoulli visible units, not of Gaussian.")
        if persistent:
            self.states = self._first_states(chains or CHAINS)
        means = ["free_energy", "reconstruction_error"]
        means += ["pseudo_likelihood"] if pseudo_likelihood else []
        self.means = {name: keras.metrics.Mean(name=name) for name in means}
        self.built = True

    @property
    def machine(self) -> RestrictedBoltzmannMachine:
        """The layer that is trained."""
        if isinstance(self.rbm, RestrictedBoltzmannMachine):
            return self.rbm
        found = [one for one in getattr(self.rbm, "layers", ()) if one.weights or not one.built]
        if len(found) != 1 or not isinstance(found[0], RestrictedBoltzmannMachine):
            raise TypeError(
                "rbm must be a RestrictedBoltzmannMachine or a model of one and nothing else, "
                f"not {getattr(self.rbm, 'name', self.rbm)!r}."
            )
        return found[0]

    def call(self, inputs, training=False):
        """Returns the probabilities, or means, of the hidden units."""
        return self.rbm(inputs)

    def reconstruct(self, visible: tf.Tensor) -> tf.Tensor:
        """Returns visible probabilities, or means, given those of the hidden units.

        Args:
            visible: Visible vectors, of shape `(..., features)`.

        Returns:
            Numbers of the same shape.
        """
        return self.machine.visible_probabilities(self.machine.hidden_probabilities(visible))

    def sample(self, visible: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the states of chains after `steps` Gibbs steps.

        Args:
            visible: Where they are, of shape `(batch, features)`: under several replicas, this
                replica's share.
            step: Number of the optimizer's step, which decides the stateless_random.

        Returns:
            Visible vectors of the same shape.
        """
        machine, drawn = self.machine, self.sample_visible
        drawn = self.persistent if drawn is None else drawn
        for number in range(self.steps):
            hidden = machine.hidden_probabilities(visible)
            hidden = self._draw(hidden, machine.hidden, step, 2 * number)
            visible = machine.visible_probabilities(hidden)
            if drawn:
                visible = self._draw(visible, machine.visible, step, 2 * number + 1)
        return visible

    def train_step(self, data):
        """Returns the metrics of one optimizer step on one batch."""
        machine, step = self.machine, self.optimizer.iterations
        visible = self._visible(data)
        samples = self._next_states(step) if self.persistent else self.sample(visible, step)
        # Before the update: all logs of a step are of the same weights.
        logs = self._watch(visible)
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
        """As `keras.Model.compile`, without a loss.

        Raises:
            ValueError: If a loss is given.
        """
        if loss is not None:
            raise ValueError("Contrastive divergence has its own loss: compile it without one.")
        super().compile(optimizer, **kwargs)

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses what are no vectors of the visible units, and sample weights."""
        if sample_weight is not None:
            raise ValueError("Contrastive divergence takes no sample_weight: leave it out.")
        arrays, features = tf.nest.flatten(x), self.machine.kernel.shape[0]
        wanted = tf.TensorShape([None, features])
        if len(arrays) != 1 or not wanted.is_compatible_with(arrays[0].shape):
            shapes = ", ".join(str(tuple(array.shape)) for array in arrays)
            raise ValueError(f"The data must be of shape (batch, {features}), not {shapes}.")

    def test_step(self, data):
        """Returns the metrics of one batch, without the loss."""
        return self._watch(self._visible(data))

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("steps", "persistent", "chains", "sample_visible", "pseudo_likelihood", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _visible(self, data) -> tf.Tensor:
        """Returns the visible vectors of a batch, once they can be that."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_batch(x, y, weight)
        visible = tf.cast(tf.nest.flatten(x)[0], tf.float32)
        if self.machine.visible == "bernoulli":
            text = "Values of Bernoulli visible units must lie between 0 and 1."
            least, most = tf.reduce_min(visible), tf.reduce_max(visible)
            checked = refuse_unless((least >= 0) & (most <= 1), text)
            with tf.control_dependencies([checked] if checked is not None else []):
                visible = tf.identity(visible)
        return visible

    def _draw(self, mean: tf.Tensor, kind: str, step: tf.Tensor, stream: int) -> tf.Tensor:
        shape = [tf.shape(mean)[0], mean.shape[1]]
        if kind == "bernoulli":
            return tf.cast(
                stateless_random.uniform(shape, self.seed, step, stream) < mean, mean.dtype
            )
        return mean + stateless_random.normal(shape, self.seed, step, stream)

    def _watch(self, visible: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tells what says how training goes; returns the running means."""
        free = self.machine.free_energy(visible)
        each = {
            "free_energy": free,
            "reconstruction_error": tf.square(visible - self.reconstruct(visible)),
        }
        if self.pseudo_likelihood:
            each["pseudo_likelihood"] = self._pseudo_likelihood(visible)
        for name, values in each.items():
            mean = tf.reduce_mean(values)
            self.means[name].update_state(mean, sample_weight=batch_size(visible))
        return {name: self.means[name].result() for name in each}

    def _pseudo_likelihood(self, visible: tf.Tensor) -> tf.Tensor:
        """Returns `features` times the log-probability of one unit given the others."""
        features = visible.shape[1]
        # After the streams of the chains.
        share = stateless_random.uniform(
            [batch_size(visible)], self.seed, self.optimizer.iterations, 2 * self.steps
        )
        unit = tf.one_hot(tf.cast(share * features, tf.int32), features)
        binary = tf.round(visible)
        flipped = tf.abs(unit - binary)
        free = self.machine.free_energy(binary)
        return features * tf.math.log_sigmoid(self.machine.free_energy(flipped) - free)

    def _first_states(self, chains: int) -> keras.Variable:
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
        """Returns where all chains are next; each replica moves its share of them."""
        states = tf.convert_to_tensor(self.states)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return self.sample(states, step)
        chains, features = states.shape
        if chains % replicas:
            raise ValueError(f"chains must be a multiple of the {replicas} replicas, not {chains}.")
        context = tf.distribute.get_replica_context()
        shares = tf.reshape(states, [replicas, chains // replicas, features])
        moved = self.sample(shares[context.replica_id_in_sync_group], step)
        # All of them on each: a replica's weight in the gradient goes by its share of the data.
        return context.all_gather(moved, axis=0)
