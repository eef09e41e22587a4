"""What a recipe keeps of each epoch, for figures that show how training went."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from dlrecipes._utils.files import atomic_write


class Snapshots(keras.callbacks.Callback):
    """Writes an array after each epoch to a file of its own; those of earlier runs stay.

    Args:
        folder: Where the files go; made when there is something to keep.
        taken: Returns an array, or `None` for nothing.
    """

    def __init__(self, folder: Path, taken: Callable[[], np.ndarray | None]):
        super().__init__()
        self.folder = Path(folder)
        self.taken = taken

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the epoch's array, whole or not at all."""
        found = self.taken()
        if found is None:
            return
        self.folder.mkdir(exist_ok=True)
        file = io.BytesIO()
        np.save(file, found, allow_pickle=False)
        atomic_write(self.folder / f"{epoch + 1:05d}.npy", file.getvalue())


def read(folder: Path, last: int) -> dict[int, np.ndarray]:
    """Returns the arrays of a folder by epoch, counted from 1.

    Args:
        folder: Where `Snapshots` wrote; it need not be there.
        last: The last epoch that is wanted.
    """
    files = {int(path.stem): path for path in sorted(folder.glob("[0-9]*.npy"))}
    return {epoch: np.load(path) for epoch, path in files.items() if epoch <= last}
