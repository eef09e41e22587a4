"""Arrays saved after each epoch, for figures that show the progress of training."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dlrecipes._utils.files import atomic_write


class Snapshots(keras.callbacks.Callback):
    """Saves an array after each epoch in its own file, next to those of earlier runs.

    Args:
        folder: Folder of the files, created with the first array.
        taken: Function that returns an array, or `None` to save nothing.
    """

    def __init__(self, folder: Path, taken: Callable[[], np.ndarray | None]):
        super().__init__()
        self.folder = Path(folder)
        self.taken = taken

    def on_epoch_end(self, epoch, logs=None):
        array = self.taken()
        if array is not None:
            write(self.folder, epoch + 1, array)


def write(folder: Path, epoch: int, array: np.ndarray) -> None:
    """Saves an array of an epoch.

    Args:
        folder: Folder of the files, which is created if it is needed.
        epoch: Number of the epoch, counted from 1; 0 before the first one.
        array: Array to save.
    """
    folder.mkdir(exist_ok=True)
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    atomic_write(folder / f"{epoch:05d}.npy", file.getvalue())


def read(folder: Path, last: int) -> dict[int, np.ndarray]:
    """Returns the saved arrays by epoch, counted from 1.

    Args:
        folder: Folder that `Snapshots` wrote to; it may be missing.
        last: Last epoch to read.
    """
    files = {int(path.stem): path for path in sorted(folder.glob("[0-9]*.npy"))}
    return {epoch: np.load(path) for epoch, path in files.items() if epoch <= last}
