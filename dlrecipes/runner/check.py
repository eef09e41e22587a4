"""Checks of a recipe's data: reads it, writes a sheet of examples and a report, trains nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.files import atomic_write, missing_folders, remove_folder
from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe.registry import Source
from dlrecipes.runner import run_folder
from dlrecipes.runner.launch import resolve_settings

if TYPE_CHECKING:
    from dlrecipes.data.reports import DataReport
    from dlrecipes.recipe import RecipeConfig

# Folder of the checks among a recipe's runs, and the file of a report.
CHECKS, REPORT = "checks", "report.json"


def check(
    source: Source,
    settings: Mapping[str, Any],
    config_file: Path | None = None,
    name: str | None = None,
    runs_dir: Path = Path("runs"),
) -> tuple[DataReport, Path | None]:
    """Returns the report on a recipe's data, and the new folder of its figures.

    Args:
        source: The recipe.
        settings: Settings by name, as typed; they take precedence over those of `config_file`.
        config_file: YAML file of settings. Defaults to none.
        name: Name of the folder; `None` names it after the time. Defaults to `None`.
        runs_dir: Folder of all runs: figures and report are written to `RECIPE/checks/NAME` in it.
            Defaults to `runs`.

    Returns:
        The report, and the folder; `None` if nothing could be read, so that there is nothing to
        write.

    Raises:
        DataError: If nothing can be read, for one reason.
        UsageError: If a setting is wrong, or the folder would lie in the data's folder.
    """
    config = resolve_settings(source, settings, config_file)
    checks = runs_dir / source.name / CHECKS
    run_folder.check_new(checks, name)
    _refuse_data_folder(config, checks)
    try:
        report = source.make(config).check()
    except DataError as error:
        if len(error.problems) == 1:
            raise
        from dlrecipes.data.reports import DataReport

        report = DataReport(config.data).add_error(error)
    if not report.tables and len(report.problems) == 1 and not report.problems[0].examples:
        raise DataError(report.problems[0].message)
    if not report.tables and not report.figures:
        return report, None
    return report, _write(report, checks, name)


def _refuse_data_folder(config: RecipeConfig, checks: Path) -> None:
    data = Path(config.data)
    if config.located().data == config.data and data.is_dir():
        folder, inside = data.resolve(), checks.resolve()
        if inside.is_relative_to(folder):
            raise UsageError(
                f"--data {data}: the sheet of examples would be written into the data's folder.",
                f"Give another folder for it, such as --runs-dir {folder.parent / 'runs'}",
            )


def _write(report: DataReport, checks: Path, name: str | None) -> Path:
    """Writes figures and report to a new folder, which an error or Ctrl-C removes again."""
    from dlrecipes.figures import save

    made = missing_folders(checks)
    folder = run_folder.new_folder(checks, name)
    try:
        for title, figure in report.figures.items():
            save(folder, title, figure)
        content = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
        atomic_write(folder / REPORT, content + "\n")
    except BaseException:
        remove_folder(folder, made)
        raise
    return folder
