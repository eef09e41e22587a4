"""Stops training on a NaN or infinite loss."""

import math
from pathlib import Path

import keras

from dlrecipes.errors import TrainingDiverged
from dlrecipes.training.callbacks.checkpoints import saved_epochs


class StopOnDivergence(keras.callbacks.Callback):
    """Raises `TrainingDiverged` at the first step whose loss or gradient is NaN or infinite.

    `keras.callbacks.TerminateOnNaN` ends `fit` as if training had succeeded; a run must not publish
    the resulting weights.

    Args:
        checkpoints: Folder of the checkpoints, to name the last good one in the message.

    Raises:
        TrainingDiverged: In training, if a logged value is NaN or infinite.
    """

    def __init__(self, checkpoints: Path):
        super().__init__()
        self.checkpoints = Path(checkpoints)
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                paths = saved_epochs(self.checkpoints)
                last = "No epoch was completed."
                if paths:
                    last = f"The last good checkpoint is {paths[-1]}."
                raise TrainingDiverged(
                    f"{name} became {value} {self._place(batch + 1)} of epoch {self.epoch}. {last}",
                    "Train again with a lower learning rate, or with gradient clipping.",
                )

    def _place(self, step: int) -> str:
        steps = getattr(self.model, "steps_per_execution", 1)
        if steps == 1:
            return f"at step {step}"
        # Keras logs once per execution.
        return f"in steps {max(1, step - steps + 1)} to {step}"
