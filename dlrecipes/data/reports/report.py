"""Results of a check of a dataset: tables, problems, warnings and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from dlrecipes._utils.wording import counted
from dlrecipes.errors import RecipeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Examples that are named of each finding, and rows that are printed of each table.
MOST_NAMED, MOST_ROWS = 3, 20


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers under a heading.

    Args:
        title: Heading of the table.
        columns: Headings of the columns.
        rows: Rows, each with one value per column.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        shown = [list(map(_spelled, row)) for row in self.rows[:MOST_ROWS]]
        numeric = [
            all(isinstance(row[k], int | float | None) for row in self.rows)
            for k in range(len(self.columns))
        ]
        widths = [max(map(_width, texts)) for texts in zip(self.columns, *shown, strict=True)]
        lines = [
            "  ".join(
                (_padding(text, width) + text) if right else (text + _padding(text, width))
                for text, width, right in zip(texts, widths, numeric, strict=True)
            ).rstrip()
            for texts in (self.columns, *shown)
        ]
        hidden = len(self.rows) - len(shown)
        lines += [f"... {counted(hidden, 'more row')}; report.json has all."] if hidden else []
        return "\n".join([self.title, *(f"  {line}" for line in lines)])


@dataclass(frozen=True)
class Finding:
    """One kind of problem, with examples.

    Args:
        message: The problem, the number of cases, and a remedy.
        examples: Names or messages of the cases; the first three are printed. Defaults to none.
    """

    message: str
    examples: Sequence[str] = ()

    def __str__(self) -> str:
        named = list(self.examples[:MOST_NAMED])
        hidden = len(self.examples) - len(named)
        named += [f"... and {hidden:,} more"] if hidden else []
        return "\n".join([self.message, *(f"    {line}" for line in named)])


@dataclass
class DataReport:
    """The result of `dlrecipes.recipe.Recipe.check`.

    Args:
        name: Name of the data, such as its path.
        tables: Parts, classes and sizes of the data. Defaults to none.
        problems: Mistakes that must be repaired before training. Defaults to nothing.
        warnings: Findings that may make a model or its metrics worse. Defaults to nothing.
        notes: Sentences about how the data was read. Defaults to none.
        figures: Figures by file name, such as a sheet of examples. Defaults to none.

    Example:

    >>> from dlrecipes.data.reports import DataReport, Table
    >>> report = DataReport("photos", [Table("Parts", ["part", "images"], [["train", 1200]])])
    >>> print(report)
    Data: photos
    <BLANKLINE>
    Parts
      part   images
      train   1,200
    <BLANKLINE>
    The data can be used.
    """

    name: str
    tables: list[Table] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a recipe can train on the data as it is."""
        return not self.problems

    def add_table(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> DataReport:
        """Adds a table, unless it has no rows, and returns the report."""
        rows = [list(row) for row in rows]
        if rows:
            self.tables.append(Table(title, columns, rows))
        return self

    def add_error(self, error: RecipeError) -> DataReport:
        """Adds an error, with all others that were found with it, and returns the report."""
        messages = [problem.message for problem in error.problems]
        if len(messages) > 1:
            hint = f" For each: {error.hint}" if error.hint else ""
            self.problems.append(Finding(f"{len(messages):,} problems.{hint}", messages))
        else:
            self.problems.append(Finding(str(error)))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns everything but the figures as data for `json.dumps`."""
        tables = {
            table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for table in self.tables
        }
        findings = {
            name: [{"message": one.message, "examples": list(one.examples)} for one in found]
            for name, found in (("problems", self.problems), ("warnings", self.warnings))
        }
        notes = list(self.notes)
        return {
            **{"data": self.name, "usable": self.usable, **findings},
            **{"notes": notes, "tables": tables},
        }

    def __str__(self) -> str:
        blocks = [f"Data: {self.name}", *map(str, self.tables)]
        lists: Mapping[str, Sequence[Any]] = {
            "Notes": self.notes,
            "Warnings": self.warnings,
            "Problems": self.problems,
        }
        blocks += [
            "\n".join([heading, *(f"  {item}" for item in items)])
            for heading, items in lists.items()
            if items
        ]
        return "\n\n".join([*blocks, self._verdict()])

    def _verdict(self) -> str:
        if not self.usable:
            return "The data cannot be used: mend the problems first."
        count = len(self.warnings)
        warned = f" ({counted(count, 'warning')})" if count else ""
        return f"The data can be used{warned}."


def _spelled(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _width(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _padding(text: str, width: int) -> str:
    return " " * (width - _width(text))
