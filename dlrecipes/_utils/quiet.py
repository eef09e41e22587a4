"""Keeps TensorFlow's start-up and converter chatter off the user's terminal."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Drops what C++ and Python write to standard error inside the block.

    TensorFlow's libraries write to file descriptor 2 itself, past `sys.stderr` and
    past every logging level. An exception that leaves the block says what failed.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("w") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def load_tensorflow() -> None:
    """Imports TensorFlow and Keras without a word."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Training, export and serving are TensorFlow's, whatever backend the user's own code has.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with suppress_stderr():
        import keras  # noqa: F401
        import tensorflow as tf
    tf.get_logger().setLevel(logging.ERROR)
