"""Times a training step of recurrent networks in dlrecipes, plain Keras and PyTorch.

Keras trains through `compile("adam", ...)` and `fit`. dlrecipes does the same with its
`SupervisedTrainer`. All other options have their defaults, except that the contenders "32 steps"
are compiled with `steps_per_execution=32`. PyTorch trains in the usual eager loop. In the workloads
"lengths a to b" the sentences of a batch differ in length, and the graph knows neither their
lengths nor the longest one; "torch" computes the padding as well, and "torch packed" skips it.
race.py explains how times are measured.

    python benchmarks/recurrent.py                     all workloads, table and CSV
    python benchmarks/recurrent.py --only elman        one workload

Needs PyTorch: `pip install torch==2.13.0`.
"""

import itertools
import os
from dataclasses import dataclass, field

import numpy as np
import race


@dataclass(frozen=True)
class Workload:
    """A network and its batches; `limits` are target ratios of times, by contender.

    With `lengths`, sentences have from the first to the second number of words, and 0 is padding.
    """

    cell: str
    units: int
    layers: int = 1
    bidirectional: bool = False
    words: int = 1000
    embedding: int = 100
    classes: int = 127
    batch: int = 32
    time: int = 20
    lengths: tuple[int, int] | None = None
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
    "BiLSTM 128 tagger, lengths 12 to 33": Workload(
        "lstm",
        128,
        bidirectional=True,
        lengths=(12, 33),
        limits={"keras": 0.50, "torch packed": 0.50, "torch": 1.10},
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
    """Returns the contenders, with `torch.compile` where PyTorch has no such layer."""
    if work.lengths:
        return ["dlrecipes", "keras", "torch", "torch packed"]
    several = ["dlrecipes, 32 steps", "keras, 32 steps"] if work.steps >= 32 else []
    compiled = ["torch.compile"] if work.cell == "peephole" else []
    return ["dlrecipes", "keras", *several, "torch", *compiled]


def examples(work: Workload, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns words and labels of shape `(steps, batch, time)`, and the longest sentence by step.

    The words of padding are 0.
    """
    rng = np.random.default_rng(0)
    shortest, longest = work.lengths or (work.time, work.time)
    shape = (steps, work.batch, longest)
    lengths = rng.integers(shortest, longest + 1, shape[:2])
    real = np.arange(longest) < lengths[..., None]
    words, labels = rng.integers(1, work.words, shape), rng.integers(0, work.classes, shape)
    return (words * real).astype("int32"), labels.astype("int32"), lengths.max(axis=1)


def keras_trainer(work: Workload, ours: bool, together: int):
    """Returns a function that trains some steps with Keras and returns the seconds per step.

    Args:
        work: Workload to train.
        ours: Whether the recurrent layers are this package's, or Keras' own.
        together: Number of steps per execution.
    """
    import keras
    import tensorflow as tf

    from dlrecipes import layers
    from dlrecipes.training import SupervisedTrainer

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
    time = None if work.lengths else work.time
    inputs = keras.Input((time,), dtype="int32")
    x = own.Embedding(work.words, work.embedding, mask_zero=bool(work.lengths))(inputs)
    for _ in range(work.layers):
        layer = makers[work.cell](work.units, return_sequences=True)
        wrapper = own.Bidirectional
        x = wrapper(layer)(x) if work.bidirectional else layer(x)
    model = keras.Model(inputs, own.Dense(work.classes)(x))
    if ours:
        model = SupervisedTrainer(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, steps_per_execution=together)

    def data(steps: int):
        words, labels, times = examples(work, steps)
        if not work.lengths:
            arrays = [part.reshape(-1, work.time) for part in (words, labels)]
            return arrays, {"batch_size": work.batch}
        dataset = tf.data.Dataset.from_tensor_slices((words, labels, times))
        return (dataset.map(lambda x, y, time: (x[:, :time], y[:, :time])),), {}

    return race.clocked(model, data, together)


def torch_trainer(work: Workload, compiled: bool, packed: bool):
    """Returns a function that trains some steps with PyTorch and returns the seconds per step.

    Args:
        work: Workload to train.
        compiled: Whether the network is compiled by `torch.compile`.
        packed: Whether sequences are packed, so that their padding is not computed.
    """
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
            embedded = self.embedding(x)
            if not packed:
                return self.scores(self.recurrent(embedded)[0])
            sequences = torch.nn.utils.rnn.pack_padded_sequence(
                embedded, (x != 0).sum(1), batch_first=True, enforce_sorted=False
            )
            outputs = torch.nn.utils.rnn.pad_packed_sequence(
                self.recurrent(sequences)[0], batch_first=True
            )
            return self.scores(outputs[0])

    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    forward = torch.compile(network) if compiled else network

    batches = itertools.cycle(zip(*examples(work, 64), strict=True))

    def step():
        *arrays, time = next(batches)
        x, y = (torch.from_numpy(part[:, :time]).long() for part in arrays)
        # PyTorch's loss ignores the label -100.
        y = torch.where(x != 0, y, -100)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=work.dtype == "bfloat16"):
            scores = forward(x)
            loss = loss_of(scores.flatten(0, 1).float(), y.flatten())
        loss.backward()
        optimizer.step()

    return race.stepped(step)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    if contender.startswith("torch"):
        return torch_trainer(work, contender == "torch.compile", contender == "torch packed")
    ours = contender.startswith("dlrecipes")
    return keras_trainer(work, ours, 32 if contender.endswith("32 steps") else 1)


if __name__ == "__main__":
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
