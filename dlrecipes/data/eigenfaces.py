"""Eigenfaces: coordinates of images along the principal components of other images."""

import numpy as np

# More images give the same directions and take longer.
MOST = 1000


def eigenface_coordinates(
    training: np.ndarray, images: np.ndarray, variance: float = 0.95
) -> np.ndarray:
    """Returns the coordinates of images among the eigenfaces of training images.

    The eigenfaces are the principal components of at most about 2,000 training images, evenly
    spaced in their order.

    Args:
        training: Training images, shape `(count, pixels)`, floats, or uint8 that is divided by
            255.
        images: Images to describe, shape `(images, pixels)`, likewise.
        variance: Fraction of the training images' variance that the components keep, above 0 and
            below 1. Defaults to 0.95.

    Returns:
        Array of shape `(images, components)`.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.eigenfaces import eigenface_coordinates
    >>> faces = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> np.abs(eigenface_coordinates(faces, faces)).round(3).ravel().tolist()
    [1.414, 0.0, 1.414]

    Reference:
        Turk and Pentland, 1991, "Eigenfaces for recognition".
    """
    from sklearn.decomposition import PCA

    some = _floats(training[:: max(1, len(training) // MOST)])
    return PCA(variance, svd_solver="full").fit(some).transform(_floats(images))


def _floats(images: np.ndarray) -> np.ndarray:
    return images.astype("float32") / 255 if images.dtype == np.uint8 else images
