"""Figures of convolutional networks: filters of a layer, and feature maps of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure, SubFigure

from dlrecipes._utils.network_graph import intercepted, members
from dlrecipes.figures._images import image_axes, show
from dlrecipes.figures._labels import shortened

if TYPE_CHECKING:
    import keras

COLUMNS = 8
MAX_FILTERS = 64
# Smaller feature maps show nothing of the image.
MIN_MAP_SIZE = 4


def convolutions(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns a network's convolutional layers in order.

    Models inside the network are searched as well; in an ensemble the first member is searched.

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

    layers = members(network)[0].layers
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


def feature_maps(
    network: keras.Model, image: np.ndarray, cmap: str = "gray", depths: int = 5
) -> Figure:
    """Draws an image and its feature maps at several depths: first edges, then parts of objects.

    The depths are convolutions at even distances, the first and the last large one among them. A
    large one has feature maps at least 4 pixels high; 1x1 convolutions are left out if there are
    enough others. The 8 most active maps of each are drawn.

    Args:
        network: Functional model with at least one convolution. It may contain models, or an
            ensemble, whose first member is drawn.
        image: Input of the network, floating-point numbers from 0 to 1 of shape `(height, width,
            1 or 3)`.
        cmap: Matplotlib's colour map of a grey image. Defaults to `"gray"`.
        depths: Largest number of convolutions. Defaults to 5.

    Returns:
        Figure with the image, and one row of feature maps per depth.

    Raises:
        ValueError: If the network has no convolution.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.figures import feature_maps
    >>> from dlrecipes.models import small_cnn
    >>> figure = feature_maps(small_cnn(10), np.zeros((28, 28, 1), "float32"))
    >>> [part.get_suptitle() for part in figure.subfigs[1:]]
    ['conv_1: 8 of 32 maps, 24x24', 'conv_2: 8 of 64 maps, 10x10', 'conv_3: 8 of 64 maps, 8x8']

    Reference:
        Zeiler and Fergus, 2014, "Visualizing and understanding convolutional networks",
        https://arxiv.org/abs/1311.2901.
    """
    layers = convolutions(network)
    if not layers:
        raise ValueError(f"{network.name} has no convolution.")
    # 1x1 convolutions see no shapes.
    spatial = [layer for layer in layers[1:] if max(layer.kernel_size) > 1]
    layers = [layers[0], *(spatial if len(spatial) >= depths - 1 else layers[1:])]
    maps = _outputs(network, layers, image)
    large = [k for k, values in enumerate(maps) if not k or values.shape[0] >= MIN_MAP_SIZE]
    places = np.linspace(0, len(large) - 1, min(depths, len(large))).round().astype(int)
    chosen = [large[place] for place in places]
    figure = Figure(figsize=(9, 1.9 + 1.35 * len(chosen)), layout="constrained")
    figure.suptitle("A test image, and its feature maps from the first layers to the last")
    heights = [1.5, *[1.35] * len(chosen)]
    panels = figure.subfigures(1 + len(chosen), 1, height_ratios=heights, squeeze=False)[:, 0]
    top = panels[0].subplots()
    top.axis("off")
    show(top, image, cmap)
    for panel, number in zip(panels[1:], chosen, strict=True):
        _draw_maps(panel, layers[number].name, maps[number])
    return figure


def _draw_maps(panel: SubFigure, name: str, values: np.ndarray) -> None:
    """Draws the most active feature maps of a layer, in their order."""
    height, width, count = values.shape
    strongest = np.argsort(-np.maximum(values, 0).mean(axis=(0, 1)), kind="stable")
    shown = np.sort(strongest[:COLUMNS])
    title = f"{shortened(name, 60)}: {len(shown)} of {count} maps, {height}x{width}"
    panel.suptitle(title, x=0.01, ha="left", fontsize=9)
    for axis, channel in image_axes(panel, 1, COLUMNS, shown.tolist()):
        axis.imshow(values[..., channel], cmap="viridis")


def _outputs(
    network: keras.Model, layers: Sequence[keras.layers.Layer], image: np.ndarray
) -> list[np.ndarray]:
    """Returns the outputs of inner layers for one image, each of shape `(height, width, maps)`."""
    outputs: dict[int, Any] = {}

    def keep(layer: keras.layers.Layer, output: Any) -> Any:
        outputs[id(layer)] = output
        return output

    with intercepted(layers, keep):
        network(image[None], training=False)
    return [np.asarray(outputs[id(layer)], "float32")[0] for layer in layers]
