"""AdamW that decays kernels alone, not biases and normalization."""

from typing import Any

import keras


def adamw(model: keras.Model, learning_rate: Any, weight_decay: float, **options: Any) -> Any:
    """Returns AdamW for a model, without decay of variables that have one dimension.

    Args:
        model: The model, built.
        learning_rate: Learning rate or schedule.
        weight_decay: Weight decay of the other variables.
        **options: Further arguments of `keras.optimizers.AdamW`.
    """
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, **options)
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in model.trainable_variables if len(variable.shape) < 2]
    )
    return optimizer
