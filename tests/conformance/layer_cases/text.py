"""Layers for words, windows of words, and tags."""

from contract import FEATURES, LayerCase

from dlrecipes import layers

CASES = {
    "ContextWindow": LayerCase(
        lambda **kwargs: layers.ContextWindow(1, 2, **kwargs), masked=True, trainable=False
    ),
    "EnsembleMean": LayerCase(
        layers.EnsembleMean,
        call=lambda layer, inputs: layer([inputs[0], 3 * inputs[0]]),
        trainable=False,
    ),
    "LinearChainCRF": LayerCase(
        lambda **kwargs: layers.LinearChainCRF(FEATURES, "random_normal", **kwargs), masked=True
    ),
    "OneOfN": LayerCase(
        lambda **kwargs: layers.OneOfN(6, **kwargs), ((None,),), ids=6, trainable=False
    ),
    "WordDropout": LayerCase(
        lambda **kwargs: layers.WordDropout(0.5, seed=1, **kwargs),
        ((None,),),
        ids=6,
        trainable=False,
    ),
    "WordHashing": LayerCase(
        lambda **kwargs: layers.WordHashing(6, 4, **kwargs), ((None, 4),), ids=6
    ),
}
