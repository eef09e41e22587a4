"""Training on several workers that goes on when one of them is lost; loads no TensorFlow.

TensorFlow's workers live and die together: when one is lost, the others can only start again.
So the training runs in a child process, and what stays is its parent.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlrecipes import errors
from dlrecipes._utils import processes
from dlrecipes.distribute import Cluster
from dlrecipes.errors import RecipeError

# What a child ends with whose peers were lost (sysexits.h: EX_TEMPFAIL).
LOST = 75
# How long the others are waited for, in seconds.
WAIT_S = 900.0
# How often training may be cut in an epoch without that one was done.
ATTEMPTS = 5


def train(
    task: Mapping[str, Any], folder: Path, cluster: Cluster, done: Callable[[], bool]
) -> None:
    """Trains in a child process, which is started again when it or another worker is lost.

    TensorFlow notices within about ten seconds that a worker is lost.

    Args:
        task: What `dlrecipes.runner.worker` is to do; names of arguments and values of JSON.
        folder: This worker's folder, in which checkpoints are counted.
        cluster: The workers.
        done: Returns whether the training is over, so that no other worker will come.

    Raises:
        RecipeError: What the child ended with, or that no progress is made.
    """
    since, cuts = time.monotonic(), 0
    while not done():
        epochs = _epochs(folder)
        code, report = _child({**task, "folder": str(folder)}, since + WAIT_S)
        if "error" in report:
            kind = getattr(errors, report["kind"], RecipeError)
            raise kind(report["error"], report["hint"])
        if code == 0:
            return
        if code > 0 and code != LOST:
            raise RecipeError(f"{cluster.name}: the training process ended with code {code}.")
        why = report.get("lost") or f"signal {-code}"
        if report.get("joined"):
            since = time.monotonic()
            cuts = 1 if _epochs(folder) > epochs else cuts + 1
        elif time.monotonic() > since + WAIT_S:
            raise RecipeError(
                f"{cluster.name}: not all of the {cluster.workers} workers came in "
                f"{WAIT_S / 60:.0f} minutes.",
                "What is done is kept: start them all again with the same command.",
            )
        if cuts > ATTEMPTS:
            raise RecipeError(
                f"{cluster.name}: training was cut {cuts} times in one epoch: {why}.",
                "What is done is kept: start them all again with the same command.",
            )
        print(f"\n{cluster.name}: training was cut ({why}); it starts again.", flush=True)
        time.sleep(1 if report.get("joined") else 5)


def _epochs(folder: Path) -> int:
    names = [path.name for path in (folder / "checkpoints").glob("epoch-*")]
    return max((int(name.removeprefix("epoch-")) for name in names), default=0)


def _child(task: Mapping[str, Any], deadline: float) -> tuple[int, dict[str, Any]]:
    """Runs `dlrecipes.runner.worker` until the deadline; returns exit code and report."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        chatter = None if os.environ.get("DLRECIPES_TRACEBACK") else subprocess.DEVNULL
        with processes.spawn(
            "runner.worker", {**task, "report": str(report)}, stderr=chatter
        ) as child:
            try:
                while True:
                    # TensorFlow has no bound of its own for this wait.
                    alone = not report.exists()
                    left = max(0.0, deadline - time.monotonic()) if alone else None
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        code = child.wait(min(left, 1.0) if alone else None)
                        break
                    if alone and not left:
                        child.kill()
            finally:
                # A checkpoint is whole or absent: nothing is lost that should be kept.
                child.kill()
                child.wait()
        return code, processes.read_report(report)
