"""What builders share: checks of their arguments."""

from dlrecipes.layers._arguments import integer, number


def rates(**named) -> None:
    """Refuses a share of units left out that is no number in [0, 1)."""
    for name, value in named.items():
        number(name, value, "a number in [0, 1)", lambda rate: 0 <= rate < 1)


def integers(least: int = 1, **named) -> None:
    """Refuses what is no integer of at least so much; `True` is none."""
    for name, value in named.items():
        integer(name, value, least)


def several(least: int = 1, **named) -> None:
    """Refuses what is no tuple or list of integers of at least so much."""
    for name, value in named.items():
        try:
            _each(value, lambda one: integer("", one, least))
        except ValueError:
            raise ValueError(
                f"{name} must be a tuple or list of integers of at least {least}, not {value!r}."
            ) from None


def several_above_zero(**named) -> None:
    """Refuses what is no tuple or list of numbers above 0."""
    for name, value in named.items():
        try:
            _each(value, lambda one: number("", one, "", lambda size: size > 0))
        except ValueError:
            raise ValueError(
                f"{name} must be a tuple or list of numbers above 0, not {value!r}."
            ) from None


def _each(values, check) -> None:
    if not isinstance(values, tuple | list):
        raise ValueError
    for value in values:
        check(value)
