"""Back-propagation through time over the chunks of long sequences."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import chunks
from dlrecipes.training._engine.checks import refuse_unbuilt, refuse_unless
from dlrecipes.training.carried_state import CarriedState, States
from dlrecipes.training.trainer import Trainer, batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class TruncatedBPTT(Trainer):
    """Trains a recurrent network on long sequences, a chunk of time at a time.

    Each sequence is cut into chunks of `window` steps, the last perhaps shorter. Each chunk is
    one update of the optimizer, by the mean loss over it that `compile` names. The states after
    a chunk are the next chunk's first, the gradient ends at the chunk's edge. Memory does not
    grow with the length, and the weights move often.

    A batch begins with the network's own initial states (which are not trained), or with
    `streams` where the batch before ended: batches are then consecutive pieces of that many
    endless texts, as `data.streams` cuts them. That state is zero again at the beginning of
    each epoch and of each evaluation, and so needs no place in a checkpoint.

    Logs: `loss`, the mean over all steps; `gradient_norm`, the mean over the chunks before
    clipping; and, where the optimizer has a `global_clipnorm`, `clipped`, the share of the
    chunks whose norm was above it. Metrics of `compile` count each chunk once, a shorter one, too.
    Under several replicas a batch's length must be known.

    Args:
        network: Model whose weights are made, with an output for each step and recurrent
            layers of any depth that read forwards; Keras' or of this package.
        window: Steps of a chunk, at least 1; up to 40 are fastest.
        streams: Examples of every batch, over all replicas, that go on where those of the batch
            before ended; `None` where each batch is of new sequences.

    Call arguments:
        inputs: What the network takes, each of shape `(batch, time, ...)`.
        training: Whether dropout and the like are on.

    Returns:
        The network's outputs.

    Raises:
        ValueError: If an argument is out of its bounds, or the network has no weights, no
            recurrent layer, one that reads from the end, or no output a step; and in training
            if inputs, targets and sample weights have not the same time.

    Example:

    >>> x = keras.Input((None, 2))
    >>> hidden = keras.layers.LSTM(4, return_sequences=True)(x)
    >>> model = TruncatedBPTT(keras.Model(x, keras.layers.Dense(1)(hidden)), window=8)
    >>> model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), "mse")
    >>> x, y = keras.ops.ones((4, 20, 2)), keras.ops.ones((4, 20, 1))
    >>> history = model.fit(x, y, verbose=0).history
    >>> sorted(history), int(model.optimizer.iterations)
    (['clipped', 'gradient_norm', 'loss'], 3)

    Reference:
        Williams and Peng, 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories" (truncation; here the chunks do not overlap).
        Mikolov, 2012, "Statistical language models based on neural networks", section 3.3.
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent
        neural networks", algorithm 1 (clipping).
    """

    serializable_arguments = ("network",)

    def __init__(self, network: keras.Model, window: int, streams: int | None = None, **kwargs):
        super().__init__(**kwargs)
        integer("window", window)
        if streams is not None:
            integer("streams", streams)
        refuse_unbuilt(network)
        _check_time(network)
        self.network = network
        self.window = window
        self.streams = streams
        self.recurrence = CarriedState(network)
        self.clipped = keras.metrics.Mean(name="clipped")
        self.carried = [] if streams is None else self._make_carried(streams)
        self.built = True

    def call(self, inputs, training=False):
        """Returns the network's outputs."""
        return self.network(inputs, training=training)

    def train_step(self, data):
        """Returns the metrics after an optimizer step on each chunk of a batch."""
        data = keras.utils.unpack_x_y_sample_weight(data)
        self._keep(chunks.each(self._chunk_step, data, self.window, self._first_states(data[0])))
        logs = self.get_metrics_result()
        if self._limit() is None:
            logs.pop(self.clipped.name)
        return logs

    def test_step(self, data):
        """Returns the metrics of one batch, which is not cut."""
        if self.streams is None:
            return super().test_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred, states = self.recurrence(x, self._first_states(x), training=False)
        self._keep(states)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the running metrics that `compile` names."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.clipped.name}

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses data that the network does not read, or whose times differ."""
        super().check_batch(x, y, sample_weight)
        chunks.length((x, y, sample_weight))

    def reset_states(self) -> None:
        """Has the next batch begin anew; does nothing without `streams`."""
        if self.streams is not None:
            flat = tf.nest.flatten(self.recurrence.initial(self.streams))
            for variable, value in zip(self.carried, flat, strict=True):
                variable.assign(keras.ops.cast(value, variable.dtype))

    def reset_metrics(self):
        """Begins an epoch or an evaluation: Keras calls it there; the streams begin, too."""
        super().reset_metrics()
        self.reset_states()

    def fit(self, *args, **kwargs):
        """As `keras.Model.fit`; with `streams` the batches of arrays must keep their order."""
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        arrays = any(hasattr(part, "__array__") for part in tf.nest.flatten(given.get("x")))
        if self.streams is not None and arrays and given.get("shuffle", True):
            raise ValueError("Streams go on from batch to batch: fit needs shuffle=False.")
        return super().fit(*args, **kwargs)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "window": self.window, "streams": self.streams}

    def _chunk_step(self, data: tuple[Any, Any, Any], states: States) -> States:
        """Updates the weights once; returns the states after the chunk."""
        x, y, sample_weight = data
        with tf.GradientTape() as tape:
            y_pred, states = self.recurrence(x, states, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, self.trainable_variables)
        steps = tf.shape(tf.nest.flatten(x)[0])[1]
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x) * steps)
        self.compute_metrics(x, y, y_pred, sample_weight)
        self.gradient_norm.update_state(norm)
        if self._limit() is not None:
            self.clipped.update_state(norm > self._limit())
        return states

    def _limit(self) -> float | None:
        """Returns the norm to which the optimizer clips."""
        return getattr(self.optimizer, "inner_optimizer", self.optimizer).global_clipnorm

    def _make_carried(self, streams: int) -> list[keras.Variable]:
        return [
            self.add_weight(
                shape=state.shape,
                initializer="zeros",
                trainable=False,
                # Every replica computes the states of all streams, alike.
                aggregation="only_first_replica",
                name=f"carried_{number}",
            )
            for number, state in enumerate(tf.nest.flatten(self.recurrence.initial(streams)))
        ]

    def _first_states(self, x: Any) -> States:
        rows = tf.nest.flatten(x)[0].shape[0]
        here = batch_size(x) if rows is None else rows
        initial = self.recurrence.initial(here)
        if self.streams is None:
            return initial
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        message = f"Every batch must have as many examples as there are streams: {self.streams}."
        if rows is None:
            checked = refuse_unless(here * replicas == self.streams, message)
            # Before the states, which would not fit, are kept.
            with tf.control_dependencies([checked] if checked is not None else []):
                here = tf.identity(here)
        elif rows * replicas != self.streams:
            raise ValueError(f"{message} One has {rows * replicas}.")
        # The states of this replica's streams.
        first = 0
        if replicas > 1:
            first = here * tf.distribute.get_replica_context().replica_id_in_sync_group

        def mine(variable, state):
            rows = tf.convert_to_tensor(variable.value)[first : first + here]
            return tf.cast(tf.ensure_shape(rows, state.shape), state.dtype)

        flat = map(mine, self.carried, tf.nest.flatten(initial))
        return tf.nest.pack_sequence_as(initial, list(flat))

    def _keep(self, states: States) -> None:
        if self.streams is None:
            return
        flat = tf.nest.flatten(states)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            flat = [context.all_gather(state, axis=0) for state in flat]
        for variable, state in zip(self.carried, flat, strict=True):
            variable.assign(tf.cast(state, variable.dtype))


def _check_time(network: keras.Model) -> None:
    """Refuses a functional network that is not one from each step to each step."""
    for kind in ("inputs", "outputs"):
        for tensor in getattr(network, kind, None) or ():
            if len(tensor.shape) < 2 or tensor.shape[1] is not None:
                raise ValueError(
                    f"{network.name} must have {kind} of shape (batch, time, ...), the time "
                    f"unknown, as of keras.Input((None, ...)) and return_sequences=True, "
                    f"not {tuple(tensor.shape)}."
                )
