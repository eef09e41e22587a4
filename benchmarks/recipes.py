"""Times the default training step of recipes, also in PyTorch.

dlrecipes trains as `dlrecipes run` does: the recipe's network, loss, optimizer and `fit`. Its
default precision is bfloat16 where the CPU has instructions for it; "dlrecipes float32" is
what other CPUs do. PyTorch trains the same network in float32, in an eager loop with fused Adam
(torch_recipes.py). All read the same batches, which the recipe made in advance, so that nobody
loads or augments data; distortions inside of the network belong to the step. race.py explains how
times are measured.

    python benchmarks/recipes.py                         all recipes, table and CSV
    python benchmarks/recipes.py --only slot_filling     one recipe

Needs PyTorch: `pip install torch==2.13.0`.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import race

# Batches that all contenders repeat.
BATCHES = 64
# Environment variable with the folder in which the contenders share these batches.
SHARED = "BENCHMARK_BATCHES"
IMAGES = ("torch", "torch channels_last")
TEXT = ("torch", "torch packed")


@dataclass(frozen=True)
class Workload:
    """The default step of a recipe.

    Args:
        contenders: Names of the contenders in PyTorch, of which the fastest counts.
        steps: Number of steps per block.
        limit: Target ratio of our time to PyTorch's.
    """

    contenders: tuple[str, ...]
    steps: int
    limit: float

    @property
    def limits(self) -> dict[str, float]:
        """Target ratios by contenders, as `race` prints them."""
        return {"|".join(self.contenders): self.limit}


WORKLOADS = {
    "slot_filling": Workload(TEXT, 64, 0.75),
    "digit_recognition": Workload(IMAGES, 12, 0.85),
    "poem_generation": Workload(TEXT, 12, 0.90),
    "facenet": Workload(IMAGES, 4, 0.70),
    "pix2pix": Workload(IMAGES, 18, 0.90),
    "dcgan": Workload(IMAGES, 14, 0.95),
}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    return ["dlrecipes", "dlrecipes float32", *work.contenders]


def prepare(name: str, precision: str = "auto"):
    """Returns the recipe's compiled model, and a dataset of its first training batches.

    Args:
        name: Name of the recipe.
        precision: Its setting `precision`. Defaults to `"auto"`.
    """
    from dlrecipes.recipe.registry import find

    source = find(name)
    recipe = source.make(source.config()(precision=precision))
    splits = recipe.load_data()
    model = recipe.build(splits)
    batches = recipe.dataset(model, splits.train, 0)[0].take(BATCHES).cache()
    # Fills the cache.
    list(batches)
    return model, batches


def keras_trainer(name: str, precision: str) -> race.Train:
    """Returns the function that trains with the recipe.

    Args:
        name: Name of the recipe.
        precision: Its setting `precision`.
    """
    model, batches = prepare(name, precision)
    save(model, batches, shared_file(name))

    def endless(steps: int):
        return (batches.repeat(),), {"steps_per_epoch": steps}

    return race.clocked(model, endless)


def shared_file(name: str) -> Path:
    """Returns the file in which the contenders share a recipe's batches."""
    return Path(os.environ[SHARED]) / f"{name}.npz"


def save(model, batches, path: Path) -> None:
    """Writes batches, and the shapes of the model's weights, as an NPZ file.

    Args:
        model: The recipe's model.
        batches: Its batches.
        path: File to write.
    """
    import tensorflow as tf

    arrays = {
        # Networks may have variables of the same path.
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
    path = shared_file(name)
    if not path.is_file():
        # In a process of its own: this one must not hold TensorFlow's threads and memory.
        subprocess.run([sys.executable, __file__, "--save", name], check=True)
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
        ValueError: If PyTorch's networks have other weights than the recipe's.
    """
    import torch
    import torch_recipes

    from dlrecipes.recipe.registry import find

    torch.set_num_threads(os.cpu_count() or 1)
    weights, batches = load(name)
    config = find(name).config()()
    networks, step = getattr(torch_recipes, name)(config, weights, batches, contender)
    parameters = [item for network in networks for item in network.named_parameters()]
    # PyTorch's LSTM has two biases.
    own = sum(value.numel() for path, value in parameters if "bias_hh" not in path)
    expected = sum(int(np.prod(shape)) for shape in weights.values())
    if own != expected:
        raise ValueError(f"{name}: {own:,} parameters in PyTorch, {expected:,} in the recipe.")
    return race.stepped(step)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    name = next(name for name, other in WORKLOADS.items() if other is work)
    if contender.startswith("torch"):
        return torch_trainer(name, contender)
    return keras_trainer(name, "float32" if contender.endswith("float32") else "auto")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--save"]:
        save(*prepare(sys.argv[2]), shared_file(sys.argv[2]))
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault(SHARED, folder)
        race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
