"""What every training loop shares: the optimizer's step, its norm, and several workers."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from dlrecipes.distribute import several_workers
from dlrecipes.training._engine import optimizer_step, uneven_batches
from dlrecipes.training._engine.checks import check_inputs, plain_errors


class Trainer(keras.Model):
    """A `keras.Model` whose `train_step` logs `gradient_norm` and runs on several workers.

    The base of the trainers. A subclass says what the loss is, in `compute_loss`, or writes its
    own `train_step` with `update`; it names the arguments of its constructor that are Keras
    objects in `serializable_arguments`. Clipping is the optimizer's own
    (`Adam(global_clipnorm=1.0)`); the logged norm is the global one before clipping, which shows
    exploding gradients.

    Under `tf.distribute.MirroredStrategy` and `MultiWorkerMirroredStrategy`, a step is that of
    one process on the whole batch: a loss is the mean over this replica's examples, and `update`
    takes the mean over the replicas, by how many examples each has. Only dropout is drawn, and
    batch normalisation's statistics taken, by each replica for itself; the moving statistics are
    the mean of all. Build and compile the model in the strategy's scope. `Adam` and `AdamW` take
    TensorFlow's fused update: with Keras' optimizer, hyperparameters and slots, several times
    faster.

    Raises:
        TypeError: If it is given the inputs and outputs of a functional model: Keras would then
            make every trainer one.

    Reference:
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent
        neural networks", algorithm 1 (clipping by norm).
    """

    # Arguments of the constructor, kept as attributes, that are saved as Keras saves objects.
    serializable_arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs):
        if {"inputs", "outputs"} & set(kwargs):
            raise TypeError("A trainer is given a network: SupervisedTrainer(keras.Model(...)).")
        super().__init__(**kwargs)
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")

    @property
    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """Each optimizer with the variables that it updates; trainers with several extend it."""
        return [] if self.optimizer is None else [(self.optimizer, self.trainable_variables)]

    def build_optimizers(self) -> None:
        """Makes the optimizers' slots where they are not made yet."""
        with self.distribute_strategy.scope():
            for optimizer, variables in self.optimized:
                if not optimizer.built:
                    optimizer.build(variables)

    def update(
        self,
        optimizer: keras.optimizers.Optimizer,
        tape: tf.GradientTape,
        loss: tf.Tensor,
        variables: Sequence[keras.Variable],
    ) -> tf.Tensor:
        """Updates variables by the gradient of a loss; returns its global norm before clipping.

        Args:
            optimizer: One of `optimized`.
            tape: Watched how the loss was computed, `optimizer.scale_loss` included.
            loss: Mean over this replica's examples, times the optimizer's loss scale.
            variables: What to update.
        """
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return optimizer_step.apply(optimizer, gradients, variables)

    def train_step(self, data):
        """Returns the metrics of one optimizer step on one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        norm = self.update(self.optimizer, tape, scaled, self.trainable_variables)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        logs = self.compute_metrics(x, y, y_pred, sample_weight)
        self.gradient_norm.update_state(norm)
        return {**logs, "gradient_norm": self.gradient_norm.result()}

    def test_step(self, data):
        """Returns the metrics of one batch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns what `compile` says: the mean over this replica's examples."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        # Keras divides by the number of replicas, over which it sums; here the mean is taken.
        return loss * tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the running metrics that `compile` names; `gradient_norm` is added after."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.gradient_norm.name}

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Refuses data that cannot be trained on: inputs of other shapes than the network reads.

        `fit` and `evaluate` ask it before anything is computed, where arrays, tensors or a data
        set were given: Keras forgets the axes' sizes once it has seen two, and TensorFlow then
        fails in the middle of a step.

        Args:
            x: Like one batch: a structure of `tf.TensorSpec`, the number of examples unknown.
            y: Likewise; `None` where there are no targets.
            sample_weight: Likewise.

        Raises:
            ValueError: If the data do not fit.
        """
        check_inputs(self._network, x)

    def fit(self, *args, **kwargs):
        """As `keras.Model.fit`, without its stall at the end."""
        with plain_errors():
            return super().fit(**self._checked(keras.Model.fit, args, kwargs))

    def evaluate(self, *args, **kwargs):
        """As `keras.Model.evaluate`, without its stall at the end."""
        with plain_errors():
            return super().evaluate(**self._checked(keras.Model.evaluate, args, kwargs))

    def _checked(self, method: Callable, args: Sequence, kwargs: Mapping) -> dict[str, Any]:
        """Returns the arguments by name, once `check_batch` let the data pass."""
        given = inspect.signature(method).bind(self, *args, **kwargs).arguments
        del given["self"]
        named = {**given.pop("kwargs", {}), **given}
        parts = [named.get(name) for name in ("x", "y", "sample_weight")]
        batch = batch_spec(*parts)
        if batch is not None:
            self.check_batch(*batch)
        return {name: _without_autotune(value) for name, value in named.items()}

    @property
    def input_signature(self) -> list | None:
        """Inputs of `call`, as `export` expects them: those of the first serializable argument.

        `None` where that network does not tell them: one written as a class.
        """
        network = self._network
        if not getattr(network, "inputs", None):
            return None
        inputs = network.inputs[0] if isinstance(network, keras.Sequential) else network.input
        return [
            keras.tree.map_structure(
                lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype, name=x.name), inputs
            )
        ]

    @property
    def _network(self) -> Any:
        """The first of `serializable_arguments`: what `call` gives its inputs to."""
        return getattr(self, next(iter(self.serializable_arguments), ""), None)

    def export(self, filepath, format="tf_saved_model", input_signature=None, **kwargs):
        """As `keras.Model.export`, which asks for a signature that a trainer's network tells."""
        signature = self.input_signature if input_signature is None else input_signature
        if signature is None:
            raise ValueError(
                f"{self.name} does not know its inputs' shapes: export it with "
                "input_signature=[tf.TensorSpec(...)]."
            )
        super().export(filepath, format=format, input_signature=signature, **kwargs)

    def make_train_function(self, force=False):
        """As `keras.Model.make_train_function`; the optimizers are built before it is traced."""
        self.build_optimizers()
        super().make_train_function(force)

    def compile_from_config(self, config):
        """Compiles as the model was compiled that was saved, with the optimizers' slots."""
        # Keras leaves that to a subclass whose `compile` is its own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.build_optimizers()

    def get_config(self):
        """Returns the constructor's arguments: here, those that `serializable_arguments` names."""
        serialize = keras.saving.serialize_keras_object
        objects = {name: serialize(getattr(self, name)) for name in self.serializable_arguments}
        return {**super().get_config(), **objects}

    @classmethod
    def from_config(cls, config):
        """Returns the trainer that `get_config` described."""
        deserialize = keras.saving.deserialize_keras_object
        objects = {name: deserialize(config[name]) for name in cls.serializable_arguments}
        return cls(**{**config, **objects})

    def _make_function(self, step_function: Callable[[Any], dict[str, tf.Tensor]]):
        """Has each example count alike on all replicas, and Keras reduce the step's logs."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super()._make_function(step_function)
        training = step_function == self.train_step

        def shared(data):
            logs = step_function(data)
            if training:
                self._share_statistics()
            return logs

        step = uneven_batches.weighted_step(shared, self._counts)
        if several_workers(self.distribute_strategy):
            # Keras wants an axis to take the mean along.
            return super()._make_function(step)

        def scalars(data):
            return {name: tf.reduce_sum(value) for name, value in step(data).items()}

        return super()._make_function(scalars)

    def _share_statistics(self) -> None:
        """Gives batch normalisation the mean of all replicas' moving statistics: each has its own.

        Without it a checkpoint, which keeps the first replica's, would not be what trained.
        """
        moving = [
            variable
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
            for variable in layer.non_trainable_variables
        ]
        if moving:
            means = uneven_batches.weighted_mean(
                [tf.convert_to_tensor(variable.value) for variable in moving]
            )
            for variable, mean in zip(moving, means, strict=True):
                variable.assign(mean)

    def _counts(self) -> list[keras.Variable]:
        # The norm is that of all replicas: one without examples counts it too.
        same = {id(variable) for variable in self.gradient_norm.variables}
        return [v for v in self.metrics_variables if id(v) not in same]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds from a batch of one replica: Keras passes on one of all, which has no shape."""
        if iterator is not None:
            # The data set that Keras makes of arrays: `fit` and `evaluate` show it only here.
            iterator._distributed_dataset = _without_autotune(iterator._distributed_dataset)
        if self._distribute_strategy is None:
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = next(batches)
        local = self.distribute_strategy.experimental_local_results
        with self.distribute_strategy.scope():
            self._symbolic_build(
                data_batch=tf.nest.map_structure(lambda value: local(value)[0], data_batch)
            )

    def _get_metrics_result_or_logs(self, logs):
        """Returns the logs of an epoch; those that are metrics, over all replicas."""
        metrics = self.get_metrics_result()
        return {name: metrics.get(name, value) for name, value in logs.items()}


def batch_size(x: Any) -> tf.Tensor:
    """Returns how many examples a batch has, an int32 scalar.

    Args:
        x: Tensor, or a structure of tensors, with the examples along the first axis.
    """
    return tf.shape(tf.nest.flatten(x)[0])[0]


def batch_spec(x: Any, y: Any = None, sample_weight: Any = None) -> tuple | None:
    """Returns `(x, y, sample_weight)` of one batch as specs; `None` where nothing tells them.

    Args:
        x: What `fit` was given: arrays, tensors or a data set.
        y: Likewise.
        sample_weight: Likewise.
    """
    if isinstance(x, tf.data.Dataset):
        return keras.utils.unpack_x_y_sample_weight(x.element_spec)
    parts = (x, y, sample_weight)
    if not all(hasattr(leaf, "shape") for leaf in tf.nest.flatten(parts) if leaf is not None):
        return None

    def spec(leaf: Any) -> tf.TensorSpec | None:
        if leaf is None:
            return None
        text = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSU"
        dtype = tf.string if text else keras.backend.standardize_dtype(leaf.dtype)
        return tf.TensorSpec([None, *leaf.shape[1:]], dtype)

    return tf.nest.map_structure(spec, parts)


def _without_autotune(value: Any) -> Any:
    """Returns a data set that TensorFlow does not tune: that ends with seconds of waiting."""
    if not isinstance(value, tf.data.Dataset):
        return value
    options = tf.data.Options()
    options.autotune.enabled = False
    return value.with_options(options)
