"""Ends a run whose loss is no number any more."""

import math
from pathlib import Path

import keras

from dlrecipes.errors import TrainingDiverged
from dlrecipes.training.callbacks.checkpoints import saved_epochs


class StopOnDivergence(keras.callbacks.Callback):
    """Raises `TrainingDiverged` at the first step whose loss or gradient is NaN or infinite.

    `keras.callbacks.TerminateOnNaN` ends `fit` as if all were well; a run must not go on
    to publish what is left of the weights.

    Args:
        checkpoints: Folder that holds the checkpoint of the last good epoch, if any.
    """

    def __init__(self, checkpoints: Path):
        super().__init__()
        self.checkpoints = Path(checkpoints)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch."""
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the batch's logs."""
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                kept = saved_epochs(self.checkpoints)
                last = f"The last good checkpoint is {kept[-1]}." if kept else "No epoch was done."
                raise TrainingDiverged(
                    f"{name} became {value} {self._place(batch + 1)} of epoch {self.epoch}. {last}",
                    "Train again with a lower learning rate, or with clipping.",
                )

    def _place(self, step: int) -> str:
        several = getattr(self.model, "steps_per_execution", 1)
        if several == 1:
            return f"at step {step}"
        # Logs come once an execution.
        return f"in steps {max(1, step - several + 1)} to {step}"
