"""A GAN learns a mixture of two normal distributions, plotted as in figure 1 of the paper.

`python docs/demonstrations/gan_mixture.py` writes `gan_mixture.png` to its own folder, in
half a minute on one core.

Reference: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville and Bengio, 2014,
"Generative adversarial nets", figure 1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlrecipes.figures import BLUE, GREY, ORANGE
from dlrecipes.training import GAN

WEIGHTS, MEANS, DEVIATIONS = np.array([0.4, 0.6]), np.array([-2.0, 1.5]), np.array([0.5, 0.8])
MINIBATCH, DISCRIMINATOR_STEPS, STEPS_PER_EPOCH = 256, 3, 50
SNAPSHOTS = (0, 50, 150, 500, 2000)
X = np.linspace(-4.5, 4.5, 301, dtype="float32")
Z = np.linspace(-1, 1, 41, dtype="float32")


class Snapshot(NamedTuple):
    """The two networks at one point of the training.

    Args:
        step: Number of generator updates so far.
        generated: Samples of the generator's distribution.
        probabilities: Output D(x) of the discriminator at each of `X`.
        images: Output G(z) of the generator at each of `Z`.
    """

    step: int
    generated: np.ndarray
    probabilities: np.ndarray
    images: np.ndarray


def density(x: np.ndarray) -> np.ndarray:
    """Returns the probability density of the data at each x."""
    standard = (x[:, None] - MEANS) / DEVIATIONS
    return (WEIGHTS * np.exp(-(standard**2) / 2) / (DEVIATIONS * np.sqrt(2 * np.pi))).sum(axis=1)


def sample(count: int, seed: int) -> np.ndarray:
    """Returns samples of the data's distribution, float32 of shape `(count, 1)`."""
    rng = np.random.default_rng(seed)
    parts = rng.choice(2, size=count, p=WEIGHTS)
    return rng.normal(MEANS[parts], DEVIATIONS[parts]).astype("float32")[:, None]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the Wasserstein-1 distance between two equally large samples of numbers."""
    return float(np.abs(np.sort(first, axis=None) - np.sort(second, axis=None)).mean())


def trainer(steps: int, seed: int = 0) -> GAN:
    """Returns a compiled GAN of two small networks.

    Args:
        steps: Number of generator updates over which the learning rates fall to 0.
        seed: Seed of the initial weights and of the noise. Defaults to 0.
    """
    keras.utils.set_random_seed(seed)
    generator, discriminator = (
        keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(32, activation="relu"),
                keras.layers.Dense(32, activation="relu"),
                keras.layers.Dense(1),
            ]
        )
        for _ in range(2)
    )
    model = GAN(generator, discriminator, DISCRIMINATOR_STEPS, noise="uniform", seed=seed)
    adams = [
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, updates), beta_1=0.5)
        for updates in (steps, steps * DISCRIMINATOR_STEPS)
    ]
    model.compile(*adams, steps_per_execution=STEPS_PER_EPOCH)
    return model


def train(snapshots: Sequence[int] = SNAPSHOTS, seed: int = 0) -> list[Snapshot]:
    """Trains a GAN and returns snapshots of it.

    Args:
        snapshots: Numbers of generator updates after which to take a snapshot: increasing multiples
            of `STEPS_PER_EPOCH`. Defaults to `SNAPSHOTS`.
        seed: Seed of weights, data and noise. Defaults to 0.
    """
    model = trainer(snapshots[-1], seed)
    batch = MINIBATCH * DISCRIMINATOR_STEPS
    data = sample(batch * STEPS_PER_EPOCH, seed)
    taken = []
    for before, step in zip([0, *snapshots], snapshots, strict=False):
        if step > before:
            epochs = (step - before) // STEPS_PER_EPOCH
            model.fit(data, batch_size=batch, epochs=epochs, verbose=0)
        logits = np.asarray(model.discriminator(X[:, None]))[:, 0]
        taken.append(
            Snapshot(
                step,
                np.asarray(model.sample(20000))[:, 0],
                1 / (1 + np.exp(-logits)),
                np.asarray(model(Z[:, None]))[:, 0],
            )
        )
    return taken


def draw(snapshots: Sequence[Snapshot]) -> Figure:
    """Returns a figure with one column per snapshot: D(x) and both densities above, G(z) below."""
    figure = Figure(figsize=(3 * len(snapshots), 4.6), layout="constrained")
    rows = figure.subplots(2, len(snapshots), sharey="row", height_ratios=(2.4, 1), squeeze=False)
    truth = sample(20000, seed=1)
    for column, snapshot in enumerate(snapshots):
        upper, lower = rows[:, column]
        away = distance(snapshot.generated, truth)
        upper.set_title(
            f"after {snapshot.step:,} updates\nWasserstein-1 distance {away:.2f}", fontsize=11
        )
        right = _draw_densities(upper, snapshot)
        _draw_mapping(lower, snapshot)
        if column == 0:
            upper.set_ylabel("density")
        if column < len(snapshots) - 1:
            right.tick_params(labelright=False)
        else:
            right.set_ylabel("D(x)", color=BLUE)
    handles = [*rows[0, 0].get_legend_handles_labels()[0], right.lines[0]]
    names = [handle.get_label() for handle in handles]
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_densities(axis: Axes, snapshot: Snapshot) -> Axes:
    axis.plot(X, density(X), color="black", linestyle=":", linewidth=2, label="data, p(x)")
    bins = np.linspace(X[0], X[-1], 73)
    heights, _ = np.histogram(snapshot.generated, bins)
    heights = heights / (len(snapshot.generated) * np.diff(bins))
    axis.stairs(heights, bins, fill=True, color=ORANGE, alpha=0.55, label="generator, p(G(z))")
    axis.set(ylim=(0, 0.64), xlim=(X[0], X[-1]), xlabel="x")
    if heights.max() > 0.64:
        # An untrained generator maps all noise to almost the same number.
        axis.annotate(f"to {heights.max():.0f}", (bins[heights.argmax() + 1], 0.6), (8, 0),
                      textcoords="offset points", fontsize=9)  # fmt: skip
    axis.spines["top"].set_visible(False)
    right = axis.twinx()
    right.plot(X, snapshot.probabilities, color=BLUE, linestyle="--", label="discriminator, D(x)")
    right.axhline(0.5, color=GREY, linewidth=0.6)
    right.set(ylim=(0, 1), yticks=(0, 0.5, 1))
    right.tick_params(axis="y", colors=BLUE)
    right.spines["top"].set_visible(False)
    return right


def _draw_mapping(axis: Axes, snapshot: Snapshot) -> None:
    # Lines from each noise value on the lower edge, scaled to the width of x, to G(z) above.
    below = Z * 0.9 * X[-1]
    axis.plot(np.stack([below, snapshot.images]), [[0], [1]], color=ORANGE, linewidth=0.8)
    axis.set(ylim=(0, 1), yticks=(0, 1), yticklabels=("noise z", "G(z)"))
    axis.set(xlim=(X[0], X[-1]), xticks=())
    axis.tick_params(axis="y", length=0)
    axis.spines[["left", "right"]].set_visible(False)


def main() -> None:
    """Trains the GAN and writes the figure."""
    draw(train()).savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
