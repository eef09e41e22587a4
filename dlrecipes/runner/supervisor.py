"""Supervises multi-worker training, so that it survives the loss of a worker.

When one of TensorFlow's workers is lost, the others can only start again. Therefore training runs
in a child process, which its parent restarts. This module does not load TensorFlow.
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

# Exit code of a child that lost its peers (sysexits.h: EX_TEMPFAIL).
LOST = 75
# How long to wait for the other workers, in seconds.
WAIT_S = 900.0
# How often training may be interrupted within one epoch.
ATTEMPTS = 5


def train(
    task: Mapping[str, Any], folder: Path, cluster: Cluster, done: Callable[[], bool]
) -> None:
    """Trains in a child process, which restarts when it or another worker is lost.

    TensorFlow notices within about ten seconds that a worker is lost.

    Args:
        task: Task of `dlrecipes.runner.worker`, as JSON values by name.
        folder: This worker's folder, in which checkpoints are counted.
        cluster: The workers.
        done: Function that returns whether training is over: no other worker will join then.

    Raises:
        RecipeError: If the child fails, or makes no progress.
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
                f"{cluster.name}: not all {cluster.workers} workers joined within "
                f"{WAIT_S / 60:.0f} minutes.",
                "Finished epochs are kept: start all workers again with the same command.",
            )
        if cuts > ATTEMPTS:
            raise RecipeError(
                f"{cluster.name}: training was interrupted {cuts} times in one epoch: {why}.",
                "Finished epochs are kept: start all workers again with the same command.",
            )
        print(f"\n{cluster.name}: training was interrupted ({why}); restarting.", flush=True)
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
                    # TensorFlow itself waits for its peers forever.
                    alone = not report.exists()
                    left = max(0.0, deadline - time.monotonic())
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        code = child.wait(min(left, 1.0) if alone else None)
                        break
                    if alone and not left:
                        child.kill()
            finally:
                # Checkpoints are written atomically: killing the child loses none.
                child.kill()
                child.wait()
        return code, processes.read_report(report)
