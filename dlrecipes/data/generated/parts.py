"""Parts of generated data: validation and test are the same for any number of training examples."""

from collections.abc import Callable
from typing import TypeVar

Part = TypeVar("Part")

# Number of the first example of each part: far more than any part has.
FIRST_VALIDATION, FIRST_TEST = 10_000_000, 20_000_000


def generated_parts(
    draw: Callable[[int, int], Part], train: int, validation: int, test: int
) -> tuple[Part, Part, Part]:
    """Returns the training, validation and test part.

    Args:
        draw: Function from the number of examples, and the number of the first, to a part.
        train: Number of training examples.
        validation: Number of validation examples; no more than of training.
        test: Number of test examples; no more than of training.

    Example:

    >>> from dlrecipes.data.generated.parts import generated_parts
    >>> generated_parts(lambda count, first: (count, first), 300, validation=200, test=400)
    ((300, 0), (200, 10000000), (300, 20000000))
    """
    return (
        draw(train, 0),
        draw(min(train, validation), FIRST_VALIDATION),
        draw(min(train, test), FIRST_TEST),
    )
