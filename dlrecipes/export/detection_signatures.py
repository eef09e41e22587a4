"""Signatures of object detectors, which take image files and arrays of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from dlrecipes.data.image_bytes import decode, prepare_batch
from dlrecipes.data.image_resizing import fit, fit_array, limit, resize
from dlrecipes.export.box_drawing import BoxPainter
from dlrecipes.export.detection_outputs import CLASSES, COUNT, LOCATIONS, SCORES, DetectionMatch
from dlrecipes.export.signatures import Signature

Outputs = Mapping[str, tf.Tensor]
Detect = Callable[[tf.Tensor], Outputs]

# Larger drawings take seconds to encode, and show nothing more.
LARGEST = 2048
# Examples of the signatures `images` and `draw`, and the longer side of an example, at most.
FEW, EXAMPLE_SIDE = 4, 640
# A box without an inside, which MediaPipe drops.
_NO_LOCATION = (0.0, 0.0, -1.0, -1.0)


def detection_signatures(
    detect: Detect,
    names: Sequence[str],
    images: Sequence[np.ndarray],
    *,
    size: int,
    iou_threshold: float,
    score_threshold: float,
    draw_threshold: float = 0.5,
) -> tuple[dict[str, Signature], Signature]:
    """Returns the SavedModel's signatures and the LiteRT file's signature of an object detector.

    - `serving_default` takes `image_bytes`, files as in `image_signatures`, of different sizes;
    - `images` takes uint8 of shape `(batch, height, width, channels)`, any size, 1 to 4 channels;
    - `draw` takes `image_bytes` and returns `image_bytes`, PNG files with boxes, names and scores.
      An image with more than 2048 pixels on the longer side is drawn smaller.

    The outputs of the first two are `boxes`, left, top, right and bottom in pixels of each upright
    image, of shape `(batch, detections, 4)`; `scores`; `labels`, strings; and `count`, the number
    of boxes of each image. Boxes are ordered by decreasing score. After the last one, boxes and
    scores are 0 and labels are `""`.

    The LiteRT file takes `images`, float32 from 0 to 1 of shape `(1, size, size, 3)`, and returns
    the four tensors that MediaPipe's `ObjectDetector` expects, all float32 (see
    `litert_metadata.detector`): `locations`, fractions (top, left, bottom, right) of the image's
    sides; `classes`; `scores`; and `count`, which is always the number of rows. Rows after the last
    detection have the class -1, the score 0, and a location without an inside.

    Images are stretched to a square, as `dlrecipes.data.image_resizing.fit` does.

    Args:
        detect: Function from images, float32 from 0 to 1 of shape `(batch, size, size, 3)`, to
            `boxes` in pixels of these images, `scores`, `classes` from 0, padded with -1, and
            `count`, as `faster_rcnn_detector` returns them.
        names: Names of the classes.
        images: Examples for the verification, uint8 of shape `(height, width, 3)` each. They are
            made smaller if they have more than 640 pixels on the longer side.
        size: Height and width of the detector's input.
        iou_threshold: Overlap above which the detector removes the worse of two boxes.
        score_threshold: Score that its boxes exceed.
        draw_threshold: Lowest score of the boxes that `draw` draws. Defaults to 0.5.

    Example:

    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from dlrecipes.export.detection_signatures import detection_signatures
    >>> def detect(images):
    ...     one = tf.ones_like(images[:, 0, :1, 0])
    ...     boxes = one[..., None] * [2.0, 4.0, 6.0, 8.0]
    ...     classes = tf.cast(0 * one, tf.int32)
    ...     return {"boxes": boxes, "scores": 0.9 * one, "classes": classes, "count": [1]}
    >>> signatures, litert = detection_signatures(
    ...     detect, ["cat"], [np.zeros((24, 16, 3), "uint8")], size=8,
    ...     iou_threshold=0.5, score_threshold=0.05,
    ... )
    >>> outputs = signatures["images"].function(tf.zeros([1, 24, 16, 3], tf.uint8))
    >>> outputs["boxes"].numpy().tolist(), outputs["labels"].numpy().tolist()
    ([[[4.0, 12.0, 12.0, 24.0]]], [[b'cat']])
    """
    images = [_thumbnail(image) for image in images]
    texts = tf.constant([*names, ""])
    files = np.array([tf.io.encode_png(image).numpy() for image in images], object)
    same = np.stack([resize(image, size) for image in images[:FEW]])
    match = DetectionMatch(iou_threshold, score_threshold)

    def answer(prepared: tf.Tensor, sizes: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = _in_pixels(detect(prepared), sizes, size)
        classes = outputs.pop("classes")
        labels = tf.gather(texts, tf.where(classes < 0, len(names), classes))
        return {**outputs, "labels": labels}

    def from_files(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(*_decoded(image_bytes, size))

    def from_arrays(images: tf.Tensor) -> dict[str, tf.Tensor]:
        shape = tf.shape(images)
        prepared = prepare_batch(images, lambda image: fit(image, size), (size, size, 3))
        return answer(prepared, tf.tile(shape[None, 1:3], [shape[0], 1]))

    bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
    arrays_spec = tf.TensorSpec([None, None, None, None], tf.uint8, name="images")
    one = images[0][None]
    return (
        {
            "serving_default": Signature(from_files, [bytes_spec], [(files,)], match=match),
            "images": Signature(from_arrays, [arrays_spec], [(same,), (one,)], match=match),
            "draw": Signature(
                _draw(detect, BoxPainter(names), size, draw_threshold),
                [bytes_spec],
                [(files[:FEW],)],
            ),
        },
        Signature(
            lambda images: _for_mediapipe(detect(images), size),
            [tf.TensorSpec([1, size, size, 3], tf.float32, name="images")],
            [(fit_array(image, size)[None],) for image in images],
            match=match,
        ),
    )


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Returns an image with at most `EXAMPLE_SIDE` pixels on the longer side."""
    smaller = Image.fromarray(image)
    smaller.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE))
    return np.asarray(smaller)


def _decoded(image_bytes: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns prepared images, and height and width of each upright image."""

    def decoded(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = decode(content, channels=3)
        return fit(image, size), tf.shape(image)[:2]

    specs = tf.TensorSpec([size, size, 3], tf.float32), tf.TensorSpec([2], tf.int32)
    return tf.map_fn(decoded, image_bytes, fn_output_signature=specs)


def _in_pixels(outputs: Outputs, sizes: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
    """Returns a detector's outputs with boxes in pixels of images of these sizes."""
    height, width = tf.unstack(tf.cast(sizes, tf.float32), axis=1)
    scale = tf.stack([width, height, width, height], axis=-1) / size
    return {**outputs, "boxes": outputs["boxes"] * scale[:, None]}


def _draw(
    detect: Detect, paint: BoxPainter, size: int, threshold: float
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    def drawn(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
        content, boxes, classes, scores = row
        image = decode(content, channels=3)
        smaller = limit(image, LARGEST)
        factors = tf.cast(tf.shape(smaller)[:2] / tf.shape(image)[:2], tf.float32)
        shown = (classes >= 0) & (scores >= threshold)
        painted = paint(
            tf.image.convert_image_dtype(smaller, tf.uint8, saturate=True),
            tf.boolean_mask(boxes, shown) * tf.tile(factors[::-1], [2]),
            tf.boolean_mask(classes, shown),
            tf.boolean_mask(scores, shown),
        )
        return tf.io.encode_png(painted)

    def draw(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        prepared, sizes = _decoded(image_bytes, size)
        outputs = _in_pixels(detect(prepared), sizes, size)
        rows = (image_bytes, *(outputs[name] for name in ("boxes", "classes", "scores")))
        png = tf.map_fn(drawn, rows, fn_output_signature=tf.TensorSpec([], tf.string))
        return {"image_bytes": png}

    return draw


def _for_mediapipe(outputs: Outputs, size: int) -> dict[str, tf.Tensor]:
    classes = outputs["classes"]
    left, top, right, bottom = tf.unstack(outputs["boxes"] / size, axis=-1)
    locations = tf.stack([top, left, bottom, right], axis=-1)
    return {
        LOCATIONS: tf.where(classes[..., None] < 0, tf.constant(_NO_LOCATION), locations),
        CLASSES: tf.cast(classes, tf.float32),
        SCORES: outputs["scores"],
        # All rows: MediaPipe divides their number by it. A constant output of a file with int8
        # weights would have another value.
        COUNT: tf.reduce_sum(tf.cast(outputs["scores"] >= 0, tf.float32), axis=1),
    }
