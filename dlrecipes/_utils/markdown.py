"""Markdown tables."""

from __future__ import annotations

from typing import Any


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def replace_section(text: str, heading: str, content: str) -> str:
    """Replaces a section of a Markdown text, or adds it at the end.

    A section ends at the next heading of the same level or a higher one.

    Args:
        text: The text.
        heading: Line with which the section begins, such as `"## Files"`.
        content: New section with its heading; `""` removes it.

    Example:

    >>> from dlrecipes._utils.markdown import replace_section
    >>> replace_section("# A\\n\\n## B\\n\\nold\\n\\n## C\\n", "## B", "## B\\n\\nnew")
    '# A\\n\\n## B\\n\\nnew\\n\\n## C\\n'
    """
    before, section, after = split_section(text, heading)
    if not section:
        return f"{text.rstrip()}\n\n{content}\n" if content else text
    kept = (part.strip("\n") for part in (before, content, after))
    return "\n\n".join(part for part in kept if part) + "\n"


def split_section(text: str, heading: str) -> tuple[str, str, str]:
    """Returns the text before a section, the section, and the rest; empty if it is missing.

    Args:
        text: Markdown.
        heading: Line with which the section begins.
    """
    lines = text.splitlines(keepends=True)
    level, start, in_code = len(heading) - len(heading.lstrip("#")), None, False
    for number, line in enumerate(lines):
        in_code ^= line.startswith("```")
        if in_code:
            continue
        if start is None and line.rstrip() == heading:
            start = number
        elif start is not None and 0 < len(line) - len(line.lstrip("#")) <= level:
            return "".join(lines[:start]), "".join(lines[start:number]), "".join(lines[number:])
    if start is None:
        return text, "", ""
    return "".join(lines[:start]), "".join(lines[start:]), ""
