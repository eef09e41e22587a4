"""Grad-CAM: which parts of an image speak for a class, as a heat map."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes._utils.network_graph import Member, intercepted, members, output_shape
from dlrecipes.training.supervised import SupervisedTrainer

# Colours of the heat map from 0 to 1, from dark violet over red to yellow.
_COLOURS = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
# Shorter side of the coarsest map that is chosen. Finer maps of earlier layers mislead: their mean
# gradients say less about the class, and often no part of them raises its score.
_LEAST_SIDE = 4
# Largest weight of the heat map's colour against the image.
_OPACITY = 0.75


class GradCAM:
    """Computes heat maps of the parts of images that raise the score of a class.

    The feature maps of a layer are added, each weighted by the mean gradient of the class's score
    with respect to it; negative sums are set to 0. The score is the one before a final softmax or
    sigmoid. The map of an ensemble is the mean of its members' maps.

    Args:
        model: Functional or sequential classifier of images, also with nested models, or a trainer
            of one, such as `ImageClassifier`. It outputs scores or probabilities of shape `(batch,
            classes)`.
        layer: Layer, or its name, whose output is a feature map of shape `(batch, height, width,
            channels)`. In an ensemble each member has a layer of this name. Defaults to `None`: the
            last layer, pooling excluded, whose map has at least 4x4 positions; without one, the
            last with the most positions.

    Raises:
        ValueError: If the model is not functional, or has no such layer.

    Example:

    >>> import keras
    >>> from dlrecipes.models import small_cnn
    >>> from dlrecipes.training import GradCAM
    >>> explain = GradCAM(small_cnn(10))
    >>> tuple(explain(keras.ops.ones((3, 28, 28, 1))).shape)
    (3, 28, 28)

    Reference:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, 2017, "Grad-CAM: visual explanations
        from deep networks via gradient-based localization", equations 1 and 2.
        https://arxiv.org/abs/1610.02391
    """

    def __init__(self, model: keras.Model, layer: keras.layers.Layer | str | None = None):
        self.model = model.network if isinstance(model, SupervisedTrainer) else model
        self._members = members(self.model)
        shape = tuple(self.model.outputs[0].shape)
        if len(shape) != 2:
            raise ValueError(f"{self.model.name} must output (batch, classes), not {shape}.")
        self._activated = [
            member.scores for member in self._members if _has_activation(member.scores)
        ]
        self.layers = [_feature_layer(self.model.name, member, layer) for member in self._members]

    @property
    def has_probabilities(self) -> bool:
        """Whether the model outputs probabilities, not scores."""
        return bool(self._activated) or any(member.has_softmax for member in self._members)

    def __call__(self, images: Any, classes: Any = None) -> tf.Tensor:
        """Returns the heat maps of a batch of images; works inside a `tf.function`.

        Args:
            images: Inputs of the model, shape `(batch, height, width, channels)`.
            classes: Class to explain for each image, integers of shape `(batch,)`, or one integer
                for all. Defaults to `None`: the predicted classes.

        Returns:
            float32 of shape `(batch, height, width)`, from 0 to 1. The largest value of a map is 1;
            a map is 0 everywhere if no part raises the score.
        """
        return self.explain(images, classes)[1]

    def explain(self, images: Any, classes: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the model's outputs, and the heat maps as the instance's call does.

        Args:
            images: Inputs of the model, shape `(batch, height, width, channels)`.
            classes: Class to explain for each image, integers of shape `(batch,)`, or one integer
                for all. Defaults to `None`: the predicted classes.

        Returns:
            Outputs of shape `(batch, classes)`, and maps of shape `(batch, height, width)`.
        """
        images = tf.convert_to_tensor(images)
        scores: dict[int, tf.Tensor] = {}
        maps: dict[int, tf.Tensor] = {}

        def keep_scores(layer: Any, output: tf.Tensor) -> tf.Tensor:
            scores[id(layer)] = output
            return output

        plain = [m.scores for m in self._members if m.scores not in self._activated]
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(layer: Any, output: tf.Tensor) -> tf.Tensor:
                maps[id(layer)] = output = tf.identity(output)
                tape.watch(output)
                return output

            with (
                intercepted(self.layers, watch),
                intercepted(plain, keep_scores),
                intercepted(self._activated, keep_scores, "activation"),
            ):
                outputs = self.model(images, training=False)
            chosen = tf.argmax(outputs, axis=-1) if classes is None else classes
            chosen = tf.broadcast_to(tf.cast(chosen, tf.int32), tf.shape(images)[:1])
            total = tf.add_n([tf.reduce_sum(_gather(value, chosen)) for value in scores.values()])
        features = [maps[id(layer)] for layer in self.layers]
        gradients = tape.gradient(
            total, features, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        size = tf.shape(images)[1:3]
        pairs = zip(features, gradients, strict=True)
        parts = [_resized(_weighted_sum(*pair), size) for pair in pairs]
        mean = tf.add_n(parts) / len(parts)
        return outputs, tf.math.divide_no_nan(mean, tf.reduce_max(mean, axis=[1, 2], keepdims=True))


def grad_cam(
    model: keras.Model,
    images: Any,
    classes: Any = None,
    layer: keras.layers.Layer | str | None = None,
) -> tf.Tensor:
    """Returns heat maps of the parts of images that raise the score of a class (see `GradCAM`).

    Args:
        model: Functional or sequential classifier of images, or a trainer of one.
        images: Inputs of the model, shape `(batch, height, width, channels)`.
        classes: Class to explain for each image, integers of shape `(batch,)`, or one integer for
            all. Defaults to `None`: the predicted classes.
        layer: Layer of the feature maps, or its name. Defaults to `None`: the last layer, pooling
            excluded, whose map has at least 4x4 positions.

    Returns:
        float32 of shape `(batch, height, width)`, from 0 to 1.

    Raises:
        ValueError: If the model is not functional, or has no such layer.

    Example:

    >>> import keras
    >>> from dlrecipes.models import small_cnn
    >>> from dlrecipes.training import grad_cam
    >>> tuple(grad_cam(small_cnn(10), keras.ops.ones((3, 28, 28, 1)), classes=7).shape)
    (3, 28, 28)

    Reference:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra, 2017, "Grad-CAM: visual explanations
        from deep networks via gradient-based localization", equations 1 and 2.
        https://arxiv.org/abs/1610.02391
    """
    return GradCAM(model, layer)(images, classes)


def overlay(images: Any, maps: Any) -> tf.Tensor:
    """Returns images in grey with heat maps in colour over them; works inside a `tf.function`.

    Red and yellow are the parts with the largest values; where the map is 0, only the image shows.

    Args:
        images: uint8, or floats from 0 to 1, of shape `(batch, height, width, 1 or 3)`.
        maps: Floats from 0 to 1 of shape `(batch, map_height, map_width)`; they are resized to the
            images.

    Returns:
        uint8 of shape `(batch, height, width, 3)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.training.grad_cam import overlay
    >>> overlay(np.zeros((2, 8, 9, 1), "uint8"), np.zeros((2, 4, 4))).shape.as_list()
    [2, 8, 9, 3]
    """
    pixels = tf.image.convert_image_dtype(images, tf.float32)
    if pixels.shape[-1] == 3:
        pixels = tf.image.rgb_to_grayscale(pixels)
    heat = tf.clip_by_value(_resized(tf.cast(maps, tf.float32), tf.shape(pixels)[1:3]), 0, 1)
    table = np.linspace(0, 1, len(_COLOURS))
    colours = [
        np.interp(np.linspace(0, 1, 256), table, column) for column in zip(*_COLOURS, strict=True)
    ]
    levels = tf.cast(tf.round(255 * heat), tf.int32)
    colour = tf.gather(tf.constant(np.stack(colours, axis=1) / 255, tf.float32), levels)
    weight = _OPACITY * heat[..., None]
    mixed = (1 - weight) * pixels + weight * colour
    return tf.cast(tf.round(255 * tf.clip_by_value(mixed, 0, 1)), tf.uint8)


def _weighted_sum(features: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Returns the rectified sum of feature maps; the weights are their mean gradients."""
    weights = tf.reduce_mean(tf.cast(gradient, tf.float32), axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * tf.cast(features, tf.float32), axis=-1))


def _gather(scores: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.cast(scores, tf.float32), classes, batch_dims=1)


def _resized(maps: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(maps[..., None], size)[..., 0]


def _has_activation(layer: Any) -> bool:
    activations = (keras.activations.softmax, keras.activations.sigmoid)
    return getattr(layer, "activation", None) in activations


def _feature_layer(
    name: str, member: Member, layer: keras.layers.Layer | str | None
) -> keras.layers.Layer:
    """Returns the layer whose feature map explains a member's scores."""
    is_after_convolution = False
    candidates: list[keras.layers.Layer] = []
    for candidate in member.layers:
        # Without a convolution before it, a map has nothing but the image's own pixels.
        is_after_convolution |= any(len(weight.shape) == 4 for weight in candidate.weights)
        shape = output_shape(candidate)
        if is_after_convolution and len(shape) == 4 and shape[1:3] != (1, 1):
            candidates.append(candidate)
    if layer is not None:
        layer_name = layer if isinstance(layer, str) else layer.name
        named = [candidate for candidate in candidates if candidate.name == layer_name]
        if not named:
            raise ValueError(
                f"{name} has no layer {layer_name!r} with feature maps; it has "
                f"{', '.join(candidate.name for candidate in candidates) or 'none'}."
            )
        return named[-1]
    fine = [candidate for candidate in candidates if "Pooling" not in type(candidate).__name__]
    if not fine:
        raise ValueError(
            f"{name} has no feature maps larger than 1x1: Grad-CAM needs a convolutional network."
        )
    sides = [_side(candidate) for candidate in fine]
    least = min(_LEAST_SIDE, max(sides))
    return [part for part, side in zip(fine, sides, strict=True) if side >= least][-1]


def _side(layer: keras.layers.Layer) -> float:
    """Returns the shorter side of a layer's map; infinity if the model takes images of any size."""
    return min(float("inf") if side is None else side for side in output_shape(layer)[1:3])
