"""Class names that are too similar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dlrecipes.errors import DataError


def refuse_similar(path: Path, names: Iterable[str]) -> None:
    """Refuses names that differ in case or spaces alone, unless they are single letters.

    Args:
        path: Data that has the classes, for the message.
        names: Names of the classes, which may repeat.

    Raises:
        DataError: If two names differ in case or spaces alone.

    Example:

    >>> from pathlib import Path
    >>> from dlrecipes.data.class_names import refuse_similar
    >>> refuse_similar(Path("photos"), ["cat", "dog", "a", "A"])
    """
    known: dict[str, str] = {}
    for name in dict.fromkeys(names):
        other = known.setdefault(" ".join(name.casefold().split()), name)
        if other != name and len(name) > 1:
            raise DataError(
                f"{path}: the classes {other!r} and {name!r} differ in case or spaces alone.",
                "Merge them, or rename one.",
            )
