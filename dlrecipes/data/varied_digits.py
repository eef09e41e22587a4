"""Generated and scanned digits together, split by writer, in the format of MNIST."""

from __future__ import annotations

import numpy as np

from dlrecipes.data.digits import SIZE, LabelledImages, Parts
from dlrecipes.data.generated.digits import generated_digits

# Numbers of generated images for training, validation and test: each writer is in one part.
GENERATED = (6000, 1000, 1000)
# Rows of scikit-learn's digits at which a part ends. 14 forms were filled in by 13 writers, with
# the same digits in the same order: these are the ends of the eighth and the tenth form.
_ENDS = (1029, 1287)


def varied_digits(seed: int) -> Parts:
    """Returns generated digits and scikit-learn's digits, split by writer.

    There are 8,000 generated digits (see `dlrecipes.data.generated.digits.generated_digits`),
    and the 1,797 scanned ones of scikit-learn, enlarged from 8x8 pixels. The scans are split where
    a form ends, so that their test images are by writers who are not in the training data, except
    that one of the 13 writers filled in two forms.

    Args:
        seed: Seed of the generated digits; the split of the scans is fixed.

    Returns:
        Training, validation and test images; in each part, the scans follow the generated digits.

    Example:

    >>> from dlrecipes.data.varied_digits import varied_digits
    >>> train, validation, test = varied_digits(seed=0)
    >>> train.images.shape, len(validation), len(test)
    ((7029, 28, 28), 1258, 1510)

    Reference:
        Alpaydin and Kaynak, 1998, "Optical recognition of handwritten digits", UCI machine
        learning repository, https://doi.org/10.24432/C50P49.
    """
    scans, scanned_labels = scanned_digits()
    images, labels = generated_digits(sum(GENERATED), seed)
    names = tuple("0123456789")
    train, validation, test = (
        LabelledImages(
            np.concatenate([own_images, own_scans]), np.concatenate([own_labels, own_of]), names
        )
        for own_images, own_labels, own_scans, own_of in zip(
            np.split(images, np.cumsum(GENERATED[:2])),
            np.split(labels, np.cumsum(GENERATED[:2])),
            np.split(scans, _ENDS),
            np.split(scanned_labels, _ENDS),
            strict=True,
        )
    )
    return train, validation, test


def scanned_digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns scikit-learn's 1,797 digits in the format of MNIST, in the order of their forms.

    They are enlarged to strokes with sharp edges and normalised as photographs are. In
    `dlrecipes.data.digits.builtin_digits` they are only resized.

    Returns:
        Images, uint8 of shape `(1797, 28, 28)`, and labels, int32 of shape `(1797,)`.
    """
    import tensorflow as tf
    from sklearn.datasets import load_digits

    from dlrecipes.data.handwriting import normalise

    digits = load_digits()
    ink = np.pad(digits.images.astype("float32") / 16, [[0, 0], [2, 2], [2, 2]])
    large = tf.image.resize(ink[..., None], [48, 48], "bicubic")[..., 0]
    # Grey pixels are strokes narrower than a pixel: the enlarged edges are steeper.
    images = normalise(tf.clip_by_value((large - 0.35) / 0.3, 0.0, 1.0), SIZE).numpy()
    return (images * 255).round().astype("uint8"), digits.target.astype("int32")
