"""The names of a published model's classes, one per line of a text file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

LABELS_FILE = "labels.txt"


def labels_file(names: Sequence[str]) -> dict[str, str]:
    """Returns the file of the classes' names, for `Exports.files`.

    Args:
        names: Names of the classes.

    Example:

    >>> from dlrecipes.recipe.labels import labels_file
    >>> labels_file(["cat", "dog"])
    {'labels.txt': 'cat\\ndog\\n'}
    """
    return {LABELS_FILE: "".join(f"{name}\n" for name in names)}


def published_labels(version: ModelVersion) -> list[str]:
    """Returns the names of a version's classes.

    Args:
        version: Published version.

    Raises:
        PublishError: If it has no file of names.
    """
    from dlrecipes.export.version import EXTRAS

    return version.file(f"{EXTRAS}/{LABELS_FILE}").read_text(encoding="utf-8").split("\n")[:-1]
