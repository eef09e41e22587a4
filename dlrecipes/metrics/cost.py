"""The computational cost of a network."""

from __future__ import annotations

from math import prod

import keras


def count_macs(model: keras.Model) -> int:
    """Returns the number of multiply-accumulate operations that a model needs for one example.

    Only convolutions and dense layers are counted, as in papers. Bias additions, normalisation,
    pooling and activations are not. The layers of sub-models are included.

    Args:
        model: A functional or sequential model. All sizes except the batch must be known.

    Returns:
        The number of multiply-accumulate operations.

    Raises:
        ValueError: If a size is not known.

    Example:

    >>> import keras
    >>> from dlrecipes.metrics import count_macs
    >>> x = keras.Input((4, 4, 3))
    >>> maps = keras.layers.Conv2D(5, 3)(x)  # 2x2 positions, 5 filters with 3x3x3 weights each
    >>> y = keras.layers.Dense(7)(keras.layers.Flatten()(maps))
    >>> count_macs(keras.Model(x, y)) == 2 * 2 * 5 * 27 + 20 * 7
    True

    Reference:
        He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition", table 1.
        https://arxiv.org/abs/1512.03385
    """
    return sum(_layer_macs(layer) for layer in model._flatten_layers(include_self=False))


def _layer_macs(layer: keras.layers.Layer) -> int:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A transposed convolution applies its kernel once per input position.
    is_transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    total = 0
    for node in layer._inbound_nodes:
        size = (node.input_tensors if is_transposed else node.output_tensors)[0].shape[1:-1]
        if None in size:
            raise ValueError(
                f"{layer.name} has the size {size}: give the model's inputs a fixed size."
            )
        total += prod(size) * prod(kernel.shape)
    return total
