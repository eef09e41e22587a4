"""What the layers with a sliding window share: checks of arguments, and sizes."""


def pair(name: str, value) -> tuple[int, int]:
    """Returns sizes for height and width from one integer or two, each at least 1."""
    both = (value, value) if isinstance(value, int) else value
    fine = isinstance(both, tuple | list) and len(both) == 2
    if not fine or any(not isinstance(one, int) or one < 1 for one in both):
        raise ValueError(f"{name} must be one or two integers of at least 1, not {value!r}.")
    return tuple(both)


def padding_mode(value) -> str:
    """Returns the padding of a window that slides, as Keras names it."""
    if value not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same', not {value!r}.")
    return value


def sizes_after(sizes, window, steps, padding: str) -> list[int | None]:
    """Returns the sizes that a window sliding over these leaves, `None` where unknown."""
    found = []
    for size, width, step in zip(sizes, window, steps, strict=True):
        reach = 1 if padding == "same" else width
        found.append(None if size is None else (size - reach) // step + 1)
    return found
