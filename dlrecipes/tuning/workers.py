"""Parallel trials on this machine: workers that ask an oracle through keras-tuner's gRPC."""

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

from dlrecipes._utils import processes
from dlrecipes._utils.cpu import available_cpus
from dlrecipes.errors import RecipeError
from dlrecipes.recipe import registry
from dlrecipes.tuning import trial
from dlrecipes.tuning.oracles import make_oracle
from dlrecipes.tuning.spec import SearchSpec
from dlrecipes.tuning.tuner import TRIALS, RecipeTuner

# How often a lost worker is restarted within one trial.
ATTEMPTS = 3


@contextlib.contextmanager
def serve_oracle(found: Any) -> Iterator[int]:
    """Yields the port on which workers of this machine reach the oracle."""
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
    spec: SearchSpec,
    folder: Path,
    port: int,
    deadline: float | None,
    oracle: Any,
    on_update: Callable[[Any], None],
) -> None:
    """Runs the workers of a search; a lost one restarts and resumes its trial.

    Args:
        spec: Specification of the search.
        folder: The search's folder.
        port: Port of the oracle.
        deadline: Time limit, by `time.monotonic`.
        oracle: The oracle behind that port.
        on_update: Called with the oracle after each trial.

    Raises:
        RecipeError: If a worker is lost repeatedly in one trial.
        UnknownMetric: If no value has the name of the objective or a limit.
    """
    one = {
        "recipe": spec.recipe,
        "fixed": dict(spec.fixed),
        "tuner": spec.tuner,
        "trials": spec.trials,
        "objective": list(spec.objective),
        "max_epochs": spec.max_epochs,
        "threads": spec.threads or max(1, available_cpus() // spec.workers),
        "seed": spec.seed,
        "limits": dict(spec.limits),
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
            return processes.spawn(
                "tuning.workers",
                {**one, "seconds": left},
                stdout=log,
                stderr=log,
                env={**os.environ, **own},
            )

    running = {number: begin(number) for number in range(spec.workers)}
    lost: dict[int, tuple[int, int]] = {}
    ended = len(oracle.end_order)
    try:
        while running:
            time.sleep(0.3)
            now = len(oracle.end_order)
            if now != ended:
                ended = now
                on_update(oracle)
            for number, child in list(running.items()):
                if child.poll() is None:
                    continue
                del running[number]
                if child.returncode == 0:
                    continue
                if child.returncode == trial.UnknownMetric.exit_code:
                    raise trial.UnknownMetric(_unknown(folder))
                before, times = lost.get(number, (ended, 0))
                times = times + 1 if before == ended else 1
                lost[number] = (ended, times)
                if times > ATTEMPTS:
                    raise RecipeError(
                        f"worker{number} ended {times} times in one trial "
                        f"(code {child.returncode}).",
                        f"See {folder / f'worker{number}.log'}.",
                    )
                print(f"worker{number} was lost; restarting.", file=sys.stderr, flush=True)
                running[number] = begin(number)
    finally:
        for child in running.values():
            child.kill()
            child.communicate()
    on_update(oracle)


def _unknown(folder: Path) -> str:
    """Returns a trial's error message about an unknown objective."""
    reports = map(processes.read_report, (folder / TRIALS).glob(f"*/{trial.REPORT_FILE}"))
    return next((one["error"] for one in reports if one.get("unknown")), "unknown objective")


def main() -> None:
    """Runs one of several workers on this machine; `argv[1]` has its task as JSON."""
    task = json.loads(sys.argv[1])
    processes.exit_with_parent()
    folder = Path(task.pop("folder"))
    source = registry.find(task["recipe"])
    task["objective"] = tuple(task["objective"])
    spec = SearchSpec(config=source.config(), **task)
    deadline = None if spec.seconds is None else time.monotonic() + spec.seconds
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tuner = RecipeTuner(make_oracle(spec), spec, folder, deadline)
    try:
        with contextlib.suppress(FatalError):
            tuner.search()
    except trial.UnknownMetric as error:
        sys.exit(error.exit_code)
