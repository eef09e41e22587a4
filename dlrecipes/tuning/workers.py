"""Several trials at a time on this machine: workers that ask an oracle by keras-tuner's gRPC."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalError

from dlrecipes import children, registry
from dlrecipes.cores import cores
from dlrecipes.errors import RecipeError
from dlrecipes.tuning import trial
from dlrecipes.tuning.plan import Plan
from dlrecipes.tuning.tuner import TRIALS, RecipeTuner, oracle

# How often a worker that was lost is started again without that a trial ended.
ATTEMPTS = 3


@contextlib.contextmanager
def served(found: Any) -> Iterator[int]:
    """Yields the port at which workers of this machine reach the oracle, by keras-tuner's gRPC."""
    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(found), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()


def supervise(
    plan: Plan,
    folder: Path,
    port: int,
    deadline: float | None,
    oracle_: Any,
    told: Callable[[Any], None],
) -> None:
    """Runs a plan's workers; one that is lost is started again, and goes on with its trial.

    Args:
        plan: What is searched.
        folder: The search's folder.
        port: Where the oracle is served.
        deadline: When the search ends, by `time.monotonic`.
        oracle_: What is served there.
        told: Is called with it when a trial has ended.

    Raises:
        RecipeError: If a worker is lost again and again in one trial.
        UnknownObjective: If trials have nothing of the objective's name.
    """
    one = {
        "recipe": plan.recipe,
        "fixed": dict(plan.fixed),
        "tuner": plan.tuner,
        "trials": plan.trials,
        "objective": list(plan.objective),
        "max_epochs": plan.max_epochs,
        "threads": plan.threads or max(1, cores() // plan.workers),
        "seed": plan.seed,
        "folder": str(folder),
    }

    def begin(number: int) -> Any:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        own = {
            "KERASTUNER_TUNER_ID": f"worker{number}",
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
        }
        log = (folder / f"worker{number}.log").open("ab")
        with log:
            return children.start(
                "tuning.workers",
                {**one, "seconds": left},
                stdout=log,
                stderr=log,
                env={**os.environ, **own},
            )

    running = {number: begin(number) for number in range(plan.workers)}
    lost: dict[int, tuple[int, int]] = {}
    ended = len(oracle_.end_order)
    try:
        while running:
            time.sleep(0.3)
            now = len(oracle_.end_order)
            if now != ended:
                ended = now
                told(oracle_)
            for number, child in list(running.items()):
                if child.poll() is None:
                    continue
                del running[number]
                if child.returncode == 0:
                    continue
                if child.returncode == trial.UnknownObjective.exit_code:
                    raise trial.UnknownObjective(_unknown(folder))
                before, times = lost.get(number, (ended, 0))
                times = times + 1 if before == ended else 1
                lost[number] = (ended, times)
                if times > ATTEMPTS:
                    raise RecipeError(
                        f"worker{number} ended {times} times in one trial "
                        f"(code {child.returncode}).",
                        f"See {folder / f'worker{number}.log'}.",
                    )
                print(f"worker{number} was lost; it starts again.", file=sys.stderr, flush=True)
                running[number] = begin(number)
    finally:
        for child in running.values():
            child.kill()
            child.communicate()
    told(oracle_)


def _unknown(folder: Path) -> str:
    """Returns what a trial said of an objective that it does not have."""
    reports = map(children.report, (folder / TRIALS).glob(f"*/{trial.REPORT_FILE}"))
    return next((one["error"] for one in reports if one.get("unknown")), "unknown objective")


def main() -> None:
    """Is one of several workers on this machine; its task is the command line's JSON."""
    task = json.loads(sys.argv[1])
    children.end_with_parent()
    folder = Path(task.pop("folder"))
    source = registry.find(task["recipe"])
    task["objective"] = tuple(task["objective"])
    plan = Plan(config=source.config(), **task)
    deadline = None if plan.seconds is None else time.monotonic() + plan.seconds
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tuner = RecipeTuner(oracle(plan), plan, folder, deadline)
    try:
        with contextlib.suppress(FatalError):
            tuner.search()
    except trial.UnknownObjective as error:
        sys.exit(error.exit_code)
