"""The base of every trainer: the optimizer's step, the gradient's norm, and several workers."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from dlrecipes.distribute import several_workers
from dlrecipes.layers import FakeQuantize
from dlrecipes.training._engine import optimizer_step, uneven_batches, values
from dlrecipes.training._engine.checks import check_inputs, end_failed_training, plain_errors
from dlrecipes.training._engine.fit_data import (
    as_arrays,
    batch_spec,
    checked_stream,
    without_autotune,
)

# Attribute of the model that holds the ranges of rounded activations, which are not the model's.
ROUNDING_RANGES = "rounding_ranges"


class Trainer(keras.Model):
    """A `keras.Model` whose `train_step` logs `gradient_norm` and runs on several workers.

    The base class of the trainers. A subclass defines the loss in `compute_loss`, or writes its own
    `train_step` with `update`. It lists in `serializable_arguments` the constructor arguments that
    are Keras objects. Clipping is left to the optimizer (`Adam(global_clipnorm=1.0)`); the logged
    norm is the global norm before clipping, which reveals exploding gradients.

    Under `tf.distribute.MirroredStrategy` and `MultiWorkerMirroredStrategy`, a step equals one on a
    single device with the whole batch: a loss is the mean over this replica's examples, and
    `update` takes the mean over the replicas, weighted by their numbers of examples. Two things
    remain local to a replica: dropout, and the statistics with which batch normalization
    normalizes; the moving statistics are the mean over all replicas. Build and compile the model in
    the strategy's scope.

    `Adam` and `AdamW` use TensorFlow's fused update, with Keras' hyperparameters and slots, and are
    several times faster.

    Args:
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Raises:
        TypeError: If the inputs and outputs of a functional model are given, because Keras would
            then make every trainer functional.

    Example:

    >>> import keras
    >>> from dlrecipes.training import Trainer
    >>> class MeanOutput(Trainer):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = keras.layers.Dense(1)
    ...         self.dense.build((None, 2))
    ...         self.built = True
    ...     def call(self, inputs, training=False):
    ...         return self.dense(inputs)
    ...     def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
    ...         return keras.ops.mean(y_pred)
    >>> model = MeanOutput()
    >>> model.compile(keras.optimizers.SGD(0.1))
    >>> sorted(model.fit(keras.ops.ones((4, 2)), verbose=0).history)
    ['gradient_norm', 'loss']

    Reference:
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks", algorithm 1 (clipping by norm). https://arxiv.org/abs/1211.5063
    """

    # Constructor arguments, kept as attributes, that are saved as Keras objects.
    serializable_arguments: ClassVar[tuple[str, ...]] = ()
    # Whether the data of `fit` or `evaluate` are read batch by batch, and the error in a batch.
    _is_stream = False
    _stream_error: Exception | None = None

    def __init__(self, **kwargs):
        if {"inputs", "outputs"} & set(kwargs):
            raise TypeError("A trainer takes a network: SupervisedTrainer(keras.Model(...)).")
        super().__init__(**kwargs)
        self.gradient_norm = keras.metrics.Mean(name="gradient_norm")

    @property
    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """Each optimizer with its variables; trainers with several optimizers override it."""
        return [] if self.optimizer is None else [(self.optimizer, self.trainable_variables)]

    def build_optimizers(self) -> None:
        """Creates the optimizers' slots if they do not exist yet."""
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
        """Updates variables by the gradient of a loss, and returns its global norm before clipping.

        Args:
            optimizer: One of the optimizers in `optimized`.
            tape: Tape that recorded the loss, including `optimizer.scale_loss`.
            loss: Mean over this replica's examples, multiplied by the optimizer's loss scale.
            variables: Variables to update.

        Returns:
            A float32 scalar.
        """
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return optimizer_step.apply(optimizer, gradients, variables)

    def train_step(self, data):
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
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of `compile`: the mean over this replica's examples."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        # Keras divides by the number of replicas and then sums; `update` takes the mean.
        return loss * tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the metrics of `compile`, without `gradient_norm`, which `train_step` adds."""
        logs = super().compute_metrics(x, y, y_pred, sample_weight)
        return {name: value for name, value in logs.items() if name != self.gradient_norm.name}

    def check_batch(self, x, y=None, sample_weight=None) -> None:
        """Raises an error if the data do not fit the network.

        `fit` and `evaluate` call it before any computation, if they are given arrays, tensors or a
        data set. Without it, Keras forgets the sizes of the axes once it has seen two, and
        TensorFlow fails in the middle of a step.

        Args:
            x: Inputs of one batch: a structure of `tf.TensorSpec` with an unknown number of
                examples.
            y: Targets in the same form. Defaults to `None`.
            sample_weight: Sample weights in the same form. Defaults to `None`.

        Raises:
            ValueError: If the data do not fit.
        """
        check_inputs(self._network, x)

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error if values of the data cannot be learned from.

        `fit` and `evaluate` call it once, before any computation: with the whole arrays, or with
        the first batch of a data set, a `PyDataset` or a generator, when it is trained on. By
        default floats must be finite, ids must be within the embedding that reads them, and
        targets within the range of a loss of Keras.

        Args:
            x: Inputs: a structure of arrays or tensors.
            y: Targets in the same form. Defaults to `None`.
            sample_weight: Sample weights in the same form. Defaults to `None`.

        Raises:
            ValueError: If a value is out of range.
        """
        loss = getattr(self, "loss", None)
        values.check_finite("x", x)
        values.check_finite("sample_weight", sample_weight)
        # A loss of the user's own may leave out NaN.
        if not callable(loss) or type(loss).__module__.startswith(("keras", "dlrecipes")):
            values.check_finite("y", y)
        values.check_ids(self._network, x)
        values.check_targets(loss, getattr(self._network, "outputs", None), y, sample_weight)

    def fit(self, *args, **kwargs):
        """Trains as `keras.Model.fit` does, without the delay at its end."""
        arguments = self._checked_arguments(keras.Model.fit, args, kwargs)
        try:
            with self._plain_errors():
                return super().fit(**arguments)
        except BaseException:
            end_failed_training(arguments.get("callbacks"))
            raise

    def evaluate(self, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate` does, without the delay at its end."""
        with self._plain_errors():
            return super().evaluate(**self._checked_arguments(keras.Model.evaluate, args, kwargs))

    def train_on_batch(self, x, y=None, sample_weight=None, **kwargs):
        """Trains on one batch as `keras.Model.train_on_batch` does, after checking it."""
        self._check_data(x, y, sample_weight)
        return super().train_on_batch(x, y, sample_weight, **kwargs)

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Raises the errors of checks as they are, without TensorFlow's stack traces."""
        self._stream_error = None
        try:
            with plain_errors():
                yield
        except tf.errors.OpError:
            if self._stream_error is None:
                raise
            raise self._stream_error from None

    def _checked_arguments(
        self, method: Callable, args: Sequence, kwargs: Mapping
    ) -> dict[str, Any]:
        """Returns the arguments by name, after the data were checked."""
        arguments = inspect.signature(method).bind(self, *args, **kwargs).arguments
        del arguments["self"]
        named = {**arguments.pop("kwargs", {}), **arguments}
        named = {name: without_autotune(value) for name, value in named.items()}
        # `fit` evaluates the same validation data after each epoch.
        repeated = named.get("_use_cached_eval_dataset", False)
        validation = named.get("validation_data")
        if isinstance(validation, tuple | list):
            self._check_data(*keras.utils.unpack_x_y_sample_weight(tuple(validation)))
        elif isinstance(validation, tf.data.Dataset):
            self._check_data(validation)
        parts = [named.get(name) for name in ("x", "y", "sample_weight")]
        self._is_stream = not self._check_data(*parts, repeated=repeated)
        return named

    def _check_data(self, x, y=None, sample_weight=None, repeated: bool = False) -> bool:
        """Checks shapes, and values unless repeated; returns whether the data are arrays."""
        batch = batch_spec(x, y, sample_weight)
        if batch is not None:
            self.check_batch(*batch)
        arrays = as_arrays(x, y, sample_weight)
        if arrays is not None and not repeated:
            values.check_count(x)
            self.check_values(*arrays)
        return arrays is not None

    def _check_stream(self, batch: Any) -> None:
        """Checks the values of a batch, and keeps the error, which TensorFlow converts."""
        try:
            self.check_values(*keras.utils.unpack_x_y_sample_weight(batch))
        except Exception as error:
            self._stream_error = error
            raise

    @property
    def input_signature(self) -> list | None:
        """The signature of `call` for `export`: the inputs of the first serializable argument.

        It is `None` if that network's inputs are unknown, as those of a subclass of `keras.Model`
        are.
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
        """The first of `serializable_arguments`, to which `call` passes its inputs."""
        return getattr(self, next(iter(self.serializable_arguments), ""), None)

    def export(self, filepath, format="tf_saved_model", input_signature=None, **kwargs):
        """Exports as `keras.Model.export` does, by default with the network's own signature."""
        signature = self.input_signature if input_signature is None else input_signature
        if signature is None:
            raise ValueError(
                f"{self.name} does not know its inputs' shapes: export it with "
                "input_signature=[tf.TensorSpec(...)]."
            )
        super().export(filepath, format=format, input_signature=signature, **kwargs)

    def make_train_function(self, force=False):
        """Builds the optimizers, then traces as `keras.Model.make_train_function` does."""
        self.build_optimizers()
        super().make_train_function(force)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was compiled when saved, and builds its optimizers."""
        # Keras leaves this to subclasses that override `compile`.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.build_optimizers()

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        objects = {name: serialize(getattr(self, name)) for name in self.serializable_arguments}
        return {**super().get_config(), **objects}

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        objects = {name: deserialize(config[name]) for name in cls.serializable_arguments}
        return cls(**{**config, **objects})

    def _make_function(self, step_function: Callable[[Any], dict[str, tf.Tensor]]):
        """Weights examples equally on all replicas, and lets Keras reduce the logs of the step."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super()._make_function(step_function)
        training = step_function == self.train_step

        def synchronized(data):
            logs = step_function(data)
            if training:
                self._average_moving_statistics()
            return logs

        step = uneven_batches.weighted_step(synchronized, self._count_variables)
        if several_workers(self.distribute_strategy):
            # Keras takes the mean along an axis.
            return super()._make_function(step)

        def scalars(data):
            return {name: tf.reduce_sum(value) for name, value in step(data).items()}

        return super()._make_function(scalars)

    def _average_moving_statistics(self) -> None:
        """Sets moving statistics and ranges of activations to their mean over all replicas.

        Each replica has its own. A checkpoint stores those of the first one, which alone would not
        represent the training.
        """
        moving = [
            variable.value
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization | FakeQuantize)
            for variable in layer.non_trainable_variables
        ]
        moving += getattr(getattr(self, ROUNDING_RANGES, None), "ranges", [])
        if moving:
            means = uneven_batches.weighted_mean(
                [tf.convert_to_tensor(variable) for variable in moving]
            )
            for variable, mean in zip(moving, means, strict=True):
                variable.assign(mean)

    def _count_variables(self) -> list[keras.Variable]:
        # The norm is taken over all replicas, including those without examples.
        excluded = {id(variable) for variable in self.gradient_norm.variables}
        return [v for v in self.metrics_variables if id(v) not in excluded]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds from one replica's batch; Keras passes those of all replicas, without a shape."""
        is_stream = self._is_stream and not getattr(iterator, "_is_checked", False)
        if iterator is not None:
            # The data set that Keras makes of any data, which is accessible only here.
            iterator._distributed_dataset = without_autotune(iterator._distributed_dataset)
            iterator._is_checked = True
        if self._distribute_strategy is None:
            if iterator is not None and is_stream:
                dataset = iterator._distributed_dataset
                iterator._distributed_dataset = checked_stream(dataset, self._check_stream)
            return
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = next(batches)
        local = self.distribute_strategy.experimental_local_results
        data_batch = tf.nest.map_structure(lambda value: local(value)[0], data_batch)
        if is_stream:
            self._check_stream(data_batch)
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    def _get_metrics_result_or_logs(self, logs):
        """Returns the logs of an epoch, with metrics computed over all replicas."""
        metrics = self.get_metrics_result()
        return {name: metrics.get(name, value) for name, value in logs.items()}


def batch_size(x: Any) -> tf.Tensor:
    """Returns the number of examples in a batch, an int32 scalar.

    Args:
        x: Tensor, or a structure of tensors, with the examples along the first axis.
    """
    return tf.shape(tf.nest.flatten(x)[0])[0]
