"""Times a training step of recurrent networks: dlrecipes, plain Keras and PyTorch side by side.

Each contender is a process of its own that sleeps while another is timed; blocks of steps
alternate between them, and the median block counts. Keras and dlrecipes train through
`compile("adam", ...)` and `fit`, with nothing else said ("32 steps" apart, which is compiled
with `steps_per_execution=32`); PyTorch through the usual eager loop. Time to trace or compile
is the first step's, and is given apart.

    python benchmarks/recurrent.py                     all workloads, table and CSV
    python benchmarks/recurrent.py --only elman        one of them

Needs PyTorch: `pip install torch==2.13.0`.
"""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CSV = Path(__file__).with_suffix(".csv")
COLUMNS = ("workload", "contender", "ms_a_step", "first_step_s", "cores", "machine", "versions")


@dataclass(frozen=True)
class Workload:
    """A network and its batches; `limits` are the ratios that are wanted, by contender."""

    cell: str
    units: int
    layers: int = 1
    bidirectional: bool = False
    words: int = 1000
    embedding: int = 100
    classes: int = 127
    batch: int = 32
    time: int = 20
    dtype: str = "float32"
    steps: int = 96
    limits: dict = field(default_factory=dict)


LM = {
    "cell": "lstm",
    "units": 512,
    "layers": 2,
    "words": 5000,
    "embedding": 512,
    "classes": 5000,
    "batch": 64,
    "time": 32,
    "steps": 6,
}
WORKLOADS = {
    "BiLSTM 128 tagger": Workload(
        "lstm", 128, bidirectional=True, limits={"keras": 0.65, "torch": 1.10}
    ),
    "Elman 100 tagger": Workload("elman", 100, limits={"keras": 0.45, "torch": 0.60}),
    "peephole LSTM 128 tagger": Workload(
        "peephole", 128, limits={"keras": 0.80, "torch": 0.80, "torch.compile": 1.0}
    ),
    "character LM float32": Workload(**LM, limits={"keras": 0.85, "torch": 1.30}),
    "character LM bfloat16": Workload(
        **LM, dtype="bfloat16", limits={"keras": 0.55, "torch": 1.50}
    ),
}


def contenders(work: Workload) -> list[str]:
    """Returns who competes: `torch.compile` where PyTorch has no layer of its own."""
    several = ["dlrecipes, 32 steps", "keras, 32 steps"] if work.steps >= 32 else []
    compiled = ["torch.compile"] if work.cell == "peephole" else []
    return ["dlrecipes", "keras", *several, "torch", *compiled]


# In a contender's process.


def keras_trainer(work: Workload, ours: bool, together: int):
    """Returns a function that trains some steps and returns the seconds each took.

    Args:
        work: What is trained.
        ours: Whether its recurrent layers are of this package, or Keras' own.
        together: Steps an execution.
    """
    import keras
    import numpy as np

    from dlrecipes import layers

    if work.dtype == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    own = keras.layers
    makers = {
        "lstm": layers.LSTM if ours else own.LSTM,
        "elman": layers.SimpleRNN if ours else own.SimpleRNN,
        "peephole": layers.PeepholeLSTM
        if ours
        else lambda units, **kwargs: own.RNN(layers.PeepholeLSTMCell(units), **kwargs),
    }
    inputs = keras.Input((work.time,), dtype="int32")
    x = own.Embedding(work.words, work.embedding)(inputs)
    for _ in range(work.layers):
        layer = makers[work.cell](work.units, return_sequences=True)
        wrapper = own.Bidirectional
        x = wrapper(layer)(x) if work.bidirectional else layer(x)
    model = keras.Model(inputs, own.Dense(work.classes)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, steps_per_execution=together)

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.ends = []

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    clock = Clock()
    rng = np.random.default_rng(0)

    def train(steps: int) -> float:
        # One execution more than is timed: the first also starts the data.
        executions = -(-steps // together)
        shape = ((executions + 1) * together * work.batch, work.time)
        data = [rng.integers(0, n, shape).astype("int32") for n in (work.words, work.classes)]
        model.fit(*data, batch_size=work.batch, verbose=0, callbacks=[clock])
        return (clock.ends[-1] - clock.ends[0]) / (executions * together)

    return train


def torch_trainer(work: Workload, compiled: bool):
    """Returns a function that trains some steps and returns the seconds each took."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)

    class Peephole(torch.nn.Module):
        def __init__(self, features, units):
            super().__init__()
            self.inputs = torch.nn.Linear(features, 4 * units)
            self.recurrent = torch.nn.Linear(units, 4 * units, bias=False)
            self.peepholes = torch.nn.Parameter(torch.zeros(3, units))

        def forward(self, x):
            z = self.inputs(x)
            h = c = z.new_zeros(len(x), self.peepholes.shape[1])
            outputs = []
            for t in range(x.shape[1]):
                i, f, g, o = (z[:, t] + self.recurrent(h)).chunk(4, 1)
                i = torch.sigmoid(i + self.peepholes[0] * c)
                f = torch.sigmoid(f + self.peepholes[1] * c)
                c = f * c + i * torch.tanh(g)
                h = torch.sigmoid(o + self.peepholes[2] * c) * torch.tanh(c)
                outputs.append(h)
            return torch.stack(outputs, 1), None

    def recurrent(features):
        if work.cell == "peephole":
            return Peephole(features, work.units)
        kind = {"lstm": torch.nn.LSTM, "elman": torch.nn.RNN}[work.cell]
        return kind(
            features, work.units, work.layers, batch_first=True, bidirectional=work.bidirectional
        )

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(work.words, work.embedding)
            self.recurrent = recurrent(work.embedding)
            width = work.units * (1 + work.bidirectional)
            self.scores = torch.nn.Linear(width, work.classes)

        def forward(self, x):
            return self.scores(self.recurrent(self.embedding(x))[0])

    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    forward = torch.compile(network) if compiled else network

    def step(x, y):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=work.dtype == "bfloat16"):
            scores = forward(x)
            loss = loss_of(scores.flatten(0, 1).float(), y.flatten())
        loss.backward()
        optimizer.step()

    def train(steps: int) -> float:
        shape = (steps + 1, work.batch, work.time)
        xs, ys = (torch.randint(0, n, shape) for n in (work.words, work.classes))
        step(xs[0], ys[0])
        start = time.perf_counter()
        for x, y in zip(xs[1:], ys[1:], strict=True):
            step(x, y)
        return (time.perf_counter() - start) / steps

    return train


def contend(name: str, contender: str) -> None:
    """Answers each line of the standard input, a number of steps, with the seconds a step."""
    work = WORKLOADS[name]
    if contender.startswith("torch"):
        train = torch_trainer(work, contender == "torch.compile")
    else:
        ours = contender.startswith("dlrecipes")
        train = keras_trainer(work, ours, 32 if contender.endswith("32 steps") else 1)
    start = time.perf_counter()
    train(1)
    print("first", time.perf_counter() - start, flush=True)
    for line in sys.stdin:
        print("step", train(int(line)), flush=True)


# In the process that compares.


class Contender:
    """A process that trains when it is told to."""

    def __init__(self, name: str, contender: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--contender", name, contender],
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


def compare(name: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Returns milliseconds a step and seconds of the first step, by contender."""
    work = WORKLOADS[name]
    racing = {one: Contender(name, one) for one in contenders(work)}
    blocks = {one: [] for one in racing}
    for _ in range(rounds):
        for one, contender in racing.items():
            blocks[one].append(1000 * contender.seconds(work.steps))
    for contender in racing.values():
        contender.stop()
    return {one: (statistics.median(blocks[one]), racing[one].first) for one in racing}


def print_ratios(name: str, ms: dict[str, float]) -> None:
    """Prints our time over each contender's, and what ratio is wanted."""
    for one, wanted in WORKLOADS[name].limits.items():
        ratio = ms["dlrecipes"] / ms[one]
        word = "within" if ratio <= wanted else "over"
        print(f"{name:26} {ratio:.2f} of {one}: {word} the {wanted:.2f} wanted", flush=True)


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


def main() -> None:
    """Prints the table, and writes it as CSV when all workloads ran."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="workloads whose name holds this text")
    parser.add_argument("--rounds", type=int, default=7, help="blocks a contender")
    parser.add_argument("--csv", type=Path, default=CSV, help="where the table goes")
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        contend(*args.contender)
        return
    rows = []
    for name in WORKLOADS:
        if args.only.lower() not in name.lower():
            continue
        for one, (ms, first) in compare(name, args.rounds).items():
            about = (os.cpu_count(), processor(), versions())
            rows.append((name, one, f"{ms:.2f}", f"{first:.1f}", *about))
            print(f"{name:26} {one:20} {ms:8.2f} ms   first step {first:5.1f} s", flush=True)
        print_ratios(name, {row[1]: float(row[2]) for row in rows if row[0] == name})
    if not args.only:
        with args.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
