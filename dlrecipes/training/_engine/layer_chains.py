"""Shared by the explicit learning rules: chains of layers, and one update per example."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from dlrecipes.training._engine import uneven_batches
from dlrecipes.training.trainer import Trainer, batch_size

# A rule takes the weights and one example with its batch axis. It returns a gradient for each
# weight (`None` leaves the weight unchanged), the example's loss and one more number.
Rule = Callable[..., tuple[list[tf.Tensor | None], list[tf.Tensor]]]


class ExplicitRule(Trainer):
    """Base of trainers with an explicit learning rule, its own loss and a default rate."""

    default_rate: ClassVar[float]

    @property
    def each_example(self) -> bool:
        """Whether the weights are updated after each example, by a learning rate alone."""
        return True

    def compile(self, optimizer=None, loss=None, **kwargs):
        """Configures training.

        Args:
            optimizer: `keras.optimizers.SGD(rate)`; any other optimizer only if each batch is one
                update. Defaults to SGD with the rule's default rate.
            loss: Must be `None`, because the rule defines its own loss.
            **kwargs: Other keyword arguments of `keras.Model.compile`.

        Raises:
            ValueError: If the optimizer does more than the rule allows, or if a loss is given.
        """
        optimizer = keras.optimizers.get(optimizer or keras.optimizers.SGD(self.default_rate))
        if self.each_example:
            check_plain_sgd(optimizer, type(self).__name__)
        if loss is not None:
            raise ValueError(f"{type(self).__name__} has its own loss: compile it without one.")
        # The arithmetic is float32, so the loss needs no scaling.
        super().compile(optimizer=optimizer, **{**kwargs, "auto_scale_loss": False})

    def compile_from_config(self, config):
        """Compiles a loaded model as it was compiled when saved, and builds its optimizer."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.build_optimizers()


def chain(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a network in which each layer reads the previous layer's output.

    Args:
        network: Built functional or sequential model.

    Raises:
        ValueError: If the layers do not form a chain from one input to one output.
    """
    rule = "must be a functional or sequential model, built, whose layers are one chain"
    if not isinstance(network, keras.Model) or not network.built or not hasattr(network, "inputs"):
        raise ValueError(f"network {rule}, not {network!r}.")
    layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    tensors = list(network.inputs or [])
    for layer in layers:
        # A layer that is called twice has no single input.
        if len(tensors) != 1 or getattr(layer, "input", None) is not tensors[0]:
            raise ValueError(f"network {rule}; {layer.name} breaks it.")
        tensors = [layer.output]
    if not layers or len(network.outputs) != 1 or network.outputs[0] is not tensors[0]:
        raise ValueError(f"network {rule}, from one input to one output.")
    return layers


def check_plain_sgd(optimizer: keras.optimizers.Optimizer, rule: str) -> None:
    """Raises an error unless an optimizer is SGD with a learning rate and nothing else.

    Args:
        optimizer: The optimizer.
        rule: Name of the learning rule, for the message.

    Raises:
        ValueError: If it is not a `keras.optimizers.SGD`, or if it has further options.
    """
    options = ("momentum", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema",
               "loss_scale_factor", "gradient_accumulation_steps")  # fmt: skip
    if type(optimizer) is not keras.optimizers.SGD:
        extra = type(optimizer).__name__
    else:
        extra = ", ".join(name for name in options if getattr(optimizer, name))
    if extra:
        raise ValueError(
            f"{rule} updates after each example with a learning rate alone: "
            f"its optimizer must be keras.optimizers.SGD(rate), without {extra}."
        )


def update_per_example(
    rule: Rule,
    optimizer: keras.optimizers.SGD,
    variables: Sequence[keras.Variable],
    *examples: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Updates variables after each example of a batch, in the batch's order.

    Each update is `-learning_rate * gradient`, with the gradient at the weights that the previous
    update left. The optimizer counts the batch as one iteration. Under several replicas, each
    replica processes the whole batch, in the order of the replicas.

    Args:
        rule: Function that returns the gradients for one example.
        optimizer: Optimizer whose learning rate is used.
        variables: Variables to update.
        *examples: This replica's examples, along the first axis.

    Returns:
        Means over the batch's examples, as float32 scalars: the rule's loss, its other number, and
        the norm of the gradient.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        context = tf.distribute.get_replica_context()
        # A replica without examples was given one of zeros, which is left out here.
        examples = [
            context.all_gather(part[: uneven_batches.examples()], axis=0) for part in examples
        ]
    count = batch_size(examples)
    rate = tf.convert_to_tensor(optimizer.learning_rate)

    def step(index, values, sums):
        gradients, numbers = rule(values, *[part[index : index + 1] for part in examples])
        norm = tf.linalg.global_norm(gradients)
        values = [
            value if gradient is None else value - tf.cast(rate, value.dtype) * gradient
            for value, gradient in zip(values, gradients, strict=True)
        ]
        totals = tf.stack([tf.cast(n, sums.dtype) for n in (*numbers, norm)])
        return index + 1, values, sums + totals

    start = [tf.zeros((), count.dtype), [tf.identity(v.value) for v in variables], tf.zeros(3)]
    _, values, sums = tf.while_loop(lambda index, *_: index < count, step, start)
    for variable, value in zip(variables, values, strict=True):
        if variable.trainable:
            variable.assign(value)
    optimizer.iterations.assign_add(1)
    return tuple(tf.unstack(sums / tf.cast(count, sums.dtype)))


def unpack_examples(data, outputs: int, dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the inputs of a batch, and its targets with shape `(batch, outputs)`.

    Raises:
        ValueError: If there are sample weights or no targets, or if the targets have
            another shape.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is None or sample_weight is not None:
        raise ValueError("The rule takes inputs and targets, and no sample weights.")
    x = tf.convert_to_tensor(x)
    return tf.cast(x, dtype), format_targets(y, outputs, dtype)


def format_targets(y: tf.Tensor, outputs: int, dtype: str) -> tf.Tensor:
    """Returns targets with shape `(batch, outputs)`; for one output, `(batch,)` is accepted.

    Raises:
        ValueError: If they have another shape, which would be broadcast over the outputs.
    """
    y = tf.cast(tf.convert_to_tensor(y), dtype)
    if y.shape.rank == 1 and outputs == 1:
        y = y[:, tf.newaxis]
    if y.shape.rank != 2 or y.shape[1] != outputs:
        raise ValueError(f"Targets must be of shape (batch, {outputs}), not {tuple(y.shape)}.")
    return y
