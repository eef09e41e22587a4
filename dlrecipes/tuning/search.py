"""A search: one process, several workers of this machine, or several machines."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalError

from dlrecipes.tuning import workers
from dlrecipes.tuning.oracles import make_oracle
from dlrecipes.tuning.spec import SearchSpec
from dlrecipes.tuning.tuner import RecipeTuner


def search(
    spec: SearchSpec, folder: Path, on_update: Callable[[Any], None] = lambda oracle: None
) -> Any:
    """Runs or resumes a search; returns the oracle with all trials.

    With `KERASTUNER_ORACLE_IP`, `_PORT` and `KERASTUNER_TUNER_ID` set, this process is the chief
    or a worker of a search over several machines, as keras-tuner has it. The chief has all
    trials when it ends; a worker knows of its own alone, and gets `None`.

    Args:
        spec: Specification of the search.
        folder: The search's folder, which exists.
        on_update: Called with the oracle after each trial. Defaults to nothing.

    Raises:
        RecipeError: If workers are lost repeatedly.
    """
    deadline = None if spec.seconds is None else time.monotonic() + spec.seconds
    if spec.workers == 1:
        tuner = RecipeTuner(make_oracle(spec), spec, folder, deadline)
        _quiet(tuner.oracle)
        if not is_worker():
            tuner.on_trial_end = _and_then(tuner.on_trial_end, lambda: on_update(tuner.oracle))
        with contextlib.suppress(FatalError):
            tuner.search()
        return None if is_worker() else tuner.oracle
    tuner = RecipeTuner(make_oracle(spec), spec, folder)
    _quiet(tuner.oracle)
    tuner.save()
    with workers.serve_oracle(tuner.oracle) as port:
        workers.supervise(spec, folder, port, deadline, tuner.oracle, on_update)
    # After the last trial as well.
    tuner.save()
    return tuner.oracle


def is_worker() -> bool:
    """Returns whether this process is a worker of a search over several machines."""
    return "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "chief")


def _quiet(found: Any) -> None:
    # Its own display is for notebooks.
    with contextlib.suppress(AttributeError):
        found.verbose = 0


def _and_then(first: Any, then: Any) -> Any:
    def both(*args: Any) -> None:
        first(*args)
        then()

    return both
