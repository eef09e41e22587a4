"""Images that excite a unit of a network most: synthetic ones, and those of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes._utils.network_graph import intercepted, members
from dlrecipes.training.supervised import SupervisedTrainer

# Correlated colours of natural images, from independent ones (Olah et al. 2017).
_COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], "float32")
_COLOURS /= np.linalg.norm(_COLOURS, axis=0).max()
# Standard deviation of the spectrum at the start.
_START = 0.01


@dataclass(frozen=True)
class TopImages:
    """The images of a dataset that excite units most, the strongest first.

    Args:
        images: Images of shape `(units, count, height, width, channels)`.
        positions: Positions in the dataset, integers of shape `(units, count)`.
        activations: Largest activation of the unit in each image, shape `(units, count)`.
    """

    images: np.ndarray
    positions: np.ndarray
    activations: np.ndarray


def preferred_images(
    model: keras.Model,
    units: Sequence[int],
    layer: keras.layers.Layer | str | None = None,
    *,
    steps: int = 64,
    learning_rate: float = 0.1,
    jitter: int | None = None,
    l2: float = 0.01,
    seed: int = 0,
) -> np.ndarray:
    """Synthesises an image for each unit that excites it, by gradient ascent on the image.

    The activation of a channel is averaged over all positions, before the layer's activation
    function. The images are parametrised by their frequencies, low ones with a larger scale, and
    shifted at random in each step, so that the result has few of the high frequencies to which
    gradients lead otherwise.

    Args:
        model: Functional or sequential network that takes images with values from 0 to 1, or a
            trainer of one. In an ensemble the first member is used.
        units: Channels of the layer, or classes; one image is returned for each.
        layer: Layer, or its name. Defaults to `None`: the scores, before a softmax.
        steps: Number of gradient steps. Defaults to 64.
        learning_rate: Learning rate of Adam. Defaults to 0.1.
        jitter: Largest shift in pixels. Defaults to `None`: a sixteenth of the height.
        l2: Weight of the mean squared difference from grey. Defaults to 0.01.
        seed: Seed of the start and the shifts. Defaults to 0.

    Returns:
        float32 of shape `(units, height, width, channels)`, from 0 to 1.

    Raises:
        ValueError: If there is no such layer or unit, or the model's input has no fixed size.

    Example:

    >>> from dlrecipes.models import small_cnn
    >>> from dlrecipes.training import preferred_images
    >>> preferred_images(small_cnn(10), [3, 7], steps=2).shape
    (2, 28, 28, 1)

    Reference:
        Erhan, Bengio, Courville and Vincent, 2009, "Visualizing higher-layer features of a deep
        network". Olah, Mordvintsev and Schubert, 2017, "Feature visualization", sections 3 and 4.
        https://distill.pub/2017/feature-visualization
    """
    network, target = _target(model, layer)
    shape = tuple(network.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ValueError(f"{network.name} must take images of a fixed size, not {shape}.")
    chosen = tf.constant(_checked_units(target, units))
    spectrum = _random_spectrum(len(units), shape, seed)
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build([spectrum])
    shift = max(1, shape[0] // 16) if jitter is None else jitter

    @tf.function
    def step(number: tf.Tensor) -> None:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(spectrum.value)
            images = _images(spectrum.value, shape)
            by = tf.random.stateless_uniform([2], [seed, number], -shift, shift + 1, tf.int32)
            values = _activations(network, target, tf.roll(images, by, [1, 2]))
            mean = tf.reduce_mean(values, axis=range(1, values.shape.rank - 1))
            excitement = tf.gather(mean, chosen, batch_dims=1)
            penalty = tf.reduce_mean((images - 0.5) ** 2, axis=[1, 2, 3])
            # Units differ by orders of magnitude; Adam's steps do not depend on the scale.
            scale = tf.stop_gradient(tf.abs(excitement))
            loss = tf.reduce_sum(l2 * scale * penalty - excitement)
        optimizer.apply([tape.gradient(loss, spectrum.value)], [spectrum])

    for number in tf.range(steps):
        step(number)
    return np.asarray(_images(spectrum.value, shape))


def top_images(
    model: keras.Model,
    units: Sequence[int],
    batches: np.ndarray | Iterable[Any],
    layer: keras.layers.Layer | str | None = None,
    *,
    count: int = 8,
) -> TopImages:
    """Returns the images of a dataset that excite each unit most, at the position that does.

    The dataset is read once; only the images to return are kept.

    Args:
        model: Functional or sequential network, or a trainer of one. In an ensemble the first
            member is used.
        units: Channels of the layer, or classes.
        batches: Images of shape `(count, height, width, channels)`, or an iterable of batches of
            them, such as a `tf.data.Dataset`; of pairs, the first element is used.
        layer: Layer, or its name. Defaults to `None`: the scores, before a softmax.
        count: Number of images for each unit; fewer if the dataset is smaller. Defaults to 8.

    Raises:
        ValueError: If there is no such layer or unit, or no image.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.models import small_cnn
    >>> from dlrecipes.training import top_images
    >>> images = np.random.default_rng(0).uniform(size=(20, 28, 28, 1)).astype("float32")
    >>> top_images(small_cnn(10), [3, 7], images, count=5).positions.shape
    (2, 5)

    Reference:
        Zeiler and Fergus, 2014, "Visualizing and understanding convolutional networks", figure 2.
        https://arxiv.org/abs/1311.2901
    """
    network, target = _target(model, layer)
    chosen = tf.constant(_checked_units(target, units))

    @tf.function(reduce_retracing=True)
    def excitement(images: tf.Tensor) -> tf.Tensor:
        values = _activations(network, target, images)
        largest = tf.reduce_max(values, axis=range(1, values.shape.rank - 1))
        return tf.transpose(tf.gather(largest, chosen, axis=1))

    best: TopImages | None = None
    start = 0
    for batch in _batches(batches):
        values = np.asarray(excitement(tf.convert_to_tensor(batch)))
        positions = np.broadcast_to(np.arange(start, start + len(batch)), values.shape)
        images = np.broadcast_to(batch, (len(values), *batch.shape))
        best = _best(best, TopImages(images, positions, values), count)
        start += len(batch)
    if best is None:
        raise ValueError("batches must contain at least one image.")
    return best


def _best(best: TopImages | None, batch: TopImages, count: int) -> TopImages:
    """Returns the strongest of the best images until now and those of a batch."""
    parts = [batch] if best is None else [best, batch]
    values = np.concatenate([part.activations for part in parts], axis=1)
    # Stable: the first of equal images is kept.
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    rows = np.arange(len(values))[:, None]
    kept = 0 if best is None else best.activations.shape[1]
    images = np.empty((*order.shape, *batch.images.shape[2:]), batch.images.dtype)
    is_new = order >= kept
    row = np.broadcast_to(rows, order.shape)
    images[is_new] = batch.images[row[is_new], order[is_new] - kept]
    if best is not None:
        images[~is_new] = best.images[row[~is_new], order[~is_new]]
    positions = np.concatenate([part.positions for part in parts], axis=1)
    return TopImages(images, positions[rows, order], values[rows, order])


def _batches(batches: np.ndarray | Iterable[Any], size: int = 256) -> Iterable[np.ndarray]:
    if isinstance(batches, np.ndarray):
        yield from (batches[k : k + size] for k in range(0, len(batches), size))
        return
    for batch in batches:
        yield np.asarray(batch[0] if isinstance(batch, tuple | list) else batch)


def _target(
    model: keras.Model, layer: keras.layers.Layer | str | None
) -> tuple[keras.Model, keras.layers.Layer]:
    """Returns the network, and the layer whose units are meant."""
    network = model.network if isinstance(model, SupervisedTrainer) else model
    member = members(network)[0]
    if layer is None:
        return network, member.scores
    name = layer if isinstance(layer, str) else layer.name
    named = [candidate for candidate in member.layers if candidate.name == name]
    if not named:
        names = ", ".join(candidate.name for candidate in member.layers)
        raise ValueError(f"{network.name} has no layer {name!r}; it has {names}.")
    return network, named[-1]


def _checked_units(layer: Any, units: Sequence[int]) -> list[int]:
    width = layer.output.shape[-1]
    if not len(units) or not all(0 <= unit < width for unit in units):
        raise ValueError(f"units must be from 0 to {width - 1} in {layer.name}, not {list(units)}.")
    return [int(unit) for unit in units]


def _activations(network: keras.Model, layer: Any, images: tf.Tensor) -> tf.Tensor:
    """Returns what a layer computes, before its activation function if it has one."""
    outputs: list[tf.Tensor] = []

    def keep(_: Any, output: tf.Tensor) -> tf.Tensor:
        outputs.append(output)
        return output

    has_activation = callable(getattr(layer, "activation", None))
    with intercepted([layer], keep, "activation" if has_activation else "call"):
        network(images, training=False)
    return tf.cast(outputs[-1], tf.float32)


def _random_spectrum(count: int, shape: Sequence[int], seed: int) -> keras.Variable:
    height, width, channels = shape
    size = (count, channels, height, width // 2 + 1, 2)
    return keras.Variable(_START * tf.random.stateless_normal(size, [seed, 0]))


def _images(spectrum: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Returns images from 0 to 1 of real and imaginary parts of their frequencies."""
    height, width, channels = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    scale = np.sqrt(height * width) / np.maximum(frequency, 1 / max(height, width))
    # Equal energy in each octave, as natural images have.
    scaled = spectrum * tf.constant(scale[..., None] / 4, tf.float32)
    pixels = tf.signal.irfft2d(tf.complex(scaled[..., 0], scaled[..., 1]), [height, width])
    pixels = tf.transpose(pixels, [0, 2, 3, 1])
    if channels == 3:
        pixels = tf.einsum("bhwc,dc->bhwd", pixels, tf.constant(_COLOURS))
    return tf.sigmoid(pixels)
