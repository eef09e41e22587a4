"""Checks of arguments that several model builders share."""

from dlrecipes.layers._arguments import integer, number


def check_rates(**rates) -> None:
    """Raises `ValueError` unless each dropout rate is a number in [0, 1)."""
    for name, value in rates.items():
        number(name, value, "a number in [0, 1)", lambda rate: 0 <= rate < 1)


def check_integers(minimum: int = 1, /, **integers) -> None:
    """Raises `ValueError` unless each argument is an integer of at least `minimum`.

    `True` and `False` are not integers here.

    Example:

    >>> from dlrecipes.models._arguments import check_integers
    >>> check_integers(1, filters=64, channels=0)
    Traceback (most recent call last):
    ...
    ValueError: channels must be an integer of at least 1, not 0.
    """
    for name, value in integers.items():
        integer(name, value, minimum)


def check_integer_lists(minimum: int = 1, /, **lists) -> None:
    """Raises `ValueError` unless each argument is a tuple or list of integers from `minimum`."""
    for name, value in lists.items():
        try:
            _check_items(value, lambda item: integer("", item, minimum))
        except ValueError:
            raise ValueError(
                f"{name} must be a tuple or list of integers of at least {minimum}, not {value!r}."
            ) from None


def check_positive_lists(**lists) -> None:
    """Raises `ValueError` unless each argument is a tuple or list of numbers above 0."""
    for name, value in lists.items():
        try:
            _check_items(value, lambda item: number("", item, "", lambda size: size > 0))
        except ValueError:
            raise ValueError(
                f"{name} must be a tuple or list of numbers above 0, not {value!r}."
            ) from None


def _check_items(values, check) -> None:
    if not isinstance(values, tuple | list):
        raise ValueError
    for value in values:
        check(value)
