"""The adding problem: an LSTM learns a dependency over many steps that an Elman network misses.

`python docs/demonstrations/adding_problem.py` writes `adding_problem.png` to its own folder, in two
minutes on one core.

Each step shows a number between 0 and 1 and a mark. Two steps are marked, one of the first ten and
another of the first half. The target, after the last step, is the sum of the two marked numbers.
The mean squared error of the constant answer 1 is the variance of that sum, 1/6.

Reference: Hochreiter and Schmidhuber, 1997, "Long short-term memory", section 5.4 (their numbers
are between -1 and 1, and their sums scaled).
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.models import sequence_model
from dlrecipes.training import SupervisedTrainer

TIME, UNITS, BATCH, TEST = 40, 32, 64, 5000
STEPS_PER_EPOCH, EPOCHS, SEEDS = 100, 40, (0, 1, 2)
BASELINE = 1 / 6


def adding(count: int, time: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns sequences of shape `(count, time, 2)` and their sums, of shape `(count, 1)`.

    Args:
        count: Number of examples.
        time: Number of steps per sequence, at least 4.
        seed: Seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(size=(count, time))
    half = time // 2
    first = rng.integers(0, min(10, half), count)
    # A different step of the first half.
    second = (first + rng.integers(1, half, count)) % half
    marks, rows = np.zeros((count, time)), np.arange(count)
    marks[rows, first] = marks[rows, second] = 1
    x = np.stack([numbers, marks], axis=-1).astype("float32")
    return x, (numbers * marks).sum(axis=1, keepdims=True).astype("float32")


def learn(
    cell: str, time: int = TIME, epochs: int = EPOCHS, units: int = UNITS, seed: int = 0
) -> list[float]:
    """Trains a network; returns its mean squared error on new sequences after each epoch.

    Args:
        cell: `"elman"` or `"lstm"`.
        time: Number of steps per sequence. Defaults to 40.
        epochs: Number of epochs, each of 100 steps. Defaults to 40.
        units: Number of hidden units. Defaults to 32.
        seed: Seed of the weights and of the data. Defaults to 0.
    """
    keras.utils.set_random_seed(seed)
    network = sequence_model("many_to_one", 1, num_features=2, cell=cell, units=units)
    model = SupervisedTrainer(network)
    optimizer = keras.optimizers.Adam(0.003, global_clipnorm=1.0)
    model.compile(optimizer, "mse", steps_per_execution=STEPS_PER_EPOCH)
    x, y = adding(BATCH * STEPS_PER_EPOCH * epochs, time, seed=2 * seed + 1)
    # Each epoch has new sequences, so that the network cannot memorize examples.
    parts = zip(np.split(x, epochs), np.split(y, epochs), strict=True)
    test_x, test_y = adding(TEST, time, seed=0)
    errors = []
    for part_x, part_y in parts:
        model.fit(part_x, part_y, batch_size=BATCH, verbose=0)
        predicted = network.predict(test_x, batch_size=TEST, verbose=0)
        errors.append(float(np.mean((predicted - test_y) ** 2)))
    return errors


def draw(errors: dict[str, Sequence[Sequence[float]]]) -> Figure:
    """Returns a figure of the errors by step.

    Args:
        errors: For each network by name, and for each seed, the errors after each epoch.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for (name, runs), colour in zip(errors.items(), (ORANGE, BLUE), strict=True):
        for number, run in enumerate(runs):
            steps = STEPS_PER_EPOCH * np.arange(1, len(run) + 1)
            label = f"{name}, {len(runs)} seeds" if number == 0 else None
            axis.semilogy(steps, run, color=colour, label=label)
    axis.axhline(BASELINE, color=GREY, linestyle=":", label="always answers 1: 1/6")
    axis.set(
        title=f"Adding two of {TIME} numbers",
        xlabel=f"steps, of {BATCH} sequences each",
        ylabel="mean squared error on new sequences",
    )
    axis.legend(fontsize=8)
    return figure


def main() -> None:
    """Trains the networks and writes the figure."""
    errors = {"Elman": [], "LSTM": []}
    for name, runs in errors.items():
        for seed in SEEDS:
            runs.append(learn(name.lower(), seed=seed))
            print(f"{name}, seed {seed}: {runs[-1][-1]:.4f} against {BASELINE:.4f}", flush=True)
    draw(errors).savefig(Path(__file__).with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
