"""What generators and discriminators share: initial weights and checks of arguments."""

import keras

from dlrecipes.layers._arguments import fresh, integer


def anew(initializer):
    """Returns an initializer for one more layer, by default the one of these networks.

    Args:
        initializer: As Keras takes it, or `None` for a normal distribution with a standard
            deviation of 0.02, which Radford et al. (2016) began and Isola et al. and Zhu et
            al. (2017) went on with.

    Returns:
        The initializer, in a form that draws values of its own.
    """
    if initializer is None:
        return keras.initializers.RandomNormal(stddev=0.02)
    return fresh(initializer)


def check_integers(at_least: int, **numbers) -> None:
    """Raises ValueError if an argument is not an integer or too small.

    Args:
        at_least: The smallest that is allowed.
        numbers: The arguments by name.

    Raises:
        ValueError: If one is not such an integer.

    Example:

    >>> check_integers(1, filters=64, channels=0)
    Traceback (most recent call last):
    ...
    ValueError: channels must be an integer of at least 1, not 0.
    """
    for name, number in numbers.items():
        integer(name, number, at_least)
