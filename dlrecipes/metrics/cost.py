"""What a network costs to run."""

from __future__ import annotations

from math import prod

import keras


def count_macs(model: keras.Model) -> int:
    """Returns the multiplications by weights that one example takes: multiply-accumulates.

    Those of convolutions and dense layers, which is what papers count; additions of biases,
    normalisation, pooling and activations are left out. Sub-models count with their layers.

    Args:
        model: A functional or sequential model whose inputs' sizes are known, but for the batch.

    Raises:
        ValueError: If a size is not known.

    Example:

    >>> x = keras.Input((4, 4, 3))
    >>> maps = keras.layers.Conv2D(5, 3)(x)  # 2x2 places of 5 maps, 3x3x3 weights each
    >>> y = keras.layers.Dense(7)(keras.layers.Flatten()(maps))
    >>> count_macs(keras.Model(x, y)) == 2 * 2 * 5 * 27 + 20 * 7
    True

    Reference:
        He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition", table 1.
    """
    return sum(_of(layer) for layer in model._flatten_layers(include_self=False))


def _of(layer: keras.layers.Layer) -> int:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A transposed convolution goes through its weights once at each place that it reads.
    reads = isinstance(layer, keras.layers.Conv2DTranspose)
    total = 0
    for node in layer._inbound_nodes:
        places = (node.input_tensors if reads else node.output_tensors)[0].shape[1:-1]
        if None in places:
            raise ValueError(f"{layer.name} has {places} places: only known sizes are counted.")
        total += prod(places) * prod(kernel.shape)
    return total
