"""Checks of the images and boxes that a detector is trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.training._engine import values
from dlrecipes.training._engine.values import InvalidData

EXPECTED = "fit must be given images and a dictionary of boxes, classes and perhaps ignored"
KEYS = {"boxes", "classes", "ignored"}
# Boxes may exceed the image by the rounding of a resize, in pixels.
MARGIN = 1.0


def check_batch(x: Any, y: Any, sample_weight: Any = None) -> None:
    """Raises an error unless a batch holds images and padded boxes.

    Args:
        x: Images of one batch: an array, a tensor or a `tf.TensorSpec`.
        y: Targets in the same form.
        sample_weight: Sample weights, which are not supported.

    Raises:
        ValueError: If something is missing, or has another shape or type.
    """
    if sample_weight is not None:
        raise ValueError(f"{EXPECTED}, and no sample weights: mark objects as ignored instead.")
    if not hasattr(x, "dtype") or not isinstance(y, Mapping):
        raise ValueError(f"{EXPECTED}, not {type(y).__name__}.")
    if not {"boxes", "classes"} <= set(y) <= KEYS:
        raise ValueError(f"{EXPECTED}, not of {', '.join(sorted(map(str, y))) or 'nothing'}.")
    if not tf.as_dtype(x.dtype).is_floating:
        kind = tf.as_dtype(x.dtype).name
        raise ValueError(f"Images must be floats from 0 to 1, not {kind}. Scale them: x / 255.")
    boxes = tf.TensorShape(y["boxes"].shape)
    if not boxes.is_compatible_with([None, None, 4]):
        raise ValueError(
            f"boxes must be of shape (batch, objects, 4), not {_text(boxes)}. Pad them with 0."
        )
    if not tf.as_dtype(y["classes"].dtype).is_integer:
        kind = tf.as_dtype(y["classes"].dtype).name
        raise ValueError(f"classes must be integers, -1 for padding, not {kind}.")
    for name in ("classes", "ignored"):
        shape = tf.TensorShape(y[name].shape) if name in y else boxes[:2]
        if not shape.is_compatible_with(boxes[:2]):
            expected = f"{_text(boxes[:2])}, one for each box"
            raise ValueError(f"{name} must be of shape {expected}, not {_text(shape)}.")
    for name, part in {"boxes": y["boxes"], "classes": y["classes"]}.items():
        first = tf.TensorShape(part.shape)[:1]
        if not first.is_compatible_with(tf.TensorShape(x.shape)[:1]):
            raise ValueError(f"{name} are of {first[0]} images, but there are {x.shape[0]}.")


def check_values(x: Any, y: Any, class_names: Sequence[str]) -> None:
    """Raises an error unless images are finite, and boxes and classes are possible.

    Args:
        x: Images, arrays or eager tensors.
        y: Their `boxes` and `classes`.
        class_names: Names of the classes.

    Raises:
        ValueError: If a value is out of range; the message names the first image and box.
    """
    values.check_finite("images", x)
    if not isinstance(y, Mapping) or not hasattr(y.get("boxes"), "__array__"):
        return
    boxes, classes = np.asarray(y["boxes"]), np.asarray(y["classes"])
    most = len(class_names) - 1
    _refuse(
        (classes < -1) | (classes > most),
        lambda place: f"has class {classes[place]}; classes are 0 to {most}, -1 for padding",
    )
    real = classes >= 0

    def box(place):
        return f"({', '.join(f'{side:g}' for side in boxes[place])})"

    finite = np.isfinite(boxes).all(axis=-1)
    _refuse(real & ~finite, lambda place: f"is {box(place)}: NaN or infinite")
    left, top, right, bottom = np.moveaxis(np.where(finite[..., None], boxes, 0), -1, 0)
    _refuse(
        real & ((right <= left) | (bottom <= top)),
        lambda place: (
            f"is {box(place)}: boxes are (left, top, right, bottom), with right above "
            "left and bottom above top"
        ),
    )
    height, width = np.shape(x)[1:3]
    outside = (left < -MARGIN) | (top < -MARGIN)
    outside |= (right > width + MARGIN) | (bottom > height + MARGIN)
    _refuse(
        real & outside,
        lambda place: f"is {box(place)}, outside the image of {width} x {height} pixels: clip it",
    )
    if real.any() and max(right[real].max(), bottom[real].max()) <= 1 < min(height, width):
        raise InvalidData(
            "All boxes lie between 0 and 1: they must be in pixels. Multiply them by the width and "
            "height of the images."
        )


def _refuse(wrong: np.ndarray, reason) -> None:
    """Raises an error about the first box that is wrong."""
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise InvalidData(f"Box {place[1]} of image {place[0]} {reason(place)}.")


def _text(shape: tf.TensorShape) -> str:
    if shape.rank is None:
        return "unknown"
    return "(" + ", ".join("batch" if size is None else str(size) for size in shape) + ")"
