"""Processes that do a task for this one, tell how it went, and end when it does."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def spawn(module: str, task: Mapping[str, Any], **options: Any) -> subprocess.Popen:
    """Starts `main` of a module of this package in a process of its own.

    Ctrl-C does not reach it. It ends when its standard input does, and so with this process,
    if it calls `exit_with_parent`.

    Args:
        module: The module's name within the package.
        task: What it is to do: its first argument, as JSON.
        **options: As `subprocess.Popen` takes them.
    """
    # The child finds modules where this process does, not in the working directory.
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from importlib import import_module; "
        f"import_module('dlrecipes.{module}').main()"
    )
    sys.stdout.flush()
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(task)],
        stdin=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def read_report(path: Path) -> dict[str, Any]:
    """Returns what a child wrote to its report; nothing where it wrote none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def exit_with_parent() -> None:
    """Has this process end when the one that started it does, however that ends."""
    if sys.platform == "linux":
        # TensorFlow waits for other workers with Python's lock held: no thread of ours runs then.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    # Nothing is ever written there; what is left is its end.
    os.read(0, 1)
    os._exit(1)
