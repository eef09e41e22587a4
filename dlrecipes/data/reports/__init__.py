"""Reports on a dataset before training: `dlrecipes run RECIPE --check`."""

from dlrecipes.data.reports.report import DataReport, Finding, Table

__all__ = ["DataReport", "Finding", "Table"]
