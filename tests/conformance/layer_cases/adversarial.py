"""Layers of adversarial networks."""

import keras
from contract import LayerCase

from dlrecipes import layers

IMAGE = (None, None, 8)

CASES = {
    "ConditionalBatchNormalization": LayerCase(
        layers.ConditionalBatchNormalization,
        (IMAGE, (4,)),
        call=lambda layer, inputs: layer(inputs),
    ),
    "OrthogonalRegularizer": LayerCase(
        lambda **kwargs: keras.layers.Conv2D(
            4,
            3,
            padding="same",
            kernel_regularizer=layers.OrthogonalRegularizer(mode="identity"),
            **kwargs,
        ),
        (IMAGE,),
        public=lambda layer: layer.kernel_regularizer,
    ),
    "SelfAttention2D": LayerCase(
        lambda **kwargs: layers.SelfAttention2D(
            value_ratio=2,
            pool_size=2,
            spectral_normalization=True,
            # With the default of 0 the matrices would have no gradient.
            gamma_initializer="ones",
            **kwargs,
        ),
        (IMAGE,),
    ),
}
