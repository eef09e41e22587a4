"""Compares the time of a training step between contenders, each in its own process.

Blocks of steps alternate between the contenders, and the median block counts. The others sleep
while one is timed. A benchmark supplies a function that takes a workload and a contender and
returns a function that trains some steps and returns the seconds per step. Time to trace or compile
belongs to the first step, which is reported separately.
"""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COLUMNS = ("workload", "contender", "ms_a_step", "first_step_s", "cores", "machine", "versions")
Train = Callable[[int], float]


def clocked(model, data, together: int = 1) -> Train:
    """Returns a function that trains a compiled Keras model with `fit` and times it.

    Args:
        model: Compiled model.
        data: Function from a number of steps to the positional arguments of `fit` (arrays or a
            dataset) and its keyword arguments.
        together: Number of steps per execution. Defaults to 1.
    """
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    clock = Clock()

    def train(steps: int) -> float:
        # The first execution also starts the data pipeline and is not timed.
        executions = -(-steps // together)
        examples, options = data((executions + 1) * together)
        model.fit(*examples, verbose=0, callbacks=[clock], **options)
        return (clock.ends[-1] - clock.ends[0]) / (executions * together)

    return train


def stepped(step: Callable[[], None]) -> Train:
    """Returns a function that runs steps and times all but the first."""

    def train(steps: int) -> float:
        step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - start) / steps

    return train


class Contender:
    """A process that trains blocks of steps on request.

    Args:
        script: File of the benchmark.
        workload: Name of the workload.
        contender: Name of the contender.
    """

    def __init__(self, script: str, workload: str, contender: str):
        self.process = subprocess.Popen(
            [sys.executable, script, "--contender", workload, contender],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.first = self._read_time("first")

    def _read_time(self, kind: str) -> float:
        for line in self.process.stdout:
            if line.startswith(f"{kind} "):
                return float(line.split()[1])
        raise RuntimeError(f"A contender stopped without printing a time: {self.process.args}.")

    def seconds(self, steps: int) -> float:
        """Returns the mean seconds per step over some steps."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._read_time("step")

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def contend(train: Train) -> None:
    """Reads numbers of steps from standard input and prints the seconds per step for each."""
    start = time.perf_counter()
    train(1)
    print("first", time.perf_counter() - start, flush=True)
    for line in sys.stdin:
        print("step", train(int(line)), flush=True)


def compare(
    script: str, workload: str, contenders: Sequence[str], steps: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Returns the milliseconds per step and the seconds of the first step, by contender.

    Args:
        script: File of the benchmark.
        workload: Name of the workload.
        contenders: Names of the contenders.
        steps: Number of steps per block.
        rounds: Number of blocks per contender.
    """
    processes = {name: Contender(script, workload, name) for name in contenders}
    blocks: dict[str, list[float]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, process in processes.items():
            blocks[name].append(1000 * process.seconds(steps))
    for process in processes.values():
        process.stop()
    return {name: (statistics.median(blocks[name]), processes[name].first) for name in processes}


def print_ratios(workload: str, ms: Mapping[str, float], limits: Mapping[str, float]) -> None:
    """Prints the ratio of our time to the other contenders' times, with its target.

    Args:
        workload: Name of the workload.
        ms: Milliseconds per step, by contender.
        limits: Target ratios, by contender; the fastest of several, separated by "|", counts.
    """
    for names, limit in limits.items():
        ratio = ms["dlrecipes"] / min(ms[name] for name in names.split("|"))
        word = "within" if ratio <= limit else "over"
        print(f"{workload:26} {ratio:.2f} of {names}: {word} the target {limit:.2f}", flush=True)


def versions() -> str:
    """Returns the versions of the compared packages."""
    names = []
    for package in ("tensorflow", "keras", "torch"):
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"no {package}")
    return ", ".join(names)


def processor() -> str:
    """Returns the name of the processor, or its architecture where the name is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(script: str, about: str, workloads: Mapping, contenders, trainer) -> None:
    """Prints the table, and writes it as CSV, by default when all workloads ran.

    Args:
        script: File of the benchmark.
        about: Description for `--help`.
        workloads: Workloads by name, each with `steps` per block and `limits` by contender.
        contenders: Function from a workload to the names of its contenders.
        trainer: Function from a workload and a contender to the function that trains.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--only", default="", help="run only workloads whose name contains this text"
    )
    parser.add_argument("--rounds", type=int, default=7, help="number of blocks per contender")
    parser.add_argument(
        "--csv",
        type=Path,
        help="file to write; with --only, its rows of other workloads stay (default: next to the "
        "script, and none with --only)",
    )
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        workload, contender = args.contender
        contend(trainer(workloads[workload], contender))
        return
    rows = []
    for name, work in workloads.items():
        if args.only.lower() not in name.lower():
            continue
        times = compare(script, name, contenders(work), work.steps, args.rounds)
        for contender, (ms, first) in times.items():
            machine = (os.cpu_count(), processor(), versions())
            rows.append((name, contender, f"{ms:.2f}", f"{first:.1f}", *machine))
            print(f"{name:26} {contender:20} {ms:8.2f} ms   first step {first:5.1f} s", flush=True)
        print_ratios(name, {contender: ms for contender, (ms, _) in times.items()}, work.limits)
    path = args.csv or (None if args.only else Path(script).with_suffix(".csv"))
    if path is not None:
        write(path, rows, list(workloads))


def write(path: Path, rows: Sequence[tuple], workloads: Sequence[str]) -> None:
    """Writes rows as CSV, and keeps the file's rows of other workloads.

    Args:
        path: CSV file, which need not exist.
        rows: Values of `COLUMNS`.
        workloads: Names of all workloads, in the order of their rows.
    """
    measured = {row[0] for row in rows}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            old = [tuple(row[column] for column in COLUMNS) for row in csv.DictReader(file)]
        rows = [*rows, *(row for row in old if row[0] in workloads and row[0] not in measured)]
    with path.open("w", newline="", encoding="utf-8") as file:
        ordered = sorted(rows, key=lambda row: workloads.index(row[0]))
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *ordered])
