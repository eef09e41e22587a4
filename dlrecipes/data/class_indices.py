"""Labels of one list of class names as indices of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlrecipes.errors import DataError


def class_indices(labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Returns labels as indices of a model's class names.

    Args:
        labels: Class of each example, integers, indices of `names`.
        names: Class names of the examples, perhaps in another order than the model's.
        known: Class names of the model.

    Returns:
        int32 array in the shape of the labels.

    Raises:
        DataError: If the model does not know a class.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.class_indices import class_indices
    >>> class_indices(np.array([0, 0, 1]), ("dog", "cat"), ("cat", "dog")).tolist()
    [1, 1, 0]
    """
    places = {name: place for place, name in enumerate(known)}
    unknown = [name for name in names if name not in places]
    if unknown:
        raise DataError(
            f"The data has the class {unknown[0]!r}; the model knows {', '.join(known)}.",
            "Train a model on this data, or evaluate on data with the same classes.",
        )
    return np.array([places[name] for name in names], "int32")[labels]
