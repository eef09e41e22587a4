"""Features of Inception v3, from which the FID of papers is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlrecipes._utils.downloads import bounded_downloads
from dlrecipes.errors import DataError

SIZE, FEATURES = 299, 2048
WEIGHTS = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
CHUNK = 16


def weights_file() -> Path:
    """Returns the path at which Keras keeps Inception v3's weights after downloading them."""
    # The folder that keras.utils.get_file uses; Keras has no public name for it.
    from keras.src.backend.config import keras_home

    return Path(keras_home()) / "models" / WEIGHTS


def inception_features(images: np.ndarray, weights: str | None = "imagenet") -> np.ndarray:
    """Returns Inception v3's features (the final average pooling) of images.

    The weights are those of `keras.applications`, which differ slightly from the weights that the
    FID's authors used. A distance computed with them is close to published values but not exactly
    comparable.

    Args:
        images: Images, uint8 of shape `(count, height, width, 1 or 3)`; grey images are repeated
            to three channels.
        weights: `"imagenet"`, which Keras downloads once (88 MB), a path to a weights file, or
            `None` for untrained weights. Defaults to `"imagenet"`.

    Returns:
        Features, float32 of shape `(count, 2048)`.

    Raises:
        DataError: If the weights are missing and cannot be downloaded.
        ValueError: If the images have another shape.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.metrics.inception import inception_features
    >>> inception_features(np.zeros((2, 32, 32, 3), "uint8"), weights=None).shape
    (2, 2048)

    Reference:
        Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2016, "Rethinking the Inception
        architecture for computer vision". https://arxiv.org/abs/1512.00567
        Heusel et al., 2017, "GANs trained by a two time-scale update rule converge to a local
        Nash equilibrium", section 3 (its use for the FID). https://arxiv.org/abs/1706.08500
    """
    import keras
    import tensorflow as tf

    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must have shape (count, height, width, 1 or 3), not {images.shape}."
        )
    try:
        with bounded_downloads():
            network = keras.applications.InceptionV3(
                include_top=False, weights=weights, pooling="avg", input_shape=(SIZE, SIZE, 3)
            )
    except Exception as error:
        # Keras raises a bare Exception if a download fails.
        raise DataError(
            f"Inception v3's weights cannot be loaded: {str(error).splitlines()[0]}",
            f"Put them at {weights_file()}, or measure without FID.",
        ) from error

    @tf.function(reduce_retracing=True)
    def features(batch: tf.Tensor) -> tf.Tensor:
        resized = tf.image.resize(tf.cast(batch, tf.float32), [SIZE, SIZE])
        resized = tf.broadcast_to(resized, [tf.shape(resized)[0], SIZE, SIZE, 3])
        return network(resized / 127.5 - 1, training=False)

    parts = [features(images[k : k + CHUNK]).numpy() for k in range(0, len(images), CHUNK)]
    return np.concatenate(parts)
