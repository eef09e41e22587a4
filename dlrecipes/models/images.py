"""Helpers of image networks: argument checks, sizes, widths and seeds."""

import functools

import keras

from dlrecipes.layers._arguments import number
from dlrecipes.models._arguments import check_integers
from dlrecipes.models._arguments import check_rates as check_rates


def channels_last(builder):
    """Makes a builder's layers use channels last, regardless of Keras' global setting.

    Args:
        builder: A function that returns a `keras.Model`.

    Returns:
        The decorated builder.
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

    >>> from dlrecipes.models.images import smallest_size
    >>> smallest_size((5, 1), (2, 2), (5, 1))
    14
    """
    size = 1
    for window, stride in reversed(windows):
        size = (size - 1) * stride + window
    return size


def image_input(input_shape, smallest: int = 1, any_size: bool = False):
    """Returns the symbolic input `images`, or raises an error if the network cannot read the shape.

    Args:
        input_shape: `(height, width, channels)`.
        smallest: Minimum height and width. Defaults to 1.
        any_size: Whether height and width may be `None`, which allows any size. Defaults to
            `False`.

    Returns:
        A `keras.KerasTensor` of shape `(batch, height, width, channels)`.

    Raises:
        ValueError: If the shape does not have this form.
    """
    shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    bounds = (smallest, smallest, 1)
    is_valid = len(shape) == 3 and all(
        (isinstance(size, int) and size >= bound) or (any_size and axis < 2 and size is None)
        for axis, (size, bound) in enumerate(zip(shape, bounds, strict=True))
    )
    if not is_valid:
        reason = "; the channels are missing" if len(shape) == 2 else ""
        if None in shape[:2] and not any_size:
            reason += "; None is not allowed here"
        raise ValueError(
            f"input_shape must be (height, width, channels) with a height and a width of at "
            f"least {smallest} each{' (or None)' if any_size else ''}, not {input_shape!r}{reason}."
        )
    return keras.Input(shape, name="images")


def check_classifier(num_classes: int, width: float, **rates: float) -> None:
    """Raises `ValueError` if a classifier's size or a dropout rate is out of bounds.

    Args:
        num_classes: Number of classes, an integer of at least 1.
        width: Multiplier of the channels, above 0.
        **rates: Dropout rates by name, each in [0, 1).

    Raises:
        ValueError: If an argument is out of bounds.
    """
    check_integers(num_classes=num_classes)
    number("width", width, "a number above 0", lambda factor: factor > 0)
    check_rates(**rates)


def check_choice(name: str, value, known) -> None:
    """Raises `ValueError` unless an argument has one of the known values.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        known: The known values.

    Raises:
        ValueError: If the value is not one of them.
    """
    if value not in known:
        choices = ", ".join(repr(choice) for choice in known)
        raise ValueError(f"{name} must be one of {choices}, not {value!r}.")


def scaled(filters: int, width: float, multiple: int = 1) -> int:
    """Returns a number of channels times `width`, rounded to a positive multiple of `multiple`.

    Args:
        filters: Number of channels in the paper.
        width: Multiplier of the channels.
        multiple: Integer that divides the result. Defaults to 1.

    Returns:
        The number of channels.

    Example:

    >>> from dlrecipes.models.images import scaled
    >>> scaled(96, 0.1), scaled(96, 0.1, multiple=4), scaled(96, 0.001)
    (10, 8, 1)
    """
    return max(1, round(filters * width / multiple)) * multiple


def nth_seed(seed: int | None, n: int) -> int | None:
    """Returns the seed of a network's n-th random layer, or `None` without a seed.

    Args:
        seed: Seed of the network, or `None`.
        n: Number of the layer.
    """
    return None if seed is None else seed + n
