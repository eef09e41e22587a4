"""keras-tuner's tuner for recipes: runs the trials that an oracle chooses, one by one."""

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
# keras-tuner asks again at once.
IDLE_S = 0.5


def trial_folder(folder: Path, trial_id: str) -> Path:
    """Returns a trial's folder, named by its number: keras-tuner pads it with zeros."""
    return folder / TRIALS / str(int(trial_id))


class RecipeTuner(BaseTuner):
    """Runs the trials of a search, each in its own process.

    Args:
        oracle: Oracle of keras-tuner.
        spec: Specification of the search.
        folder: The search's folder.
        deadline: Time limit, by `time.monotonic`. Defaults to `None`.
    """

    def __init__(self, oracle: Any, spec: SearchSpec, folder: Path, deadline: float | None = None):
        self.spec = spec
        self.folder = folder
        self.deadline = deadline
        self._asked = False
        # keras-tuner prints what it reloads.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(oracle, directory=str(folder), project_name=ORACLE)

    def pre_create_trial(self) -> None:
        """Ends the search at its time limit; waits while other workers' trials must end."""
        if self._asked:
            time.sleep(IDLE_S)
        self._asked = True
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise FatalError("Time limit reached.")

    def on_trial_begin(self, trial: Any) -> None:
        """Resets the wait of `pre_create_trial`."""
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
                trial_folder(self.folder, trial_.trial_id),
                spec.objective,
                spec.threads,
                self.deadline,
                spec.limits,
            )
        except trial.OutOfTime as error:
            raise FatalError(str(error)) from error
        except trial.UnknownMetric:
            raise  # Every other trial would fail as well.
        except RecipeError as error:
            raise FailedTrialError(str(error)) from error
        return {spec.objective[0]: found["score"]}

    def _try_run_and_update_trial(self, trial_: Any, *args: Any, **kwargs: Any) -> None:
        """Like keras-tuner's, which prints the traceback of a failed trial."""
        try:
            self._run_and_update_trial(trial_, *args, **kwargs)
            trial_.status = "COMPLETED"
        except FailedTrialError as error:
            trial_.status, trial_.message = "FAILED", str(error)

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Does nothing: checkpoints are in the trial's folder."""

    def load_model(self, trial_: Any) -> None:
        """Does nothing: the best configuration is run again to be published."""
