"""Convolution, pooling and normalisation of images."""

import keras
from contract import FEATURES, LayerCase

from dlrecipes import layers

IMAGE = (None, None, 3)
TABLE = [[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 0, 1]]

CASES = {
    "BatchNormalization": LayerCase(layers.BatchNormalization, (IMAGE,)),
    "ElasticDistortion": LayerCase(
        lambda **kwargs: layers.ElasticDistortion(seed=1, **kwargs),
        ((5, 6, 3),),
        trainable=False,
    ),
    "FakeQuantize": LayerCase(layers.FakeQuantize, (IMAGE,), trainable=False),
    "FakeQuantizedKernel": LayerCase(
        lambda **kwargs: layers.FakeQuantizedKernel(keras.layers.Conv2D(4, 3), **kwargs),
        ((5, 7, 3),),
    ),
    "FixedKernelConv2D": LayerCase(
        lambda **kwargs: layers.FixedKernelConv2D("sharpen", 2, "same", True, **kwargs),
        (IMAGE,),
        tolerance=0.1,
        trainable=False,
    ),
    "FlippedConv2D": LayerCase(
        lambda **kwargs: layers.FlippedConv2D(4, (3, 2), **kwargs), (IMAGE,), sizes=(5, 7, 3)
    ),
    "L2Pooling2D": LayerCase(
        lambda **kwargs: layers.L2Pooling2D(3, (2, 1), "same", **kwargs),
        (IMAGE,),
        trainable=False,
    ),
    "LocalContrastNormalization": LayerCase(
        lambda **kwargs: layers.LocalContrastNormalization(5, **kwargs),
        (IMAGE,),
        trainable=False,
    ),
    "LocalResponseNormalization": LayerCase(
        lambda **kwargs: layers.LocalResponseNormalization(alpha=0.5, **kwargs),
        (IMAGE,),
        trainable=False,
    ),
    "PartialConv2D": LayerCase(
        lambda **kwargs: layers.PartialConv2D(4, 3, TABLE, padding="same", **kwargs), (IMAGE,)
    ),
    "RBFOutput": LayerCase(
        lambda **kwargs: layers.RBFOutput(4, trainable_prototypes=True, **kwargs),
        ((FEATURES,),),
        tolerance=0.1,
    ),
    "ReflectionPadding2D": LayerCase(
        lambda **kwargs: layers.ReflectionPadding2D(((1, 2), (0, 2)), **kwargs),
        (IMAGE,),
        sizes=(5, 7, 3),
        trainable=False,
    ),
    "ScaledTanh": LayerCase(layers.ScaledTanh, (IMAGE,), trainable=False),
    "TrainableSubsampling2D": LayerCase(
        lambda **kwargs: layers.TrainableSubsampling2D(2, activation="tanh", **kwargs),
        (IMAGE,),
        sizes=(6, 7, 2),
    ),
}
