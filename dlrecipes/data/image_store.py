"""Decoded images that are kept for the next epochs, in memory and in a temporary file."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path

import numpy as np

from dlrecipes._utils.notes import print_note

# Bytes that all stores of a process keep in memory, and in temporary files.
MEMORY = 400_000_000
DISK = 20_000_000_000
# A file leaves at least this part of the free space of its disk to others.
SPARED = 0.5
# Temporary files that are large; `tempfile` prefers a folder that may be held in memory.
LARGE_FILES = Path("/var/tmp")


class ImageStore:
    """Keeps images of one shape: in memory while they fit, and then in a temporary file.

    The file is not mapped into memory. It has no name on Linux and macOS, and is deleted when the
    process ends, however it ends. It stands in the folder of `TMPDIR`; without that, in `/var/tmp`
    if it exists. It takes at most 20 GB, and half of the free space of its disk. Further images are
    not kept.

    Args:
        count: Most images that will be added.
        shape: Shape of an image.

    Example:

    >>> import numpy as np
    >>> from dlrecipes.data.image_store import ImageStore
    >>> store = ImageStore(10, (2, 2, 3))
    >>> places = store.add(np.full((4, 2, 2, 3), 7, "uint8"))
    >>> images = np.empty((2, 2, 2, 3), "uint8")
    >>> store.read(np.array([places[3], -1]), images).tolist(), int(images[0, 0, 0, 0])
    ([True, False], 7)
    """

    reserved_memory = 0
    reserved_disk = 0

    def __init__(self, count: int, shape: tuple[int, ...]):
        each = int(np.prod(shape))
        in_memory = min(count, max(0, MEMORY - ImageStore.reserved_memory) // each)
        # The system provides the memory when it is written to.
        self._images = np.empty((in_memory, *shape), "uint8")
        self._file = _File(each, count - in_memory)
        self._capacity = in_memory + self._file.capacity
        self._used = 0
        if count > in_memory:
            self._print_place(count - in_memory, each)
        ImageStore.reserved_memory += self._images.nbytes
        ImageStore.reserved_disk += each * self._file.capacity
        weakref.finalize(self, _release, self._images.nbytes, each * self._file.capacity)

    def _print_place(self, count: int, size: int) -> None:
        kept = self._file.capacity
        if kept:
            print_note(
                f"{kept:,} decoded images are kept in a temporary file of at most "
                f"{kept * size / 1e9:.1f} GB in {self._file.folder}."
            )
        if kept < count:
            print_note(
                f"{count - kept:,} images are decoded again in each epoch: there is no room for "
                f"them in {self._file.folder}. Set TMPDIR to a folder with more space."
            )

    @property
    def is_full(self) -> bool:
        """Whether no further image is kept."""
        return self._used >= self._capacity

    def add(self, images: np.ndarray) -> np.ndarray:
        """Keeps images, the first ones if there is not room for all; call it in one thread at once.

        Args:
            images: uint8 of shape `(images, *shape)`.

        Returns:
            Places of the images that are kept.
        """
        images = images[: self._capacity - self._used]
        here = max(0, min(len(images), len(self._images) - self._used))
        self._images[self._used : self._used + here] = images[:here]
        if len(images) > here:
            written = self._file.write(self._used + here - len(self._images), images[here:])
            if not written:
                # The disk is full.
                images, self._capacity = images[:here], self._used + here
        places = np.arange(self._used, self._used + len(images))
        self._used += len(images)
        return places

    def read(self, places: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Copies images from their places; safe in several threads.

        Args:
            places: Place of each image, or -1 for one that is not kept.
            images: Array that receives the images.

        Returns:
            Which of the images were read, bools of shape `(images,)`.
        """
        is_read = (places >= 0) & (places < len(self._images))
        images[is_read] = self._images[places[is_read]]
        for k in np.flatnonzero(places >= len(self._images)):
            is_read[k] = self._file.read(int(places[k]) - len(self._images), images[k])
        return is_read


class _File:
    """Records of one size in a temporary file, which is created when it is needed.

    Args:
        size: Bytes of a record.
        count: Most records that will be written.
    """

    def __init__(self, size: int, count: int):
        self._size, self._lock = size, threading.Lock()
        self.folder = _folder()
        free = shutil.disk_usage(self.folder).free if count else 0
        limit = min(DISK, int(free * (1 - SPARED))) - ImageStore.reserved_disk
        self.capacity = min(count, max(0, limit) // size)

    def write(self, number: int, records: np.ndarray) -> bool:
        """Writes records from a number on, and returns whether there was room for them."""
        try:
            with self._lock:
                if not hasattr(self, "_opened"):
                    # Closing it, as the end of this object does, deletes it.
                    self._opened = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
                self._opened.seek(number * self._size)
                left = np.ascontiguousarray(records).data.cast("B")
                while left:
                    left = left[self._opened.write(left) :]
        except OSError:
            return False
        return True

    def read(self, number: int, record: np.ndarray) -> bool:
        """Reads a record into an array, and returns whether that was possible."""
        try:
            with self._lock:
                self._opened.seek(number * self._size)
                return self._opened.readinto(record.data) == self._size
        except OSError:
            return False


def _folder() -> str:
    usable = LARGE_FILES.is_dir() and os.access(LARGE_FILES, os.W_OK)
    return str(LARGE_FILES) if usable and "TMPDIR" not in os.environ else tempfile.gettempdir()


def _release(memory: int, disk: int) -> None:
    ImageStore.reserved_memory -= memory
    ImageStore.reserved_disk -= disk
