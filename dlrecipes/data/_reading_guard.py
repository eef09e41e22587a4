"""Ends the reading of images by TensorFlow's threads before the interpreter exits."""

import atexit
import threading
import time

# Seconds without a call after which the threads have nothing left to read ahead.
QUIET = 0.2
# Seconds after which the interpreter exits in any case.
LONGEST = 10.0


class ReadingGuard:
    """Counts the calls from TensorFlow's threads, and waits for their end at exit.

    A thread that needs the interpreter while it exits is ended, and TensorFlow is not informed.
    When the dataset is deleted afterwards, TensorFlow waits for that thread, and the process never
    ends. Therefore no image is read once the exit has begun. The threads are quiet soon, because
    they read ahead only as far as the dataset buffers.

    Use it as a context manager around each call, and read no image once `is_exiting` is true.

    Example:

    >>> from dlrecipes.data._reading_guard import ReadingGuard
    >>> guard = ReadingGuard()
    >>> with guard:
    ...     guard.is_exiting
    False
    """

    def __init__(self):
        self._lock, self._active, self._last = threading.Lock(), 0, -QUIET
        self.is_exiting = False
        atexit.register(self._finish)

    def __enter__(self):
        with self._lock:
            self._active += 1

    def __exit__(self, *error):
        with self._lock:
            self._active, self._last = self._active - 1, time.monotonic()

    def _finish(self) -> None:
        self.is_exiting, end = True, time.monotonic() + LONGEST
        while self._is_busy() and time.monotonic() < end:
            time.sleep(QUIET / 20)

    def _is_busy(self) -> bool:
        with self._lock:
            return self._active > 0 or time.monotonic() - self._last < QUIET
