"""Back-propagation through time over the chunks of long sequences."""

import inspect
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer
from dlrecipes.training._engine import chunks
from dlrecipes.training._engine.checks import check_built, runtime_check
from dlrecipes.training.carried_state import CarriedState, States
from dlrecipes.training.trainer import Trainer, batch_size


@keras.saving.register_keras_serializable(package="dlrecipes")
class TruncatedBPTT(Trainer):
    """Trains a recurrent network on long sequences, one chunk of time at a time.

    Each sequence is cut into chunks of `window` steps; the last one may be shorter. Each chunk is
    one update of the optimizer, by the mean of the loss over the chunk. The states after a chunk
    are the initial states of the next one, and the gradient ends at the chunk's edge. Memory does
    not grow with the length of the sequences, and the weights are updated often.

    A batch begins with the network's own initial states, which are not trained. With `streams` it
    begins with the states at the end of the previous batch: batches are then consecutive parts of
    that many endless texts, as cut by `data.streams`. These states are reset at the start of
    each epoch and of each evaluation, and therefore need no place in a checkpoint.

    It logs `loss`, the mean over all steps; `gradient_norm`, the mean over the chunks before
    clipping; and, if the optimizer has a `global_clipnorm`, `clipped`, the fraction of the chunks
    whose norm was above it. Metrics of `compile` weight all chunks equally, including shorter ones.
    Under several replicas a batch's length must be known.

    Args:
        network: Built model with an output per step and any number of recurrent
            layers that read forwards, of Keras or of this package.
        window: Steps per chunk, at least 1; up to 40 are fastest.
        streams: Number of examples in every batch, over all replicas, that continue those of the
            previous batch; `None` if each batch has new sequences. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: Inputs of the network, each of shape `(batch, time, ...)`.
        training: Whether layers such as dropout are in training mode. Defaults to `False`.

    Returns:
        The network's outputs.

    Raises:
        ValueError: If an argument is out of bounds, or if the network has no weights, no recurrent
            layer, a layer that reads from the end, or no output per step. In training: if inputs,
            targets and sample weights differ in length.

    Example:

    >>> import keras
    >>> from dlrecipes.training import TruncatedBPTT
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
        https://doi.org/10.1162/neco.1990.2.4.490
        Mikolov, 2012, "Statistical language models based on neural networks", section 3.3.
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks", algorithm 1 (clipping). https://arxiv.org/abs/1211.5063
    """

    serializable_arguments = ("network",)

    def __init__(self, network: keras.Model, window: int, streams: int | None = None, **kwargs):
        super().__init__(**kwargs)
        integer("window", window)
        if streams is not None:
            integer("streams", streams)
        check_built(network)
        _check_time_axis(network)
        self.network = network
        self.window = window
        self.streams = streams
        self.recurrence = CarriedState(network)
        self.clipped = keras.metrics.Mean(name="clipped")
        self.carried = [] if streams is None else self._carried_variables(streams)
        self.built = True

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def train_step(self, data):
        data = keras.utils.unpack_x_y_sample_weight(data)
        self._store_states(
            chunks.each(self._chunk_step, data, self.window, self._initial_states(data[0]))
        )
        logs = self.get_metrics_result()
        if self._clip_norm() is None:
            logs.pop(self.clipped.name)
        return logs

    def test_step(self, data):
        if self.streams is None:
            return super().test_step(data)
        # Evaluation does not cut the batch.
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred, states = self.recurrence(x, self._initial_states(x), training=False)
        self._store_states(states)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the metrics of `compile`."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.clipped.name}

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error if the data do not fit the network, or differ in length."""
        super().check_batch(x, y, sample_weight)
        chunks.length((x, y, sample_weight))

    def reset_states(self) -> None:
        """Makes the next batch begin with the initial states; does nothing without `streams`."""
        if self.streams is not None:
            flat = tf.nest.flatten(self.recurrence.initial(self.streams))
            for variable, value in zip(self.carried, flat, strict=True):
                variable.assign(keras.ops.cast(value, variable.dtype))

    def reset_metrics(self):
        """Resets the metrics and the states, as Keras does before each epoch and evaluation."""
        super().reset_metrics()
        self.reset_states()

    def fit(self, *args, **kwargs):
        """Trains as `keras.Model.fit` does; with `streams`, arrays must not be shuffled.

        Raises:
            ValueError: If arrays are to be shuffled although there are `streams`.
        """
        arguments = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        arrays = any(hasattr(part, "__array__") for part in tf.nest.flatten(arguments.get("x")))
        if self.streams is not None and arrays and arguments.get("shuffle", True):
            raise ValueError("Streams continue from batch to batch: fit needs shuffle=False.")
        return super().fit(*args, **kwargs)

    def get_config(self):
        return {**super().get_config(), "window": self.window, "streams": self.streams}

    def _chunk_step(self, data: tuple[Any, Any, Any], states: States) -> States:
        """Updates the weights once, and returns the states after the chunk."""
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
        if self._clip_norm() is not None:
            self.clipped.update_state(norm > self._clip_norm())
        return states

    def _clip_norm(self) -> float | None:
        """Returns the norm above which the optimizer clips."""
        return getattr(self.optimizer, "inner_optimizer", self.optimizer).global_clipnorm

    def _carried_variables(self, streams: int) -> list[keras.Variable]:
        return [
            self.add_weight(
                shape=state.shape,
                initializer="zeros",
                trainable=False,
                # Every replica computes the same states, those of all streams.
                aggregation="only_first_replica",
                name=f"carried_{number}",
            )
            for number, state in enumerate(tf.nest.flatten(self.recurrence.initial(streams)))
        ]

    def _initial_states(self, x: Any) -> States:
        rows = tf.nest.flatten(x)[0].shape[0]
        here = batch_size(x) if rows is None else rows
        initial = self.recurrence.initial(here)
        if self.streams is None:
            return initial
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        message = f"Every batch must have as many examples as there are streams: {self.streams}."
        if rows is None:
            checked = runtime_check(here * replicas == self.streams, message)
            # Checked before states of another shape are stored.
            with tf.control_dependencies([checked] if checked is not None else []):
                here = tf.identity(here)
        elif rows * replicas != self.streams:
            raise ValueError(f"{message} One has {rows * replicas}.")
        # The states of this replica's streams.
        first = 0
        if replicas > 1:
            first = here * tf.distribute.get_replica_context().replica_id_in_sync_group

        def own_rows(variable, state):
            rows = tf.convert_to_tensor(variable.value)[first : first + here]
            return tf.cast(tf.ensure_shape(rows, state.shape), state.dtype)

        flat = map(own_rows, self.carried, tf.nest.flatten(initial))
        return tf.nest.pack_sequence_as(initial, list(flat))

    def _store_states(self, states: States) -> None:
        if self.streams is None:
            return
        flat = tf.nest.flatten(states)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            flat = [context.all_gather(state, axis=0) for state in flat]
        for variable, state in zip(self.carried, flat, strict=True):
            variable.assign(tf.cast(state, variable.dtype))


def _check_time_axis(network: keras.Model) -> None:
    """Raises an error if a functional network does not map each step to an output."""
    for kind in ("inputs", "outputs"):
        for tensor in getattr(network, kind, None) or ():
            if len(tensor.shape) < 2 or tensor.shape[1] is not None:
                raise ValueError(
                    f"{network.name} must have {kind} of shape (batch, time, ...), the time "
                    f"unknown, as of keras.Input((None, ...)) and return_sequences=True, "
                    f"not {tuple(tensor.shape)}."
                )
