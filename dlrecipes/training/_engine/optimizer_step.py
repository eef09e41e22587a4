"""One step of an optimizer over all replicas, which returns the gradient's norm."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from dlrecipes.training._engine import uneven_batches

# TensorFlow has one fused operation per variable for these. Keras' own update takes a dozen
# operations, each of which reads and writes the whole variable. Subclasses are left to Keras,
# because they may override any part of the update.
FUSED = (keras.optimizers.Adam, keras.optimizers.AdamW)


def apply(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
) -> tf.Tensor:
    """Updates variables as `optimizer.apply` does, and returns the gradient's norm.

    Under a `tf.distribute` strategy, call it in replica context with the gradient of the mean loss
    over this replica's examples. It applies, clips and returns the mean over the examples of all
    replicas, so that a step equals one on a single device with the whole batch. (Keras clips on
    each replica, before it sums.) `Adam` and `AdamW` use TensorFlow's fused operation: the same
    update up to rounding.

    Args:
        optimizer: Optimizer, built on `variables` and perhaps others.
        gradients: A gradient for each variable, multiplied by the optimizer's loss scale; `None`
            for a variable that the loss does not depend on.
        variables: Variables to update.

    Returns:
        The global norm of the gradient before clipping, a float32 scalar.

    Raises:
        ValueError: If no gradient is given, or if an optimizer both clips and scales the loss under
            several replicas.

    Example:

    >>> import keras
    >>> import tensorflow as tf
    >>> from dlrecipes.training._engine.optimizer_step import apply
    >>> weight = keras.Variable([3.0, 4.0])
    >>> optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    >>> optimizer.build([weight])
    >>> float(apply(optimizer, [tf.constant([3.0, 4.0])], [weight]))
    5.0
    >>> [round(float(value), 3) for value in weight.numpy()]
    [2.4, 3.2]

    Reference:
        Kingma and Ba, 2015, "Adam: a method for stochastic optimization", algorithm 1, in the form
        at the end of section 2. https://arxiv.org/abs/1412.6980
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks", algorithm 1 (clipping). https://arxiv.org/abs/1211.5063
    """
    pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    if not pairs:
        raise ValueError("No variable has a gradient: the loss depends on none of them.")
    # A row that is used twice has two slices; clipping needs the norm of their sum.
    gradients = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]
    variables = [variable for _, variable in pairs]
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        gradients = uneven_batches.weighted_mean(gradients)
    norm = _norm(optimizer, gradients)
    if _is_fused(optimizer, variables):
        _apply_adam(optimizer, optimizer._clip_gradients(gradients), variables)
    elif replicas > 1:
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and _clips(
            optimizer.inner_optimizer
        ):
            raise ValueError(
                "Under several replicas an optimizer cannot both clip gradients and scale the "
                "loss: use mixed_bfloat16, which needs no scaling."
            )
        # Keras sums over the replicas, hence the division. Clipping again changes nothing.
        clipped = optimizer._clip_gradients(gradients)
        optimizer.apply([gradient / replicas for gradient in clipped], variables)
    else:
        optimizer.apply(gradients, variables)
    return norm


def batch_count(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """Returns the number of batches that an optimizer has processed, a step's number.

    With `gradient_accumulation_steps`, `optimizer.iterations` counts the updates instead, and is
    the same for all batches of an update.

    Args:
        optimizer: Optimizer, which may scale the loss.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def _is_fused(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> bool:
    return (
        type(optimizer) in FUSED
        and not optimizer.amsgrad
        and not optimizer.use_ema
        and not optimizer.gradient_accumulation_steps
        and optimizer.loss_scale_factor is None
        and all(v.constraint is None and not v.overwrite_with_gradient for v in variables)
        # In 16 bits beta_2 rounds to 1; Keras computes the parts of the update separately.
        and all(v.dtype in ("float32", "float64") for v in variables)
    )


def _norm(optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the global norm, or 0 for a step that loss scaling skips because of an overflow."""
    norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return norm
    norm /= optimizer.scale_loss(tf.ones(()))
    return tf.where(tf.math.is_finite(norm), norm, 0.0)


def _clips(optimizer: keras.optimizers.Optimizer) -> bool:
    return any((optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue))


def _apply_adam(
    optimizer: keras.optimizers.Adam,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
) -> None:
    rate = optimizer.learning_rate
    optimizer._apply_weight_decay(variables)
    step = tf.cast(optimizer.iterations.value + 1, tf.float32)
    powers = [tf.pow(beta, step) for beta in (optimizer.beta_1, optimizer.beta_2)]
    for gradient, variable in zip(gradients, variables, strict=True):
        index = optimizer._get_variable_index(variable)
        dtype = variable.dtype
        # Keras has no slots for variables that their gradient overwrites; `_is_fused` rules
        # them out.
        slots = (optimizer._momentums[index].value, optimizer._velocities[index].value)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.value.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=tf.cast(powers[0], dtype),
            beta2_power=tf.cast(powers[1], dtype),
            lr=tf.cast(rate, dtype),
            beta1=tf.cast(optimizer.beta_1, dtype),
            beta2=tf.cast(optimizer.beta_2, dtype),
            epsilon=tf.cast(optimizer.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
            use_locking=False,
            use_nesterov=False,
        )
    optimizer.iterations.assign_add(1)
