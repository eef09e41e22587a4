"""The fraction of weights that are zero."""

from __future__ import annotations

import keras
import numpy as np

# Depthwise kernels hold few weights and are left out.
_ONE_KERNEL = tuple(
    getattr(keras.layers, name)
    for name in (
        "Dense",
        "EinsumDense",
        *(f"Conv{axes}D{kind}" for axes in (1, 2, 3) for kind in ("", "Transpose")),
    )
)
_POINTWISE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


def sparsity(model: keras.Model) -> dict[str, float]:
    """Returns the fraction of zeros in each layer's kernel, in the order of the layers.

    Layers are those of `kernels`: convolutions and dense layers, including those of sub-models.

    Args:
        model: Built model.

    Returns:
        Fractions between 0 and 1 by layer name. If several layers have the same name, as those of
        an ensemble's members may, a number follows the name.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.metrics import sparsity
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="scores")])
    >>> model.layers[0].set_weights([np.array([[0.0, 1.0], [2.0, 3.0]]), np.zeros(2)])
    >>> sparsity(model)
    {'scores': 0.25}

    Reference:
        Zhu and Gupta, 2017, "To prune, or not to prune: exploring the efficacy of pruning for model
        compression", section 3. https://arxiv.org/abs/1710.01878
    """
    fractions: dict[str, float] = {}
    for layer, kernel in kernels(model):
        name, number = layer.name, 1
        while name in fractions:
            number += 1
            name = f"{layer.name} ({number})"
        fractions[name] = float(np.mean(keras.ops.convert_to_numpy(kernel) == 0))
    return fractions


def kernels(model: keras.Model) -> list[tuple[keras.layers.Layer, keras.Variable]]:
    """Returns the kernels of a model's convolutions and dense layers, each with its layer.

    A separable convolution counts with its pointwise kernel. Depthwise kernels hold few weights and
    are left out, as are biases, normalization, embeddings and recurrent layers.

    Args:
        model: Built model.
    """
    pairs = []
    for layer in model._flatten_layers():
        name = "pointwise_kernel" if isinstance(layer, _POINTWISE) else "kernel"
        kernel = getattr(layer, name, None) if isinstance(layer, (*_ONE_KERNEL, *_POINTWISE)) else 0
        if isinstance(kernel, keras.Variable):
            pairs.append((layer, kernel))
    return list({id(kernel): (layer, kernel) for layer, kernel in pairs}.values())
