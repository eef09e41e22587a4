"""What layers share: checks of arguments and shapes, and the sizes that a window leaves."""

import numbers
from collections.abc import Callable

import keras


def number(name: str, value, wanted: str, fits: Callable[[float], bool]) -> None:
    """Refuses what is no real number, or one that does not fit."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not fits(value):
        raise ValueError(f"{name} must be {wanted}, not {value!r}.")


def integer(name: str, value, least: int = 1) -> None:
    """Refuses what is no integer of at least so much; `True` is none."""
    if not _is_integer(value) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}.")


def shaped(name: str, shape, *axes: int | str) -> None:
    """Refuses a shape of other axes than these: a size, or the name of one that may be any."""
    fine = len(shape) == len(axes)
    if not fine or any(
        not isinstance(axis, str) and size not in (None, axis)
        for size, axis in zip(shape, axes, strict=True)
    ):
        wanted = ", ".join(str(axis) for axis in axes)
        raise ValueError(f"{name} must be of shape ({wanted}), not {tuple(shape)}.")


def pair(name: str, value) -> tuple[int, int]:
    """Returns sizes for height and width from one integer or two, each at least 1."""
    both = (value, value) if _is_integer(value) else value
    fine = isinstance(both, tuple | list) and len(both) == 2
    if not fine or any(not _is_integer(one) or one < 1 for one in both):
        raise ValueError(f"{name} must be one or two integers of at least 1, not {value!r}.")
    return tuple(both)


def padding_mode(value) -> str:
    """Returns the padding of a window that slides, as Keras names it."""
    if value not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same', not {value!r}.")
    return value


def sizes_after(sizes, window, steps, padding: str) -> list[int | None]:
    """Returns the sizes that a window sliding over these leaves, `None` where unknown.

    One that does not fit is refused.
    """
    found = []
    for size, width, step in zip(sizes, window, steps, strict=True):
        reach = 1 if padding == "same" else width
        if size is not None and size < reach:
            raise ValueError(
                f"inputs must be as large as the window, {tuple(window)}, or padded, "
                f"not of size {tuple(sizes)}."
            )
        found.append(None if size is None else (size - reach) // step + 1)
    return found


def fresh(initializer):
    """Returns an initializer that draws anew, seeded as before if it was given a seed.

    One that weights share gives those of the same shape the same values.
    """
    found = keras.initializers.get(initializer)
    return found.clone() if isinstance(found, keras.initializers.Initializer) else found


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
