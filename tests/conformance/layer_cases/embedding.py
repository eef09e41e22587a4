"""Layers that make and compare embeddings."""

from contract import FEATURES, LayerCase

from dlrecipes import layers

CASES = {
    "L2Normalization": LayerCase(layers.L2Normalization, trainable=False),
    "PairwiseDistances": LayerCase(
        lambda **kwargs: layers.PairwiseDistances("euclidean", **kwargs),
        ((None, FEATURES), (None, FEATURES)),
        call=lambda layer, inputs: layer(inputs),
        trainable=False,
    ),
}
