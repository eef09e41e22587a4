"""A plan's trials, chosen by one of keras-tuner's oracles and run one by one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError, FatalError

from dlrecipes.errors import RecipeError
from dlrecipes.files import write_whole
from dlrecipes.tuning import trial
from dlrecipes.tuning.plan import Plan, hyperparameters, settings_of


class _Whole:
    """Has an oracle write its state whole or not at all: it may be killed while it does."""

    def save(self) -> None:
        write_whole(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial_: Any) -> None:
        path = Path(self._get_trial_dir(trial_.trial_id)) / "trial.json"
        write_whole(path, json.dumps(trial_.get_state()))


class _Random(_Whole, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Bayesian(_Whole, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


class _Hyperband(_Whole, keras_tuner.oracles.HyperbandOracle):
    pass


class _Grid(_Whole, keras_tuner.oracles.GridSearchOracle):
    pass


ORACLES = {"random": _Random, "bayesian": _Bayesian, "hyperband": _Hyperband, "grid": _Grid}
TRIALS, ORACLE = "trials", "oracle"
# keras-tuner asks at once again.
IDLE_S = 0.5


class RecipeTuner(BaseTuner):
    """Runs a plan's trials, each in a process of its own.

    Args:
        oracle: What chooses the trials.
        plan: What is searched.
        folder: The search's folder.
        deadline: When it ends, by `time.monotonic`.
    """

    def __init__(self, oracle: Any, plan: Plan, folder: Path, deadline: float | None = None):
        self.plan = plan
        self.folder = folder
        self.deadline = deadline
        self._asked = False
        # It tells what it reads of an earlier search.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(oracle, directory=str(folder), project_name=ORACLE)

    def pre_create_trial(self) -> None:
        """Ends the search when its time is over; waits where other workers' trials must end."""
        if self._asked:
            time.sleep(IDLE_S)
        self._asked = True
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise FatalError("The time is over.")

    def on_trial_begin(self, trial: Any) -> None:
        """As keras-tuner's."""
        self._asked = False
        super().on_trial_begin(trial)

    def run_trial(self, trial_: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Returns a trial's objective."""
        plan = self.plan
        try:
            settings = settings_of(plan, trial_.hyperparameters.values)
            found = trial.run(
                plan.recipe,
                settings,
                self.folder / TRIALS / trial_.trial_id,
                plan.objective,
                plan.threads,
                self.deadline,
            )
        except trial.OutOfTime as error:
            raise FatalError(str(error)) from error
        except trial.UnknownObjective:
            raise  # No other trial would have it.
        except RecipeError as error:
            raise FailedTrialError(str(error)) from error
        return {plan.objective[0]: found["score"]}

    def _try_run_and_update_trial(self, trial_: Any, *args: Any, **kwargs: Any) -> None:
        """As keras-tuner's, which prints the traceback of a trial that failed."""
        try:
            self._run_and_update_trial(trial_, *args, **kwargs)
            trial_.status = "COMPLETED"
        except FailedTrialError as error:
            trial_.status, trial_.message = "FAILED", str(error)

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Does nothing: a trial's folder has its checkpoints."""

    def load_model(self, trial_: Any) -> None:
        """Does nothing: the best configuration is run again to be published."""


def oracle(plan: Plan) -> Any:
    """Returns what chooses a plan's trials."""
    shared = {
        "objective": keras_tuner.Objective(*plan.objective),
        "hyperparameters": hyperparameters(plan),
        "allow_new_entries": True,
        "tune_new_entries": True,
        # Impossible architectures are nothing that ends a search.
        "max_consecutive_failed_trials": 10**6,
    }
    if plan.tuner == "hyperband":
        return ORACLES["hyperband"](max_epochs=plan.epochs, seed=plan.seed + 1, **shared)
    if plan.tuner == "bayesian":
        # keras-tuner's own number, three for each setting, is more than most searches have.
        shared["num_initial_points"] = max(2, min(3 * len(plan.space), plan.trials // 3))
    # keras-tuner takes the seed 0 for none.
    return ORACLES[plan.tuner](max_trials=plan.trials, seed=plan.seed + 1, **shared)


def search(plan: Plan, folder: Path, told: Callable[[Any], None] = lambda oracle: None) -> Any:
    """Searches, or goes on with a search that was cut; returns the oracle with all trials.

    With `KERASTUNER_ORACLE_IP`, `_PORT` and `KERASTUNER_TUNER_ID` set, this process is the chief
    or a worker of a search over several machines, as keras-tuner has it. The chief has all
    trials when it ends; a worker knows of its own alone, and gets `None`.

    Args:
        plan: What is searched.
        folder: The search's folder, which exists.
        told: Is called with the oracle when a trial has ended.

    Raises:
        RecipeError: If workers are lost again and again.
    """
    deadline = None if plan.seconds is None else time.monotonic() + plan.seconds
    if plan.workers == 1:
        tuner = RecipeTuner(oracle(plan), plan, folder, deadline)
        _quiet(tuner.oracle)
        if not is_worker():
            tuner.on_trial_end = _and_then(tuner.on_trial_end, lambda: told(tuner.oracle))
        with contextlib.suppress(FatalError):
            tuner.search()
        return None if is_worker() else tuner.oracle
    tuner = RecipeTuner(oracle(plan), plan, folder)
    _quiet(tuner.oracle)
    tuner.save()
    from dlrecipes.tuning import workers

    with workers.served(tuner.oracle) as port:
        workers.supervise(plan, folder, port, deadline, tuner.oracle, told)
    # The last trial's end, too.
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
