"""The parts of the documentation site that are made at build time; docs/conf.py calls them."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

from tools.library_page import SECTIONS, grouped

# Packages of the API reference, with the heading of each page.
API = {
    "dlrecipes": "Front door",
    **{package: heading for package, (heading, _) in SECTIONS.items()},
    "dlrecipes.export": "Export",
    "dlrecipes.recipe": "Recipe",
}

INDEX = """API reference
=============

Each page below is generated from the docstrings. :doc:`The library </library>` lists the same
layers, models, losses, trainers and metrics with their papers.

.. toctree::
   :maxdepth: 1

%s
"""

SUMMARY = """.. autosummary::
   :toctree: generated
   :nosignatures:

%s"""


def write_api_pages(folder: Path) -> None:
    """Writes one page per package, with a table of its public names, and their index.

    A package without public names gets no page.

    Args:
        folder: Folder of the pages, in the documentation's source folder.
    """
    folder.mkdir(exist_ok=True)
    pages: dict[str, str] = {}
    for package, heading in API.items():
        if getattr(importlib.import_module(package), "__all__", ()):
            pages[package.rpartition(".")[2]] = api_page(package, heading)
    pages["index"] = INDEX % "\n".join(f"   {page}" for page in pages)
    for name, text in pages.items():
        (folder / f"{name}.rst").write_text(text, encoding="utf-8")


def api_page(package: str, heading: str) -> str:
    """Returns the API page of a package as reStructuredText.

    A name that another package on these pages defines is a link to its page.

    Args:
        package: Full name of the package.
        heading: Heading of the page.
    """
    module = importlib.import_module(package)
    introduction = inspect.cleandoc(module.__doc__ or "").split("\n")
    parts = [
        _underlined(heading, "="),
        f"``import {package}``",
        "\n".join(to_restructured_text(introduction)),
    ]
    groups = SECTIONS.get(package, ("", {}))[1]
    elsewhere: list[str] = []
    for group, names in grouped(package, groups).items():
        homes = {name: _home(package, name) for name in names}
        own = [name for name in names if homes[name] == package]
        elsewhere += [f":py:obj:`{homes[name]}.{name}`" for name in names if name not in own]
        parts += [_underlined(group, "-")] if group else []
        parts.append(SUMMARY % "\n".join(f"   ~{package}.{name}" for name in own))
    if elsewhere:
        parts.append(f"Also in this package: {', '.join(elsewhere)}.")
    return "\n\n".join(parts) + "\n"


def _underlined(heading: str, line: str) -> str:
    return f"{heading}\n{line * len(heading)}"


def _home(package: str, name: str) -> str:
    """Returns the package on whose page a public name of `package` is documented."""
    defined = getattr(importlib.import_module(package), name).__module__
    for other in API:
        defines = other != "dlrecipes" and defined.startswith(f"{other}.")
        if defines and name in importlib.import_module(other).__all__:
            return other
    return package


def to_restructured_text(lines: list[str]) -> list[str]:
    """Returns a docstring of this project as reStructuredText.

    Docstrings mark code as Markdown does, with single backticks, and indent formulas and tables by
    four spaces. Their examples begin with `Example:`, unindented. Doctests stay as they are.

    Example:

    >>> from tools.site import to_restructured_text
    >>> to_restructured_text(["Returns `x`s."])
    ['Returns ``x``\\\\ s.']
    """
    rubrics = {"Example:": ".. rubric:: Example", "Examples:": ".. rubric:: Examples"}
    return _code_spans([rubrics.get(line, line) for line in _literal_blocks(lines)])


def _literal_blocks(lines: list[str]) -> list[str]:
    """Puts `::` before indented blocks that follow unindented text."""
    converted: list[str] = []
    previous = ""  # The last line that is not empty.
    for number, line in enumerate(lines):
        begins = line.startswith("    ") and number and not lines[number - 1].strip()
        if begins and previous[:1].strip() and not previous.startswith((">>>", "-", "*")):
            converted += ["::", ""]
        converted.append(line)
        previous = line if line.strip() else previous
    return converted


def _code_spans(lines: list[str]) -> list[str]:
    """Doubles the backticks around code, which may span two lines."""

    def doubled(match: re.Match[str]) -> str:
        before = "\\ " if match[1] and match[1] in "\"'" else ""
        return f"{match[1]}{before}``{match[2]}``" + ("\\ " if match[3] else "")

    text: list[str] = []
    for line in lines:
        code = line.lstrip().startswith((">>>", "... "))
        text.append(line.replace("`", "\0") if code else line)
    converted = re.sub(
        r"(^|[^`:\w\\])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)(?=(\w)?)", doubled, "\n".join(text)
    )
    return converted.replace("\0", "`").split("\n")


def link_to_api(markdown: str) -> str:
    """Returns the library page with links to API pages in place of links to source files.

    Example:

    >>> from tools.site import link_to_api
    >>> link_to_api("[`Step(...)`](../dlrecipes/layers/step.py)")
    '[`Step(...)`](#dlrecipes.layers.Step)'
    """
    return re.sub(
        r"\[`(\w+)(\([^`]*\))`\]\(\.\./dlrecipes/(\w+)/[\w/]+\.py\)",
        r"[`\1\2`](#dlrecipes.\3.\1)",
        markdown,
    )
