"""AdamW decays kernels alone."""

import keras
import numpy as np

from dlrecipes.training._engine.adamw import adamw


def test_kernels_decay_and_biases_and_normalization_do_not():
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.BatchNormalization()(keras.layers.Dense(2)(x)))
    optimizer = adamw(model, 0.5, weight_decay=0.1, use_ema=True)
    assert optimizer.use_ema
    before = [np.array(variable) for variable in model.trainable_variables]
    before[1] += 1.0
    model.trainable_variables[1].assign(before[1])
    optimizer.apply([np.zeros_like(array) for array in before], model.trainable_variables)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        # Without a gradient, a step of decay multiplies by 1 - 0.5 * 0.1.
        factor = 0.95 if old.ndim == 2 else 1.0
        np.testing.assert_allclose(variable, factor * old, rtol=1e-6)
