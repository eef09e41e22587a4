"""Contenders side by side: a process each, which sleeps while another is timed.

Blocks of steps alternate between them, and the median block counts. What a benchmark brings is a
function from a workload's and a contender's name to a function that trains some steps and
returns the seconds each took. Time to trace or compile is the first step's, and is given apart.
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
    """Returns a function that trains a compiled Keras model by `fit` and times it.

    Args:
        model: The model.
        data: Makes what `fit` takes first (arrays, or a data set) from a number of steps, and
            its other arguments.
        together: Steps an execution.
    """
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    clock = Clock()

    def train(steps: int) -> float:
        # One execution more than is timed: the first also starts the data.
        executions = -(-steps // together)
        given, options = data((executions + 1) * together)
        model.fit(*given, verbose=0, callbacks=[clock], **options)
        return (clock.ends[-1] - clock.ends[0]) / (executions * together)

    return train


def stepped(step: Callable[[], None]) -> Train:
    """Returns a function that takes steps, one more than it times."""

    def train(steps: int) -> float:
        step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - start) / steps

    return train


class Contender:
    """A process that trains when it is told to."""

    def __init__(self, script: str, workload: str, contender: str):
        self.process = subprocess.Popen(
            [sys.executable, script, "--contender", workload, contender],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.first = self._answer("first")

    def _answer(self, kind: str) -> float:
        for line in self.process.stdout:
            if line.startswith(f"{kind} "):
                return float(line.split()[1])
        raise RuntimeError(f"A contender stopped without an answer: {self.process.args}.")

    def seconds(self, steps: int) -> float:
        """Returns the seconds a step, over some steps."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._answer("step")

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def contend(train: Train) -> None:
    """Answers each line of the standard input, a number of steps, with the seconds a step."""
    start = time.perf_counter()
    train(1)
    print("first", time.perf_counter() - start, flush=True)
    for line in sys.stdin:
        print("step", train(int(line)), flush=True)


def compare(
    script: str, workload: str, contenders: Sequence[str], steps: int, rounds: int
) -> dict[str, tuple[float, float]]:
    """Returns milliseconds a step and seconds of the first step, by contender."""
    racing = {one: Contender(script, workload, one) for one in contenders}
    blocks = {one: [] for one in racing}
    for _ in range(rounds):
        for one, contender in racing.items():
            blocks[one].append(1000 * contender.seconds(steps))
    for contender in racing.values():
        contender.stop()
    return {one: (statistics.median(blocks[one]), racing[one].first) for one in racing}


def print_ratios(workload: str, ms: Mapping[str, float], limits: Mapping[str, float]) -> None:
    """Prints our time over each contender's best, and what ratio is wanted.

    Args:
        workload: Its name.
        ms: Milliseconds by contender.
        limits: Ratios wanted, by contender; of several, apart by "|", the fastest counts.
    """
    for names, wanted in limits.items():
        ratio = ms["dlrecipes"] / min(ms[one] for one in names.split("|"))
        word = "within" if ratio <= wanted else "over"
        print(f"{workload:26} {ratio:.2f} of {names}: {word} the {wanted:.2f} wanted", flush=True)


def versions() -> str:
    """Returns the versions that were compared."""
    found = []
    for package in ("tensorflow", "keras", "torch"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def processor() -> str:
    """Returns the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(script: str, about: str, workloads: Mapping, contenders, trainer) -> None:
    """Prints the table, and writes it as CSV beside the script when all workloads ran.

    Args:
        script: The benchmark's file.
        about: Its first line, for `--help`.
        workloads: By name; each has `steps` a block and `limits` by contender.
        contenders: Returns who competes in a workload.
        trainer: Returns the function that trains, from a workload and a contender's name.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--only", default="", help="workloads whose name holds this text")
    parser.add_argument("--rounds", type=int, default=7, help="blocks a contender")
    parser.add_argument("--csv", type=Path, default=Path(script).with_suffix(".csv"))
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
        found = compare(script, name, contenders(work), work.steps, args.rounds)
        for one, (ms, first) in found.items():
            about = (os.cpu_count(), processor(), versions())
            rows.append((name, one, f"{ms:.2f}", f"{first:.1f}", *about))
            print(f"{name:26} {one:20} {ms:8.2f} ms   first step {first:5.1f} s", flush=True)
        print_ratios(name, {one: ms for one, (ms, _) in found.items()}, work.limits)
    if not args.only:
        with args.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
