"""Magnitude pruning while training, on a cubic schedule."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from dlrecipes.layers._arguments import integer, number
from dlrecipes.metrics.weight_sparsity import kernels
from dlrecipes.training._engine.optimizer_step import batch_count
from dlrecipes.training.trainer import Trainer

# Attribute of the model that holds the masks, where `tf.train.Checkpoint` finds them.
ATTRIBUTE = "pruning_masks"


class MagnitudePruning(keras.callbacks.Callback):
    """Sets a growing fraction of each layer's smallest weights to zero while a model is trained.

    At the steps `begin_step`, `begin_step + frequency`, ... and at `end_step`, the weights of each
    kernel with the smallest magnitudes are pruned, so that its fraction of zeros is

        s(t) = s_f + (s_i - s_f) * (1 - (t - begin_step) / (end_step - begin_step))^3

    with the final sparsity s_f and the initial one s_i. It rises quickly at first, while many
    weights are redundant, and slowly at the end. Pruned weights stay zero after every step, with
    any optimizer, momentum, weight decay, moving average of the weights and precision, because the
    masks are part of the training step. Train on after `end_step`, so that the other weights adapt.

    All convolutions and dense layers are pruned, including the output layer, each to the same
    fraction. Depthwise kernels, biases and normalization are not (see `metrics.sparsity`).

    It works with any `keras.Model`, with several steps per execution, and with a `Trainer` under
    `MirroredStrategy` and `MultiWorkerMirroredStrategy`. `Checkpoints` store the masks, so that a
    resumed run ends with the same weights. When training ends, nothing but the zeros remains in
    the model. Choose the best epoch among those at the final sparsity, with
    `Checkpoints(start_from_epoch=...)` and `EarlyStopping(start_from_epoch=...)`.

    Args:
        final_sparsity: Fraction of each kernel that is zero from `end_step` on, in (0, 1).
        begin_step: Number of training steps after which pruning begins. Steps are counted by the
            optimizer, from 0 for a new one.
        end_step: Number of steps after which the final sparsity is reached, above `begin_step`.
        frequency: Number of steps between two prunings. The paper recommends 100 to 1000. Defaults
            to 100.
        initial_sparsity: Fraction of zeros at `begin_step`, in [0, `final_sparsity`]. Defaults to
            0.
        layers: Function that returns whether to prune a layer, such as `lambda layer: layer.name
            != "predictions"`. Defaults to `None`: all convolutions and dense layers.

    Raises:
        ValueError: If an argument is out of bounds. In `fit`: if there is no layer to prune or no
            optimizer, if two callbacks prune the model, or if the optimizer has passed `end_step`
            and the model is not pruned.

    Example:

    >>> import keras
    >>> from dlrecipes.metrics import sparsity
    >>> from dlrecipes.training import MagnitudePruning
    >>> layers = [keras.Input((8,)), keras.layers.Dense(5, name="hidden"), keras.layers.Dense(1)]
    >>> model = keras.Sequential(layers)
    >>> model.compile("adam", "mse")
    >>> x = keras.random.normal((64, 8), seed=1)
    >>> pruning = MagnitudePruning(0.75, begin_step=0, end_step=4, frequency=2)
    >>> history = model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[pruning])
    >>> sparsity(model)["hidden"]
    0.75

    Reference:
        Zhu and Gupta, 2017, "To prune, or not to prune: exploring the efficacy of pruning for model
        compression", equation 1. https://arxiv.org/abs/1710.01878
    """

    def __init__(
        self,
        final_sparsity: float,
        begin_step: int,
        end_step: int,
        frequency: int = 100,
        initial_sparsity: float = 0.0,
        layers: Callable[[keras.layers.Layer], bool] | None = None,
    ):
        super().__init__()
        number("final_sparsity", final_sparsity, "above 0 and below 1", lambda s: 0 < s < 1)
        integer("begin_step", begin_step, least=0)
        integer("end_step", end_step, least=begin_step + 1)
        integer("frequency", frequency)
        number(
            "initial_sparsity",
            initial_sparsity,
            f"at least 0 and at most final_sparsity, {final_sparsity}",
            lambda s: 0 <= s <= final_sparsity,
        )
        if layers is not None and not callable(layers):
            raise ValueError(f"layers must be a function of a layer, not {layers!r}.")
        self.final_sparsity = final_sparsity
        self.begin_step = begin_step
        self.end_step = end_step
        self.frequency = frequency
        self.initial_sparsity = initial_sparsity
        self.layers = layers
        self._is_installed = False

    def sparsity_at(self, step: int) -> float:
        """Returns the fraction of zeros that the schedule gives after a number of steps.

        Args:
            step: Number of steps. Before `begin_step` the fraction is 0.
        """
        if step < self.begin_step:
            return 0.0
        if step < self.end_step:
            step -= (step - self.begin_step) % self.frequency
        return float(self._scheduled(tf.constant(step, tf.int64)))

    def set_model(self, model):
        if self._is_installed and model is self.model:
            return
        super().set_model(model)
        self._kernels = [
            kernel for layer, kernel in kernels(model) if self.layers is None or self.layers(layer)
        ]
        if not self._kernels:
            raise ValueError(f"{model.name} has no convolution or dense layer to prune.")
        if not self._optimizers():
            raise ValueError(f"{model.name} has no optimizer: compile it with one.")
        # Left by a training that raised an error.
        _remove(model)
        with model.distribute_strategy.scope():
            masks = tf.Module()
            masks.masks = [
                tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False)
                for kernel in self._kernels
            ]
        self._masks = masks.masks
        # Restored at once, if the model was restored from a checkpoint with masks.
        setattr(model, ATTRIBUTE, masks)
        self._wrap_train_step()
        self._is_installed = True

    def on_train_begin(self, logs=None):
        if getattr(self.model, ATTRIBUTE).masks is not self._masks:
            raise ValueError("Two callbacks prune the model: give fit one MagnitudePruning.")
        self._is_started = False

    def on_epoch_begin(self, epoch, logs=None):
        # Not before: other callbacks restore weights when training begins.
        if not self._is_started:
            self._is_started = True
            self._start()

    def on_train_end(self, logs=None):
        step = self._step()
        _remove(self.model)
        self._is_installed = False
        if step < self.end_step:
            warnings.warn(
                f"Training ended after {step} steps, before the sparsity {self.final_sparsity:g} "
                f"was reached at end_step={self.end_step}: it is {self.sparsity_at(step):.4g}.",
                stacklevel=2,
            )

    def _step(self) -> int:
        return int(batch_count(self._optimizers()[0]).numpy())

    def _optimizers(self) -> list[keras.optimizers.Optimizer]:
        """Returns the model's optimizers; the first one counts the steps."""
        if isinstance(self.model, Trainer):
            return [optimizer for optimizer, _ in self.model.optimized]
        return [] if self.model.optimizer is None else [self.model.optimizer]

    def _wrap_train_step(self) -> None:
        step = self.model.train_step

        def train_step(data):
            logs = step(data)
            self._prune_if_due()
            self._apply_masks()
            return logs

        self.model.train_step = train_step
        self.model.train_function = None

    def _start(self) -> None:
        """Prunes at step 0, or infers masks that were not restored."""
        step = self._step()
        run = self.model.distribute_strategy.run

        @tf.function
        def prune():
            self._prune(tf.constant(step, tf.int64))
            self._apply_masks()

        @tf.function
        def infer():
            for mask, kernel in self._pairs():
                _assign(mask, tf.not_equal(kernel, 0))

        if step == self.begin_step and self.initial_sparsity > 0:
            run(prune)
        elif step > self.begin_step and self._is_unmasked():
            zeros = sum(int(tf.math.count_nonzero(tf.equal(k, 0))) for k in self._kernels)
            expected = sum(self._count(k, self.sparsity_at(step)) for k in self._kernels)
            if zeros >= expected:
                run(infer)
            elif step >= self.end_step:
                raise ValueError(
                    f"The optimizer is at step {step}, past end_step={self.end_step}, and "
                    f"{self.model.name} is not pruned: compile it again, or choose later steps."
                )

    def _is_unmasked(self) -> bool:
        local = self.model.distribute_strategy.experimental_local_results
        return all(bool(tf.reduce_all(local(mask)[0])) for mask in self._masks)

    def _count(self, kernel: keras.Variable, fraction: float) -> int:
        return int(fraction * tf.size(kernel, tf.int64).numpy() + 0.5)

    def _scheduled(self, step: tf.Tensor) -> tf.Tensor:
        """Returns equation 1, a float64 scalar."""
        progress = tf.cast(step - self.begin_step, tf.float64) / (self.end_step - self.begin_step)
        remaining = (1 - tf.clip_by_value(progress, 0.0, 1.0)) ** 3
        return self.final_sparsity + (self.initial_sparsity - self.final_sparsity) * remaining

    def _prune_if_due(self) -> None:
        step = tf.cast(batch_count(self._optimizers()[0]).value, tf.int64)
        is_regular = (step - self.begin_step) % self.frequency == 0
        is_due = (
            (step >= self.begin_step)
            & (step <= self.end_step)
            & (is_regular | (step == self.end_step))
        )

        def prune():
            self._prune(step)
            return True

        tf.cond(is_due, prune, lambda: False)

    def _prune(self, step: tf.Tensor) -> None:
        fraction = self._scheduled(step)
        for mask, kernel in self._pairs():
            size = tf.size(kernel, tf.int64)
            count = tf.cast(fraction * tf.cast(size, tf.float64) + 0.5, tf.int64)
            # Pruned weights remain the smallest, even if others are zero.
            magnitudes = tf.where(mask, tf.abs(tf.cast(kernel, tf.float32)), -1.0)
            _assign(mask, _keep_largest(magnitudes, count, self.model.jit_compile))

    def _apply_masks(self) -> None:
        """Sets the pruned weights, and their moving averages, to zero."""
        averages = self._moving_averages()
        for mask, kernel in self._pairs():
            variables = [kernel, averages[id(kernel)]] if id(kernel) in averages else [kernel]
            for variable in variables:
                value = tf.convert_to_tensor(variable.value)
                _assign(variable.value, tf.where(mask, value, tf.zeros((), value.dtype)))

    def _moving_averages(self) -> dict[int, keras.Variable]:
        """Returns the optimizers' moving averages of the kernels, which replace them at the end."""
        averages = {}
        for optimizer in self._optimizers():
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)
            if optimizer.use_ema:
                pairs = zip(
                    optimizer._trainable_variables,
                    optimizer._model_variables_moving_average,
                    strict=True,
                )
                averages |= {id(variable): average for variable, average in pairs}
        return averages

    def _pairs(self) -> Iterator[tuple[tf.Variable, keras.Variable]]:
        return zip(self._masks, self._kernels, strict=True)


def _remove(model: keras.Model) -> None:
    """Removes the masks and the training step with them, if there are any."""
    if hasattr(model, ATTRIBUTE):
        delattr(model, ATTRIBUTE)
        del model.train_step
        model.train_function = None


def _keep_largest(values: tf.Tensor, count: tf.Tensor, xla: bool) -> tf.Tensor:
    """Returns where values are not among the `count` smallest; the first of equal ones are kept."""
    flat = tf.reshape(values, [-1])
    kept = tf.size(flat, tf.int64) - count
    last = tf.cast(tf.maximum(count, 1) - 1, tf.int32)
    # Linear time, in place of a sort, for which alone XLA has a kernel.
    threshold = tf.sort(flat)[last] if xla else tf.raw_ops.NthElement(input=flat, n=last)
    is_above, is_equal = flat > threshold, tf.equal(flat, threshold)
    missing = kept - tf.math.count_nonzero(is_above)
    is_first = is_equal & (tf.cumsum(tf.cast(is_equal, tf.int64)) <= missing)
    return tf.reshape((count == 0) | is_above | is_first, tf.shape(values))


def _assign(variable: tf.Variable, value: tf.Tensor) -> None:
    # Replicas hold equal values, and each assigns to its own copy without communication.
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
