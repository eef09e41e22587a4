"""Words of messages that depend on a number."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """Returns a number with its noun in the singular or plural.

    Args:
        count: The number.
        noun: Noun in the singular.
        plural: Noun in the plural. Defaults to the singular with an "s".

    Example:

    >>> from dlrecipes._utils.wording import counted
    >>> counted(1, "box", "boxes"), counted(1200, "box", "boxes"), counted(0, "image")
    ('1 box', '1,200 boxes', '0 images')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
