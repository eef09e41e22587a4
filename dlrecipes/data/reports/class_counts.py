"""Numbers of examples by class and part, and what is unusual about them."""

from __future__ import annotations

from collections.abc import Mapping

from dlrecipes._utils.wording import counted
from dlrecipes.data.folder_entries import natural
from dlrecipes.data.reports.copies import shorten
from dlrecipes.data.reports.report import DataReport, Finding

# A larger ratio of the largest to the smallest class, or a smaller class, is worth a warning.
MAX_RATIO, FEW = 10, 10


def add_classes(
    report: DataReport,
    counts: Mapping[str, Mapping[str, int]],
    noun: str = "images",
    balance: bool = False,
    title: str = "Classes",
) -> None:
    """Adds a table of the classes to a report, with warnings about uneven and missing classes.

    Args:
        report: Report that receives the table and the warnings.
        counts: Number of examples by class, for each part; the first part has the classes that
            are learned.
        noun: Name of the examples in the plural. Defaults to `"images"`.
        balance: Whether the recipe has a setting `--balance`. Defaults to `False`.
        title: Heading of the table. Defaults to `"Classes"`.

    Example:

    >>> from dlrecipes.data.reports import DataReport
    >>> from dlrecipes.data.reports.class_counts import add_classes
    >>> report = DataReport("animals")
    >>> add_classes(report, {"train": {"cat": 900, "dog": 30}, "test": {"cat": 10}})
    >>> for finding in report.warnings:
    ...     print(finding.message)
    The classes are uneven: 'cat' has 30 times as many train images as 'dog'.
    The test part lacks 1 of 2 classes: dog.
    """
    first, learned = next(iter(counts.items()))
    names = sorted({name for own in counts.values() for name in own}, key=natural)
    total = sum(learned.values())
    rows = [
        [
            name,
            *(own.get(name, 0) for own in counts.values()),
            _percent(learned.get(name, 0), total),
        ]
        for name in names
    ]
    report.add_table(title, ["class", *counts, f"of {first}"], rows)
    report.warnings += [
        *_uneven(learned, first, noun, balance),
        *_few(learned, first, noun),
        *_missing(counts),
    ]


def add_groups(
    report: DataReport,
    counts: Mapping[str, Mapping[str, int]],
    groups: str,
    noun: str = "images",
) -> None:
    """Adds a table of how many examples the groups of each part have, such as people.

    Args:
        report: Report that receives the table.
        counts: Number of examples by group, for each part.
        groups: Name of the groups in the plural, such as `"people"`.
        noun: Name of the examples in the plural. Defaults to `"images"`.
    """
    rows = []
    for part, own in counts.items():
        ordered = sorted(count for count in own.values() if count)
        if ordered:
            middle = ordered[(len(ordered) - 1) // 2]
            rows.append([part, len(ordered), ordered[0], middle, ordered[-1], ordered.count(1)])
    columns = ["part", groups, f"fewest {noun}", "median", f"most {noun}", "with a single one"]
    report.add_table(groups.capitalize(), columns, rows)


def _percent(count: int, total: int) -> str:
    return f"{count / max(total, 1):.1%}"


def _uneven(counts: Mapping[str, int], part: str, noun: str, balance: bool) -> list[Finding]:
    present = {name: count for name, count in counts.items() if count}
    if not present:
        return []
    largest, smallest = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    ratio = present[largest] / present[smallest]
    if ratio <= MAX_RATIO:
        return []
    where = "" if part == "all" else f"{part} "
    advice = " --balance weights the classes equally." if balance else ""
    return [
        Finding(
            f"The classes are uneven: {largest!r} has {ratio:.0f} times as many {where}{noun} as "
            f"{smallest!r}.{advice}"
        )
    ]


def _few(counts: Mapping[str, int], part: str, noun: str) -> list[Finding]:
    few = [f"{name}: {count:,}" for name, count in counts.items() if 0 < count < FEW]
    if not few:
        return []
    where = "" if part == "all" else f"{part} "
    classes = counted(len(few), "class has", "classes have")
    return [Finding(f"{classes} fewer than {FEW} {where}{noun}.", few)]


def _missing(counts: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """Warns of classes that are in one of the parts, but not in the first, or the reverse."""
    (first, learned), *others = counts.items()
    known = [name for name, count in learned.items() if count]
    findings = []
    for part, own in others:
        missing = [name for name in known if not own.get(name)]
        unknown = [name for name, count in own.items() if count and not learned.get(name)]
        if missing and any(own.values()):
            message = f"The {part} part lacks {len(missing):,} of {len(known):,} classes: "
            findings.append(Finding(f"{message}{shorten(missing)}."))
        if unknown:
            many = f"{len(unknown):,} classes" if len(unknown) > 1 else "a class"
            message = f"The {part} part has {many} that {first} lacks: {shorten(unknown)}."
            findings.append(Finding(message))
    return findings
