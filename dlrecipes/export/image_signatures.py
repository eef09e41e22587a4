"""Signatures of image models, which take encoded files and arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.image_bytes import decode_batch, prepare_batch
from dlrecipes.export.processing import Processing
from dlrecipes.export.signatures import Signature
from dlrecipes.export.version import LITERT_FILE

Outputs = dict[str, tf.Tensor]


def image_processing(
    after: Mapping[str, Any],
    *,
    fit: Callable[[tf.Tensor], tf.Tensor],
    shape: Sequence[int],
    by: str,
    file: str = LITERT_FILE,
    **settings: Any,
) -> Processing:
    """Returns how a LiteRT file answers image files, for `Exports.processing`.

    Args:
        after: Kind and settings of the answer (`dlrecipes.export.lite_processing.AFTER`).
        fit: Function that prepares an image in the graph, as for `image_signatures`.
        shape: Height, width and channels of a prepared image.
        by: The same for NumPy: `fit` of `dlrecipes.export.lite_processing.Images`.
        file: The LiteRT file. Defaults to `"model.tflite"`.
        **settings: Its further settings.
    """
    before = {"kind": "images", "fit": by, "size": shape[0], "channels": shape[-1], **settings}
    return Processing(
        before, after, lambda files: {"images": decode_batch(files, fit, shape)}, file
    )


def image_signatures(
    serve: Callable[[tf.Tensor], Outputs],
    litert: Callable[[tf.Tensor], Outputs],
    images: np.ndarray,
    *,
    fit: Callable[[tf.Tensor], tf.Tensor],
    shape: Sequence[int],
    prepare: Callable[[tf.Tensor], tf.Tensor] | None = None,
    serve_files: Callable[[tf.Tensor], Outputs] | None = None,
    arrays: Sequence[np.ndarray] = (),
) -> tuple[dict[str, Signature], Signature]:
    """Returns the SavedModel's signatures and the LiteRT file's signature of an image model.

    - `serving_default` takes `image_bytes`, PNG, JPEG, GIF, BMP or WebP files as strings of shape
      `(batch,)`, and rejects those that it would decode to other pixels than training does (see
      `dlrecipes.data.image_bytes.decode`);
    - `images` takes uint8 of shape `(batch, height, width, channels)`, any size, 1 to 4 channels;
    - the LiteRT file takes `images`, float32 from 0 to 1 in the shape of the network's input.

    Args:
        serve: Function from prepared images, float32 of shape `(batch, *shape)`, to outputs.
        litert: Function of the LiteRT file, with the same inputs.
        images: Examples for the verification, uint8 of shape `(count, height, width, channels)`.
        fit: Function from one image of any size, float32 of shape `(height, width, channels)`, from
            0 to 1, to a prepared image.
        shape: Height, width and channels (1 or 3) of a prepared image.
        prepare: Function from a batch of the signature `images` to prepared images. Defaults to
            `None`: `fit` prepares each.
        serve_files: Function of `serving_default`, from prepared images to outputs. Defaults to
            `serve`.
        arrays: Batches for the verification of `images`. Defaults to the examples, and to four of
            them in color at twice the height and three times the width.
    """
    files = np.array([tf.io.encode_png(image).numpy() for image in images], object)
    if not len(arrays):
        large = np.repeat(np.repeat(images[:4], 2, axis=1), 3, axis=2)
        arrays = (images, np.broadcast_to(large, [*large.shape[:-1], 3]))
    on_files = serve_files or serve

    def from_files(image_bytes: tf.Tensor) -> Outputs:
        return on_files(decode_batch(image_bytes, fit, shape))

    def from_arrays(images: tf.Tensor) -> Outputs:
        return serve(prepare(images) if prepare else prepare_batch(images, fit, shape))

    return (
        {
            "serving_default": Signature(
                from_files,
                [tf.TensorSpec([None], tf.string, name="image_bytes")],
                [(files,)],
            ),
            "images": Signature(
                from_arrays,
                [tf.TensorSpec([None, None, None, None], tf.uint8, name="images")],
                [(batch,) for batch in arrays],
            ),
        },
        Signature(
            litert,
            [tf.TensorSpec([None, *shape], tf.float32, name="images")],
            [(image[None].astype("float32") / 255,) for image in images],
        ),
    )
