"""What the rules that are written out share: chains of layers, and one update an example."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import keras
import tensorflow as tf

from dlrecipes.training._engine import uneven_batches
from dlrecipes.training.trainer import Trainer, batch_size

# A rule takes the weights and one example, its batch axis kept; it returns a gradient for
# each weight, `None` for one that stays, and the example's loss and another number.
Rule = Callable[..., tuple[list[tf.Tensor | None], list[tf.Tensor]]]


class WrittenOut(Trainer):
    """A trainer whose rule has its own loss, and a usual learning rate."""

    default_rate: ClassVar[float]

    @property
    def each_example(self) -> bool:
        """Whether there is an update after each example, by a rate alone."""
        return True

    def compile(self, optimizer=None, loss=None, **kwargs):
        """Configures training.

        Args:
            optimizer: `keras.optimizers.SGD(rate)`, by default with the rule's usual rate; any
                other only where a batch is one update.
            loss: None but the rule's own, which need not be named.
            **kwargs: As `keras.Model.compile` takes them.

        Raises:
            ValueError: If the optimizer does more than the rule, or a loss is given.
        """
        optimizer = keras.optimizers.get(optimizer or keras.optimizers.SGD(self.default_rate))
        if self.each_example:
            plain(optimizer, type(self).__name__)
        if loss is not None:
            raise ValueError(f"{type(self).__name__} has its own loss: compile it without one.")
        # The arithmetic is float32: no loss needs scaling.
        super().compile(optimizer=optimizer, **{**kwargs, "auto_scale_loss": False})

    def compile_from_config(self, config):
        """Compiles as the model was compiled that was saved, with the optimizer's slots."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.build_optimizers()


def chain(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a network, each of which takes what the one before gives.

    Args:
        network: A functional or sequential model whose weights are made.

    Raises:
        ValueError: If the network is no such chain from one input to one output.
    """
    wanted = "must be a functional or sequential model, built, whose layers are one chain"
    if not isinstance(network, keras.Model) or not network.built or not hasattr(network, "inputs"):
        raise ValueError(f"network {wanted}, not {network!r}.")
    layers = [one for one in network.layers if not isinstance(one, keras.layers.InputLayer)]
    tensors = list(network.inputs or [])
    for layer in layers:
        # A layer that is called twice has no one input.
        found = getattr(layer, "input", None)
        if len(tensors) != 1 or found is not tensors[0]:
            raise ValueError(f"network {wanted}; {layer.name} breaks it.")
        tensors = [layer.output]
    if not layers or len(network.outputs) != 1 or network.outputs[0] is not tensors[0]:
        raise ValueError(f"network {wanted}, from one input to one output.")
    return layers


def plain(optimizer: keras.optimizers.Optimizer, what: str) -> None:
    """Refuses what is not gradient descent by its learning rate alone.

    Args:
        optimizer: The optimizer.
        what: The rule that needs it, for the message.

    Raises:
        ValueError: If it is no `keras.optimizers.SGD`, or does more.
    """
    more = ("momentum", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema",
            "loss_scale_factor", "gradient_accumulation_steps")  # fmt: skip
    if type(optimizer) is not keras.optimizers.SGD:
        found = type(optimizer).__name__
    else:
        found = ", ".join(name for name in more if getattr(optimizer, name))
    if found:
        raise ValueError(
            f"{what} updates after each example by a rate alone: "
            f"its optimizer is keras.optimizers.SGD(rate), without {found}."
        )


def in_turn(
    rule: Rule,
    optimizer: keras.optimizers.SGD,
    variables: Sequence[keras.Variable],
    *examples: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Updates variables after each example of a batch, in the batch's order.

    Each update is `-learning_rate * gradient`, and each gradient is that at the weights which
    the update before left. The optimizer counts the batch as one iteration. Under several
    replicas every one goes through the whole batch, those of the first replica first.

    Args:
        rule: Returns the gradients for one example.
        optimizer: Its learning rate is taken.
        variables: What to update.
        *examples: This replica's examples, along the first axis.

    Returns:
        Means over the batch's examples, float32 scalars: what the rule tells, its loss and
        another number, and the gradient's norm.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        context = tf.distribute.get_replica_context()
        # One of zeros stands in for the examples of a replica that has none.
        examples = [
            context.all_gather(part[: uneven_batches.examples()], axis=0) for part in examples
        ]
    count = batch_size(examples)
    rate = tf.convert_to_tensor(optimizer.learning_rate)

    def step(index, values, sums):
        gradients, told = rule(values, *[part[index : index + 1] for part in examples])
        norm = tf.linalg.global_norm(gradients)
        values = [
            value if gradient is None else value - tf.cast(rate, value.dtype) * gradient
            for value, gradient in zip(values, gradients, strict=True)
        ]
        return index + 1, values, sums + tf.stack([tf.cast(n, sums.dtype) for n in (*told, norm)])

    start = [tf.zeros((), count.dtype), [tf.identity(v.value) for v in variables], tf.zeros(3)]
    _, values, sums = tf.while_loop(lambda index, *_: index < count, step, start)
    for variable, value in zip(variables, values, strict=True):
        if variable.trainable:
            variable.assign(value)
    optimizer.iterations.assign_add(1)
    return tuple(tf.unstack(sums / tf.cast(count, sums.dtype)))


def examples_of(data, outputs: int, dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the inputs of a batch, and its targets of shape `(batch, outputs)`.

    Raises:
        ValueError: If there are sample weights or no targets, or the targets do not fit.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is None or sample_weight is not None:
        raise ValueError("The rule takes inputs and targets, and no sample weights.")
    x = tf.convert_to_tensor(x)
    return tf.cast(x, dtype), targets(y, outputs, dtype)


def targets(y: tf.Tensor, outputs: int, dtype: str) -> tf.Tensor:
    """Returns targets of shape `(batch, outputs)`; where there is one, `(batch,)` will do.

    Raises:
        ValueError: If they are of another shape, which would be spread over the outputs.
    """
    y = tf.cast(tf.convert_to_tensor(y), dtype)
    if y.shape.rank == 1 and outputs == 1:
        y = y[:, tf.newaxis]
    if y.shape.rank != 2 or y.shape[1] != outputs:
        raise ValueError(f"Targets must be of shape (batch, {outputs}), not {tuple(y.shape)}.")
    return y
