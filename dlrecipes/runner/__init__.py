"""Runs: training, evaluation, figures and publishing of a recipe, in one or several processes."""

from typing import TYPE_CHECKING

from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.runner.run import (
        Result,
        begin,
        environment,
        load_exports,
        make_deterministic,
        run,
        train,
    )

__all__ = ["Result", "begin", "environment", "load_exports", "make_deterministic", "run", "train"]

attach(__name__, dict.fromkeys(__all__, "run"))
