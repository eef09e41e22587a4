"""Suppresses the messages that TensorFlow prints at start-up and during conversion."""

import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_lock = threading.RLock()
# The filters of warnings before the first thread changed them, and one entry for each thread that
# did; the same for the descriptor of standard error.
_filters: list[warnings.catch_warnings] = []
_threads: list[None] = []
_descriptors: list[int] = []
_silent: list[None] = []
# Packages that Keras and TensorFlow import if they are installed.
OPTIONAL = ("jax", "matplotlib", "pandas", "sklearn")


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Discards everything that C++ and Python code in the block writes to standard error.

    TensorFlow's libraries write directly to file descriptor 2, bypassing `sys.stderr` and all
    logging levels. Exceptions are raised as usual. Several threads may enter the block: the last
    one restores standard error.
    """
    with _lock:
        sys.stderr.flush()
        if not _silent:
            _descriptors.append(os.dup(2))
            with Path(os.devnull).open("w") as null:
                os.dup2(null.fileno(), 2)
        _silent.append(None)
    try:
        with suppress_warnings():
            yield
    finally:
        with _lock:
            sys.stderr.flush()
            _silent.pop()
            if not _silent:
                saved = _descriptors.pop()
                os.dup2(saved, 2)
                os.close(saved)


@contextlib.contextmanager
def suppress_warnings() -> Iterator[None]:
    """Discards Python's warnings in the block, which several threads may enter.

    The filters of warnings belong to the whole process: the first thread changes them, and the last
    one restores them.
    """
    with _lock:
        if not _threads:
            _filters.append(warnings.catch_warnings())
            _filters[0].__enter__()
            warnings.simplefilter("ignore")
        _threads.append(None)
    try:
        yield
    finally:
        with _lock:
            _threads.pop()
            if not _threads:
                _filters.pop().__exit__(None, None, None)


def load_tensorflow(only: bool = False) -> None:
    """Imports TensorFlow and Keras without their start-up messages.

    Args:
        only: Whether to leave out the packages that both import for functions of their own if they
            are installed, such as scikit-learn for Keras' wrappers. They take about as long as
            Keras, and a process that only loads and calls models does not need them. Defaults to
            `False`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Training, export and serving need TensorFlow, even if the user selected another backend.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with suppress_stderr(), _not_installed(*(OPTIONAL if only else ())):
        import keras  # noqa: F401
        import tensorflow as tf
    tf.get_logger().setLevel(logging.ERROR)


@contextlib.contextmanager
def _not_installed(*packages: str) -> Iterator[None]:
    """Lets imports of packages fail in the block, unless they are imported already."""
    # `None` is the import system's own mark of a package that does not exist.
    hidden: dict[str, Any] = {name: None for name in packages if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
