"""Recipes of one's own: a copy of another recipe, or a new one to fill in."""

from __future__ import annotations

import keyword
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from dlrecipes.errors import UsageError
from dlrecipes.recipe.registry import Source

TEMPLATE = Path(__file__).with_name("template")
# Names that the template imports.
TAKEN = ("Config", "DataError", "Recipe", "Splits")


def copy_recipe(source: Source, folder: Path) -> None:
    """Copies a recipe's files, the whole folder or nothing.

    Args:
        source: The recipe.
        folder: The new folder, which must not exist.

    Raises:
        UsageError: If the folder exists, or its parent does not.
    """
    _make(source.folder, folder)


def new_recipe(folder: Path) -> None:
    """Writes a recipe that runs: two settings, data, a model, and batches.

    Args:
        folder: The new folder, which must not exist; its name becomes the recipe's.

    Raises:
        UsageError: If the folder exists, its parent does not, or its name has no letters.
    """
    words = re.findall(r"[^\W_]+", folder.name)
    name = "".join(word[0].upper() + word[1:] for word in words)
    if not name or not name[0].isalpha() or set(folder.name) & set("\"'\\\n"):
        raise UsageError(
            f"{folder}: a recipe's name must begin with a letter and have no quotes.",
            "Such as my_task.",
        )
    if name in TAKEN or keyword.iskeyword(name):
        name += "Recipe"

    def rename(part: Path) -> None:
        for path in part.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            text = text.replace("MyTask", name).replace("my_task", folder.name)
            text = text.replace("My task", " ".join(words).capitalize())
            path.write_text(text, encoding="utf-8")

    _make(TEMPLATE, folder, rename)


def _make(origin: Path, folder: Path, change: Callable[[Path], None] = lambda part: None) -> None:
    if folder.exists():
        raise UsageError(f"{folder}: this exists already.", "Name a new folder.")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent}: there is no such folder.", "Make it first.")
    part = folder.parent / f".copying-{uuid.uuid4().hex}"
    try:
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(origin, part, ignore=ignored, symlinks=False)
        change(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
