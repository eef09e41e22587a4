"""The computational cost of a network."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

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
    return sum(_node_macs(node) for node in _nodes(model))


def _nodes(model: keras.Model) -> Iterator[Any]:
    """Yields the calls of layers in a model, each as often as it is computed."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        for layer in model._flatten_layers(include_self=False):
            yield from getattr(layer, "_inbound_nodes", ())
        return
    # A layer may be called in other models as well, on other sizes.
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            if isinstance(node.operation, keras.Model):
                yield from _nodes(node.operation)
            else:
                yield node


def _node_macs(node: Any) -> int:
    layer = node.operation
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A transposed convolution applies its kernel once per input position.
    is_transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    size = (node.input_tensors if is_transposed else node.output_tensors)[0].shape[1:-1]
    if None in size:
        raise ValueError(f"{layer.name} has the size {size}: give the model's inputs a fixed size.")
    return prod(size) * prod(kernel.shape)
