"""Times the default training step of recipes, also in PyTorch.

dlrecipes trains as `dlrecipes run` does: the recipe's network, loss, optimizer and `fit`. PyTorch
trains the same network in an eager loop with fused Adam. Both read the same batches, which the
recipe made in advance, so that neither loads nor augments data; distortions inside of the network
belong to the step. loops.py times the steps of the other recipes. race.py explains how times are
measured.

    python benchmarks/recipes.py                         all recipes, table and CSV
    python benchmarks/recipes.py --only slot_filling     one recipe

Needs PyTorch: `pip install torch==2.13.0`.
"""

import itertools
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import race

# Batches that both contenders repeat.
BATCHES = 64


@dataclass(frozen=True)
class Workload:
    """The default step of a recipe.

    Args:
        contenders: Names of the contenders in PyTorch.
        steps: Number of steps per block.
        limits: Target ratios of our time to another one, by contender.
    """

    contenders: tuple[str, ...]
    steps: int
    limits: dict = field(default_factory=dict)


WORKLOADS = {
    "slot_filling": Workload(("torch", "torch packed"), 64, {"torch|torch packed": 0.75}),
    "digit_recognition": Workload(
        ("torch", "torch channels_last"), 12, {"torch|torch channels_last": 0.85}
    ),
}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    return ["dlrecipes", *work.contenders]


def prepare(name: str):
    """Returns the recipe's compiled model, and a dataset of its first training batches.

    Args:
        name: Name of the recipe.
    """
    from dlrecipes.recipe.registry import find

    source = find(name)
    recipe = source.make(source.config()())
    splits = recipe.load_data()
    model = recipe.build(splits)
    batches = recipe.dataset(model, splits.train, 0)[0].take(BATCHES).cache()
    # Fills the cache.
    list(batches)
    return model, batches


def keras_trainer(name: str) -> race.Train:
    """Returns the function that trains with the recipe.

    Args:
        name: Name of the recipe.
    """
    model, batches = prepare(name)

    def endless(steps: int):
        return (batches.repeat(),), {"steps_per_epoch": steps}

    return race.clocked(model, endless)


def save(name: str, path: str) -> None:
    """Writes the batches of a recipe, and the shapes of its weights, as an NPZ file.

    Args:
        name: Name of the recipe.
        path: File to write.
    """
    import tensorflow as tf

    model, batches = prepare(name)
    arrays = {
        # Members of an ensemble have variables of the same path.
        f"weight {number} {variable.path}": np.array(variable.shape)
        for number, variable in enumerate(model.trainable_variables)
    }
    for number, batch in enumerate(batches):
        for part, value in enumerate(tf.nest.flatten(batch)):
            arrays[f"batch {number} {part}"] = value.numpy()
    np.savez(path, **arrays)


def load(name: str) -> tuple[dict[str, tuple[int, ...]], list[list[np.ndarray]]]:
    """Returns the shapes of the recipe's weights by number and path, and its batches.

    Args:
        name: Name of the recipe.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "batches.npz")
        # In a process of its own: this one must not hold TensorFlow's threads and memory.
        subprocess.run([sys.executable, __file__, "--save", name, path], check=True)
        with np.load(path) as file:
            arrays = {key.split(" ", 1)[1]: file[key] for key in file if key.startswith("weight")}
            weights = {key: tuple(map(int, shape)) for key, shape in arrays.items()}
            parts = sum(key.startswith("batch 0 ") for key in file)
            numbers = range(sum(key.startswith("batch") for key in file) // parts)
            batches = [[file[f"batch {k} {part}"] for part in range(parts)] for k in numbers]
    return weights, batches


def torch_trainer(name: str, contender: str) -> race.Train:
    """Returns the function that trains with PyTorch.

    Args:
        name: Name of the recipe.
        contender: Name of the contender.

    Raises:
        ValueError: If PyTorch's network has other weights than the recipe's.
    """
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    weights, arrays = load(name)
    batches = [[torch.from_numpy(part) for part in batch] for batch in arrays]
    make = {"slot_filling": slot_filling, "digit_recognition": digit_recognition}[name]
    network, loss_of, clip = make(weights, batches, contender)
    # PyTorch's LSTM has two biases.
    own = sum(p.numel() for n, p in network.named_parameters() if "bias_hh" not in n)
    expected = sum(int(np.prod(shape)) for shape in weights.values())
    if own != expected:
        raise ValueError(f"{name}: {own:,} parameters in PyTorch, {expected:,} in the recipe.")
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
    endless = itertools.cycle(batches)

    def step():
        optimizer.zero_grad()
        loss_of(*next(endless)).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()

    return race.stepped(step)


def slot_filling(weights, batches, contender: str):
    """Returns the tagger, its loss, and the largest norm of its gradient."""
    import torch
    import torch_networks

    network = torch_networks.Tagger(
        _of(weights, "embedding/")[0],
        _of(weights, "hashing/")[0],
        _of(weights, "tag_scores/kernel")[1],
        _of(weights, "intent_scores/kernel")[1],
        packed="packed" in contender,
    )

    def loss_of(ngrams, words, intent, tags):
        scores, intents, mask = network(words, ngrams)
        likelihood = network.log_likelihood(scores, tags.long(), mask)
        return 0.5 * torch.nn.functional.cross_entropy(intents, intent.long()) - likelihood.mean()

    return network, loss_of, 5.0


def digit_recognition(weights, batches, contender: str):
    """Returns the ensemble, its loss, and 0, because gradients are not clipped."""
    import torch
    import torch_networks

    form = torch.channels_last if "channels_last" in contender else torch.contiguous_format
    network = torch_networks.DigitEnsemble().to(memory_format=form)
    for batch in batches:
        batch[0] = batch[0].permute(0, 3, 1, 2).contiguous()
    right = torch.zeros((), dtype=torch.long)

    def loss_of(images, labels):
        distorted = torch_networks.distorted(images).contiguous(memory_format=form)
        scores, labels = network(distorted), labels.repeat(3, 1)
        right.add_((scores.argmax(1) == labels.argmax(1)).sum())
        return torch.nn.functional.cross_entropy(scores, labels)

    return network, loss_of, 0.0


def _of(weights: dict[str, tuple[int, ...]], text: str) -> tuple[int, ...]:
    return next(shape for key, shape in weights.items() if text in key)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    name = next(name for name, other in WORKLOADS.items() if other is work)
    return keras_trainer(name) if contender == "dlrecipes" else torch_trainer(name, contender)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--save"]:
        save(*sys.argv[2:])
        sys.exit()
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
