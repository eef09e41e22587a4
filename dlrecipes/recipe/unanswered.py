"""Predictions of several inputs of which some cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlrecipes._utils.wording import counted
from dlrecipes.errors import DataError, RecipeError


class Unanswered(dict):
    """Stands for the prediction of an input that cannot be read; as data, its name and reason.

    Args:
        name: The input, such as the path of a file.
        error: The reason.
    """

    def __init__(self, name: str, error: RecipeError):
        super().__init__(file=name, error=error.message)
        self.error = error


class IncompletePredictions(DataError):  # noqa: N818
    """Some of several inputs cannot be read.

    Args:
        predictions: Predictions of the others; an `Unanswered` stands for each that is missing.
    """

    def __init__(self, predictions: Sequence[Any]):
        errors = [part.error for part in predictions if isinstance(part, Unanswered)]
        others = f" ({counted(len(errors) - 1, 'other input')} as well)" if len(errors) > 1 else ""
        super().__init__(errors[0].message + others, errors[0].hint)
        self.predictions = list(predictions)
        self.problems = tuple(errors)


def complete(predictions: list[Any]) -> list[Any]:
    """Returns predictions if none is missing.

    Args:
        predictions: Predictions; an `Unanswered` stands for each that is missing.

    Raises:
        IncompletePredictions: If some are missing; it has the others. For a single input, its own
            error is raised.

    Example:

    >>> from dlrecipes.recipe.unanswered import complete
    >>> complete([{"label": "cat"}])
    [{'label': 'cat'}]
    """
    missing = [part for part in predictions if isinstance(part, Unanswered)]
    if len(predictions) == 1 and missing:
        raise missing[0].error
    if missing:
        raise IncompletePredictions(predictions)
    return predictions
