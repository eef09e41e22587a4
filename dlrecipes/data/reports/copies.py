"""Examples with the same content: within a part, across parts, and under several labels."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from dlrecipes.data.parts import PARTS
from dlrecipes.data.reports.report import Finding

# The part of data that is split at random later.
WHOLE = "all"


class Copy(NamedTuple):
    """One example.

    Args:
        part: Part that it belongs to: one of `PARTS`, or `WHOLE`.
        label: Its label; `None` without one.
        name: Name for messages; converted to text when it is printed.
    """

    part: str
    label: Hashable
    name: Hashable


class Copies:
    """Collects examples, and reports those that have the same content.

    Args:
        noun: Name of the examples in the plural, such as `"images"`.
        named: Function from an example's name to the text that is printed. Defaults to `str`.
        label: Name of an example's label. Defaults to `"label"`.

    Example:

    >>> from dlrecipes.data.reports.copies import Copies
    >>> copies = Copies("images")
    >>> copies.add(b"x", "train", "cat", "a.png")
    >>> copies.add(b"x", "test", "cat", "b.png")
    >>> print(copies.findings()[0])
    1 of 1 test images is also in train, so that the test score is too good.
        b.png = a.png
    """

    def __init__(self, noun: str, named: Callable[[Hashable], str] = str, label: str = "label"):
        self._noun = noun
        self._label = label
        self._named = named
        self._copies: dict[Hashable, list[Copy]] = {}
        self._totals: Counter[str] = Counter()

    def add(self, content: Hashable, part: str, label: Hashable, name: Hashable) -> None:
        """Adds an example.

        Args:
            content: Its content, or a hash of it.
            part: Part that it belongs to.
            label: Its label; `None` without one.
            name: Name of the example.
        """
        self._copies.setdefault(content, []).append(Copy(part, label, name))
        self._totals[part] += 1

    def findings(self) -> list[Finding]:
        """Returns a warning for each kind of copies: across parts, within them, other labels."""
        repeated = [copies for copies in self._copies.values() if len(copies) > 1]
        return [
            *self._across(repeated),
            *self._within(repeated),
            *self._labels(repeated),
        ]

    def _across(self, repeated: list[list[Copy]]) -> list[Finding]:
        findings = []
        for first, second in itertools.combinations(PARTS, 2):
            pairs = []
            for copies in repeated:
                earlier = [copy for copy in copies if copy.part == first]
                pairs += [(copy, earlier[0]) for copy in copies if copy.part == second and earlier]
            if pairs:
                what = f"{len(pairs):,} of {self._totals[second]:,} {second} {self._noun}"
                are = "is" if len(pairs) == 1 else "are"
                message = f"{what} {are} also in {first}, so that the {second} score is too good."
                findings.append(Finding(message, self._equations(pairs)))
        return findings

    def _within(self, repeated: list[list[Copy]]) -> list[Finding]:
        findings = []
        for part in (WHOLE, *PARTS):
            pairs = []
            for copies in repeated:
                own = [copy for copy in copies if copy.part == part]
                pairs += [(copy, own[0]) for copy in own[1:]]
            if pairs:
                risk = "; the split may put them in training and test" if part == WHOLE else ""
                where = "" if part == WHOLE else f"{part} "
                repeat = "repeats" if len(pairs) == 1 else "repeat"
                message = (
                    f"{len(pairs):,} of {self._totals[part]:,} {where}{self._noun} {repeat} an "
                    f"earlier one{risk}."
                )
                findings.append(Finding(message, self._equations(pairs)))
        return findings

    def _labels(self, repeated: list[list[Copy]]) -> list[Finding]:
        different = [copies for copies in repeated if len({copy.label for copy in copies}) > 1]
        pairs = [
            (copies[0], next(copy for copy in copies if copy.label != copies[0].label))
            for copies in different
        ]
        if not pairs:
            return []
        what = f"{self._noun.capitalize()} that occur with more than one {self._label}"
        message = f"{what}: {len(pairs):,}. Keep the right one."
        return [Finding(message, self._equations(pairs))]

    def _equations(self, pairs: list[tuple[Copy, Copy]]) -> list[str]:
        return [f"{self._named(one.name)} = {self._named(other.name)}" for one, other in pairs]


def shorten(names: Mapping[str, int] | list[str], most: int = 3) -> str:
    """Returns the first names, and how many are left out.

    Example:

    >>> from dlrecipes.data.reports.copies import shorten
    >>> shorten(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    names = list(names)
    hidden = len(names) - most
    return ", ".join(names[:most]) + (f" and {hidden:,} more" if hidden > 0 else "")
