"""The stock LiteRT interpreter, without what it prints; does not load TensorFlow."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from dlrecipes._utils.quiet import suppress_stderr

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def open_interpreter(path: Path, threads: int = 1) -> Interpreter:
    """Returns an interpreter of a LiteRT file.

    The first tensors that a process allocates make LiteRT write a line about its delegate to
    standard error, at every level of its log. It is discarded here.

    Args:
        path: LiteRT file.
        threads: Number of threads. Defaults to 1.

    Raises:
        ValueError: If the file is not a LiteRT file.
    """
    from ai_edge_litert.interpreter import Interpreter

    with suppress_stderr():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        # Sizes that are not fixed are 1 here, which some models do not take.
        with contextlib.suppress(RuntimeError):
            interpreter.allocate_tensors()
    return interpreter
