"""A spec's trials, chosen by one of keras-tuner's oracles and run one by one."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path
from typing import Any

from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError, FatalError

from dlrecipes.errors import RecipeError
from dlrecipes.tuning import trial
from dlrecipes.tuning.spec import SearchSpec, settings_of

TRIALS, ORACLE = "trials", "oracle"
# keras-tuner asks at once again.
IDLE_S = 0.5


class RecipeTuner(BaseTuner):
    """Runs a spec's trials, each in a process of its own.

    Args:
        oracle: What chooses the trials.
        spec: What is searched.
        folder: The search's folder.
        deadline: When it ends, by `time.monotonic`.
    """

    def __init__(self, oracle: Any, spec: SearchSpec, folder: Path, deadline: float | None = None):
        self.spec = spec
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
        spec = self.spec
        try:
            settings = settings_of(spec, trial_.hyperparameters.values)
            found = trial.run(
                spec.recipe,
                settings,
                self.folder / TRIALS / trial_.trial_id,
                spec.objective,
                spec.threads,
                self.deadline,
            )
        except trial.OutOfTime as error:
            raise FatalError(str(error)) from error
        except trial.UnknownObjective:
            raise  # No other trial would have it.
        except RecipeError as error:
            raise FailedTrialError(str(error)) from error
        return {spec.objective[0]: found["score"]}

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
