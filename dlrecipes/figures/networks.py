"""Figures of convolutional networks: filters of a layer, and feature maps of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from dlrecipes.figures._images import image_axes, show

if TYPE_CHECKING:
    import keras

COLUMNS = 8
MAX_FILTERS = 64
MAX_MAPS = 16
# Smaller feature maps show nothing of the image.
MIN_MAP_SIZE = 6


def convolutions(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns a network's convolutional layers in order.

    A model inside the network is searched instead of the network's own layers; in an ensemble the
    first member is searched.

    Args:
        network: Functional model. It may contain a model, or an ensemble of models.

    Returns:
        Layers of the class `keras.layers.Conv2D` or a subclass; empty if there are none.

    Example:

    >>> import keras
    >>> from dlrecipes.figures import convolutions
    >>> layers = [keras.layers.Conv2D(4, 3, name="edges"), keras.layers.Flatten()]
    >>> network = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    >>> [layer.name for layer in convolutions(network)]
    ['edges']
    """
    import keras

    layers = _innermost(network).layers
    return [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]


def filters(layer: keras.layers.Layer) -> Figure:
    """Draws the filters of a convolutional layer, at most 64 of them.

    Filters of three input channels are drawn in colour, where grey is a weight of zero. For any
    other number of channels the weights of the first one are drawn.

    Args:
        layer: Built layer with a kernel of shape `(height, width, channels, filters)`.

    Returns:
        Figure with one image per filter.

    Example:

    >>> import keras
    >>> from dlrecipes.figures import filters
    >>> layer = keras.layers.Conv2D(6, 5, name="edges")
    >>> layer.build((None, 28, 28, 1))
    >>> len(filters(layer).axes)  # eight places in a row, and the colour bar
    9
    """
    kernel = np.asarray(layer.kernel)[..., :MAX_FILTERS]
    largest = float(np.abs(kernel).max()) or 1.0
    in_colour = kernel.shape[2] == 3
    rows = -(-kernel.shape[-1] // COLUMNS)
    figure = Figure(figsize=(7, 0.8 + 0.85 * rows), layout="constrained")
    meaning = "grey is zero" if in_colour else "red is positive, blue is negative"
    figure.suptitle(f"Filters of {layer.name}: {meaning}")
    for axis, number in image_axes(figure, rows, COLUMNS, range(kernel.shape[-1])):
        if in_colour:
            show(axis, 0.5 + kernel[..., number] / (2 * largest), "gray")
        else:
            image = axis.imshow(kernel[:, :, 0, number], cmap="RdBu_r", vmin=-largest, vmax=largest)
    if not in_colour:
        figure.colorbar(image, ax=figure.axes, shrink=0.6, label="weight")
    return figure


def feature_maps(network: keras.Model, image: np.ndarray, cmap: str = "gray") -> Figure:
    """Draws an image and its feature maps after the first and the last large convolution.

    The last large convolution is the last one whose feature maps are at least 6 pixels high. At
    most 16 feature maps per layer are drawn.

    Args:
        network: Functional model with at least one convolution. It may contain a model or an
            ensemble, whose first member is drawn; the layers in front of it form a chain.
        image: Input of the network, floating-point numbers from 0 to 1 of shape `(height, width,
            1 or 3)`.
        cmap: Matplotlib's colour map of a grey image. Defaults to `"gray"`.

    Returns:
        Figure with the image, and one or two rows of feature maps per layer.

    Raises:
        ValueError: If the network has no convolution.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import feature_maps
    >>> from dlrecipes.models import small_cnn
    >>> figure = feature_maps(small_cnn(10), np.zeros((28, 28, 1), "float32"))
    >>> [axis.get_title() for axis in figure.axes if axis.get_title()]
    ['conv_1, 24x24', 'conv_3, 8x8']

    Reference:
        Zeiler and Fergus, 2014, "Visualizing and understanding convolutional networks",
        https://arxiv.org/abs/1311.2901.
    """
    layers = convolutions(network)
    if not layers:
        raise ValueError(f"{network.name} has no convolution.")
    large = [layer for layer in layers[1:] if layer.output.shape[1] >= MIN_MAP_SIZE]
    chosen = [layers[0], *large[-1:]]
    maps = _outputs(network, chosen, image)
    figure = Figure(figsize=(9, 1.6 + 2.3 * len(maps)), layout="constrained")
    figure.suptitle("A test image and its feature maps")
    grid = figure.add_gridspec(1 + 2 * len(maps), COLUMNS)
    show(figure.add_subplot(grid[0, :]), image, cmap)
    figure.axes[0].axis("off")
    for row, (layer, values) in enumerate(zip(chosen, maps, strict=True)):
        places = [grid[1 + 2 * row + k // COLUMNS, k % COLUMNS] for k in range(MAX_MAPS)]
        for number, place in enumerate(places[: values.shape[-1]]):
            axis = figure.add_subplot(place)
            axis.imshow(values[..., number], cmap="viridis")
            axis.set(xticks=[], yticks=[])
            if not number:
                axis.set_title(f"{layer.name}, {values.shape[0]}x{values.shape[1]}", fontsize=8)
    return figure


def _outputs(
    network: keras.Model, layers: Sequence[keras.layers.Layer], image: np.ndarray
) -> list[np.ndarray]:
    """Returns the outputs of inner layers for one image, each of shape `(height, width, maps)`."""
    import keras

    inner = _inside(network)
    if inner is network:
        before = network.inputs[0]
    else:
        before = network.layers[network.layers.index(inner) - 1].output
    # The members of an ensemble read the ensemble's own input.
    first = keras.Model(network.inputs[0], before)
    outputs = {str(number): layer.output for number, layer in enumerate(layers)}
    second = keras.Model(_innermost(inner).inputs[0], outputs)
    maps = second(first(image[None], training=False), training=False)
    return [np.asarray(maps[name])[0] for name in outputs]


def _inside(network: keras.Model) -> keras.Model:
    import keras

    return next((layer for layer in network.layers if isinstance(layer, keras.Model)), network)


def _innermost(network: keras.Model) -> keras.Model:
    inner = _inside(network)
    return network if inner is network else _innermost(inner)
