"""Features of Inception v3, of which the FID that papers print is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrecipes.errors import DataError

SIZE, FEATURES = 299, 2048
WEIGHTS = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
CHUNK = 16


def weights_file() -> Path:
    """Returns where Keras keeps Inception v3's weights once they were downloaded."""
    # As keras.utils.get_file finds the folder; Keras has no public name for it.
    from keras.src.backend.config import keras_home

    return Path(keras_home()) / "models" / WEIGHTS


def inception_features(images: np.ndarray, weights: str | None = "imagenet") -> np.ndarray:
    """Returns the features of Inception v3 (the last averages) of images.

    The weights are those of `keras.applications`, which differ a little from the ones of the
    FID's authors: a distance of them is near to published ones, and is not exactly comparable.

    Args:
        images: uint8 of shape `(count, height, width, 1 or 3)`; grey is taken for colour.
        weights: `"imagenet"`, which Keras downloads once (88 MB); a file; or `None` for untrained
            ones.

    Returns:
        float32 of shape `(count, 2048)`.

    Raises:
        DataError: If the weights are not there and cannot be downloaded.
        ValueError: If the images have another shape.

    Example:

    >>> inception_features(np.zeros((2, 32, 32, 3), "uint8"), weights=None).shape
    (2, 2048)

    Reference:
        Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2016, "Rethinking the Inception
        architecture for computer vision"; Heusel et al., 2017, section 3 (its use).
    """
    import keras
    import tensorflow as tf

    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must have shape (count, height, width, 1 or 3), not {images.shape}."
        )
    try:
        network = keras.applications.InceptionV3(
            include_top=False, weights=weights, pooling="avg", input_shape=(SIZE, SIZE, 3)
        )
    except Exception as error:
        # Keras raises a bare Exception where a download fails.
        raise DataError(
            f"Inception v3's weights cannot be had: {str(error).splitlines()[0]}",
            f"Put them at {weights_file()}, or measure without FID.",
        ) from error

    @tf.function(reduce_retracing=True)
    def features(batch: tf.Tensor) -> tf.Tensor:
        large = tf.image.resize(tf.cast(batch, tf.float32), [SIZE, SIZE])
        large = tf.broadcast_to(large, [tf.shape(large)[0], SIZE, SIZE, 3])
        return network(large / 127.5 - 1, training=False)

    parts = [features(images[k : k + CHUNK]).numpy() for k in range(0, len(images), CHUNK)]
    return np.concatenate(parts)
