"""Notes for the user about training data that is too small for what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dlrecipes.data.reports.class_counts import FEW
from dlrecipes.data.reports.copies import shorten


def few_per_class(
    counts: Mapping[str, int], noun: str, groups: str, expect: str, least: int = FEW
) -> list[str]:
    """Returns a note if classes have few training examples, else nothing.

    Args:
        counts: Number of training examples by class.
        noun: Name of the examples in the plural, such as `"images"`.
        groups: Name of the classes in the plural, such as `"classes"`.
        expect: Clause about the results to expect of them.
        least: Number of examples that is enough. Defaults to 10.

    Example:

    >>> from dlrecipes.data.few_examples import few_per_class
    >>> few_per_class({"cat": 90, "dog": 4}, "images", "classes", "expect mistakes on them")
    ['1 of 2 classes has fewer than 10 training images (dog: 4): expect mistakes on them.']
    """
    few = [f"{name}: {count:,}" for name, count in counts.items() if count < least]
    if not few:
        return []
    has = "has" if len(few) == 1 else "have"
    return [
        f"{len(few):,} of {len(counts):,} {groups} {has} fewer than {least} training {noun} "
        f"({shorten(few)}): {expect}."
    ]


def few_in_all(count: int, least: int, noun: str, expect: str) -> list[str]:
    """Returns a note if there are few training examples in all, else nothing.

    Args:
        count: Number of training examples.
        least: Number of examples that is enough.
        noun: Name of the examples in the plural.
        expect: Clause about the results to expect.

    Example:

    >>> from dlrecipes.data.few_examples import few_in_all
    >>> few_in_all(30, 200, "images", "expect copies of them")
    ['30 training images are few (fewer than 200): expect copies of them.']
    """
    if count >= least:
        return []
    return [f"{count:,} training {noun} are few (fewer than {least:,}): {expect}."]


def label_counts(labels: Iterable[int], names: Sequence[str]) -> dict[str, int]:
    """Returns the number of examples of each class by name.

    Args:
        labels: Index of each example's class in `names`.
        names: Names of the classes.
    """
    counts = Counter(int(label) for label in labels)
    return {name: counts[number] for number, name in enumerate(names)}
