"""What networks that read images share: checks, sizes, widths, initial weights."""

import functools

import keras

from dlrecipes.layers._arguments import number
from dlrecipes.models._arguments import integers
from dlrecipes.models._arguments import rates as check_rates


def channels_last(builder):
    """Makes a builder's layers read channels last, whatever Keras is told to expect.

    Args:
        builder: A function that returns a `keras.Model`.

    Returns:
        The builder.
    """

    @functools.wraps(builder)
    def build(*args, **kwargs):
        before = keras.config.image_data_format()
        keras.config.set_image_data_format("channels_last")
        try:
            return builder(*args, **kwargs)
        finally:
            keras.config.set_image_data_format(before)

    return build


def smallest_size(*windows: tuple[int, int]) -> int:
    """Returns the smallest height or width that leaves one position after all windows.

    Args:
        windows: `(size, stride)` of each window without padding, from the image upwards; a
            window with `"same"` padding counts as one of size 1.

    Returns:
        The size, at least 1.

    Example:

    >>> smallest_size((5, 1), (2, 2), (5, 1))
    14
    """
    size = 1
    for window, stride in reversed(windows):
        size = (size - 1) * stride + window
    return size


def image_input(input_shape, smallest: int = 1, any_size: bool = False):
    """Returns the symbolic input `images`, if a network can read images of that shape.

    Args:
        input_shape: `(height, width, channels)`.
        smallest: Smallest height and width.
        any_size: Whether height and width may be `None`, which leaves them open.

    Returns:
        A `keras.KerasTensor` of shape `(batch, height, width, channels)`.

    Raises:
        ValueError: If the shape is not such a triple.
    """
    shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    bounds = (smallest, smallest, 1)
    fine = len(shape) == 3 and all(
        (isinstance(size, int) and size >= bound) or (any_size and axis < 2 and size is None)
        for axis, (size, bound) in enumerate(zip(shape, bounds, strict=True))
    )
    if not fine:
        why = "; the channels are missing" if len(shape) == 2 else ""
        if None in shape[:2] and not any_size:
            why += "; None is not allowed here"
        raise ValueError(
            f"input_shape must be (height, width, channels) with a height and a width of at "
            f"least {smallest} each{' (or None)' if any_size else ''}, not {input_shape!r}{why}."
        )
    return keras.Input(shape, name="images")


def check(num_classes: int, width: float, **rates: float) -> None:
    """Raises ValueError if a network's size or a share that is left out is impossible.

    Args:
        num_classes: Must be an integer of at least 1.
        width: Must be above 0.
        rates: Shares by name; each must be in [0, 1).

    Raises:
        ValueError: If one of them is not.
    """
    integers(num_classes=num_classes)
    number("width", width, "a number above 0", lambda factor: factor > 0)
    check_rates(**rates)


def choose(name: str, value, known) -> None:
    """Raises ValueError unless an argument has one of the values known.

    Args:
        name: Name of the argument.
        value: What was given.
        known: What may be given.

    Raises:
        ValueError: If the value is not among them.
    """
    if value not in known:
        named = ", ".join(repr(one) for one in known)
        raise ValueError(f"{name} must be one of {named}, not {value!r}.")


def scaled(filters: int, width: float, multiple: int = 1) -> int:
    """Returns a number of channels times `width`, rounded to a multiple and at least that.

    Args:
        filters: The paper's number of channels.
        width: The multiplier.
        multiple: What the result is a multiple of.

    Returns:
        The number of channels.

    Example:

    >>> scaled(96, 0.1), scaled(96, 0.1, multiple=4), scaled(96, 0.001)
    (10, 8, 1)
    """
    return max(1, round(filters * width / multiple)) * multiple


def nth_seed(seed: int | None, n: int) -> int | None:
    """Returns the seed of a network's n-th random layer, or `None` where there is no seed."""
    return None if seed is None else seed + n
