"""Checks of arguments and shapes that several layers share, and output sizes of sliding windows."""

import numbers
from collections.abc import Callable

import keras


def number(name: str, value, expected: str, fits: Callable[[float], bool]) -> None:
    """Raises a ValueError unless `value` is a real number for which `fits` returns True."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not fits(value):
        raise ValueError(f"{name} must be {expected}, not {value!r}.")


def integer(name: str, value, least: int = 1) -> None:
    """Raises a ValueError unless `value` is an integer, not a boolean, of at least `least`."""
    if not _is_integer(value) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}.")


def shaped(name: str, shape, *axes: int | str) -> None:
    """Raises a ValueError unless a shape has the given axes.

    An integer axis has that size or is unknown; a string names an axis of any size.
    """
    fits = len(shape) == len(axes)
    if not fits or any(
        not isinstance(axis, str) and size not in (None, axis)
        for size, axis in zip(shape, axes, strict=True)
    ):
        expected = ", ".join(str(axis) for axis in axes)
        raise ValueError(f"{name} must be of shape ({expected}), not {tuple(shape)}.")


def pair(name: str, value) -> tuple[int, int]:
    """Returns `(height, width)` from one or two integers, each at least 1."""
    both = (value, value) if _is_integer(value) else value
    fits = isinstance(both, tuple | list) and len(both) == 2
    if not fits or any(not _is_integer(size) or size < 1 for size in both):
        raise ValueError(f"{name} must be one or two integers of at least 1, not {value!r}.")
    return tuple(both)


def padding_mode(value) -> str:
    """Returns Keras' name of a padding mode, and raises a ValueError for any other value."""
    if value not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same', not {value!r}.")
    return value


def sizes_after(sizes, window, steps, padding: str) -> list[int | None]:
    """Returns the output size of a sliding window along each axis, `None` where it is unknown.

    Raises a ValueError if the window is larger than the input and there is no padding.
    """
    output_sizes = []
    for size, width, step in zip(sizes, window, steps, strict=True):
        least = 1 if padding == "same" else width
        if size is not None and size < least:
            raise ValueError(
                f"inputs must be as large as the window, {tuple(window)}, or padded, "
                f"not of size {tuple(sizes)}."
            )
        output_sizes.append(None if size is None else (size - least) // step + 1)
    return output_sizes


def fresh(initializer):
    """Returns a copy of an initializer, with the same seed if it was given one.

    An instance that several weights share gives weights of the same shape the same values.
    """
    initializer = keras.initializers.get(initializer)
    is_object = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_object else initializer


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
