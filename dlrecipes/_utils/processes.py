"""Child processes that run a task, report its result, and end with their parent."""

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
    """Starts `main` of a module of this package in a new process.

    The process does not receive Ctrl-C. If it calls `exit_with_parent`, it ends when its standard
    input is closed, and therefore with this process. Before, it may read a line that this process
    writes there.

    Args:
        module: Name of the module within the package.
        task: Task, passed as JSON in the first argument.
        **options: Arguments of `subprocess.Popen`.
    """
    # The child imports from the same paths as this process, not from the working directory.
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
    """Returns the report that a child wrote, or an empty dictionary if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def exit_with_parent() -> None:
    """Makes this process end when its parent ends, for any reason."""
    if sys.platform == "linux":
        # While TensorFlow waits for other workers it holds the GIL, and the thread cannot run.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    # The parent writes no more, so the read returns when the pipe is closed.
    os.read(0, 1)
    os._exit(1)
