"""A plan's trials, chosen by one of keras-tuner's oracles and run one by one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError, FatalError

from dlrecipes.errors import RecipeError
from dlrecipes.tuning import trial
from dlrecipes.tuning.plan import Plan, hyperparameters, settings_of

ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
}
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
    # keras-tuner takes the seed 0 for none.
    return ORACLES[plan.tuner](max_trials=plan.trials, seed=plan.seed + 1, **shared)


def search(plan: Plan, folder: Path, told: Callable[[Any], None] = lambda oracle: None) -> Any:
    """Searches, or goes on with a search that was cut; returns the oracle with all trials.

    With `KERASTUNER_ORACLE_IP`, `_PORT` and `KERASTUNER_TUNER_ID` set, this process is the chief
    or a worker of a search over several machines, as keras-tuner has it.

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
        tuner.on_trial_end = _and_then(tuner.on_trial_end, lambda: told(tuner.oracle))
        with contextlib.suppress(FatalError):
            tuner.search()
        return tuner.oracle
    tuner = RecipeTuner(oracle(plan), plan, folder)
    _quiet(tuner.oracle)
    tuner.save()
    from dlrecipes.tuning import workers

    with workers.served(tuner.oracle) as port:
        workers.supervise(plan, folder, port, deadline, lambda: told(tuner.oracle))
    return tuner.oracle


def _quiet(found: Any) -> None:
    # Its own display is for notebooks.
    with contextlib.suppress(AttributeError):
        found.verbose = 0


def _and_then(first: Any, then: Any) -> Any:
    def both(*args: Any) -> None:
        first(*args)
        then()

    return both
