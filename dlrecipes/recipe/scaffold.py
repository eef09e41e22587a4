"""Recipes of one's own: a copy of another recipe, or a new one to fill in."""

from __future__ import annotations

import keyword
import re
import shlex
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from dlrecipes.errors import UsageError
from dlrecipes.recipe.readme import COLUMNS, results_table
from dlrecipes.recipe.registry import Source

TEMPLATE = Path(__file__).with_name("template")
# Commands that take a recipe.
VERBS = "run|evaluate|predict|tune|export|validate|info"
# Names that the template imports.
TAKEN = ("Config", "DataError", "Recipe", "Splits")


def copy_recipe(source: Source, folder: Path) -> None:
    """Copies a recipe's files, the whole folder or nothing.

    Commands and messages in the copy have its own name, and it has no results yet: `results.csv`
    has its header alone, and the section of results in `README.md` is empty.

    Args:
        source: The recipe.
        folder: The new folder, which must not exist.

    Raises:
        UsageError: If the folder exists, or its parent does not.
    """

    def rename(part: Path) -> None:
        for path in [*part.glob("*.py"), *part.glob("README.md")]:
            text = path.read_bytes().decode("utf-8", errors="surrogateescape")
            renamed = _with_name(text, source.name, folder.name, is_code=path.suffix == ".py")
            if path.suffix == ".md":
                renamed = _without_results(renamed, source.name, folder.name)
            path.write_bytes(renamed.encode("utf-8", errors="surrogateescape"))
        if (part / "results.csv").is_file():
            (part / "results.csv").write_text(",".join(COLUMNS) + "\n", encoding="utf-8")

    _make(source.folder, folder, rename)


def _with_name(text: str, old: str, new: str, is_code: bool) -> str:
    """Returns code or Markdown whose commands and messages have a copy's name."""
    # Some characters would end a text in Python code.
    plain = re.sub(r"[\"'\\{}]", "_", new)
    name, typed = re.escape(old), f"./{plain}" if is_code else shlex.quote(f"./{new}")
    for pattern, replacement in (
        (rf"(dlrecipes (?:{VERBS}) ){name}(?![\w-])", typed),
        (rf"(benchmarks/measure\.py ){name}(?![\w-])", typed),
        (rf"((?:runs|saved_models|v1/models)/){name}(?![\w-])", plain if is_code else new),
        (rf"(load(?:_recipe)?\(\"){name}(?=\")", f"./{plain}"),
        (rf"(recipe=\"){name}(?=\")", plain),
        (rf"(\"|: ){name}(?= (?:reads|takes) no )", plain),
    ):
        text = re.sub(pattern, r"\g<1>" + replacement.replace("\\", r"\\"), text)
    return text


def _without_results(text: str, old: str, new: str) -> str:
    """Returns the README of a copy: its own title, where it is from, and no results."""
    text = re.sub(r"\A# .*\n", lambda _: f"# {new}\n\nA copy of the recipe {old}.\n", text)
    section = (
        "## Results\n\nNone yet. Write one row for each run and metric into `results.csv`.\n\n"
        f"<!-- results: generated -->\n{results_table([])}\n<!-- end -->\n\n"
    )
    return re.sub(r"^## Results\n.*?(?=^## |\Z)", lambda _: section, text, flags=re.M | re.S)


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
