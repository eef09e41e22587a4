"""Times a whole training step of image_classification, also in PyTorch.

dlrecipes trains as the recipe does: its dataset with its augmentation, its optimizer, `fit`.
PyTorch trains the same network eagerly, channels last, with fused AdamW, on images that it flips,
shifts and zooms with one `grid_sample` per batch. Neither decodes files: the images are in memory.
race.py explains how times are measured. Before, the networks are compared: the same weights must
give the same scores.

    python benchmarks/classification.py                       all workloads, table and CSV
    python benchmarks/classification.py --only "small_resnet 32" --csv benchmarks/classification.csv

Needs PyTorch: `pip install torch==2.13.0`.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import race

TORCH = "torch channels_last fused AdamW"
CLASSES, IMAGES = 10, 4096
FLIP, SHIFT, ZOOM = True, 0.1, 0.1
RATE, DECAY, SMOOTHING = 4e-3, 0.05, 0.1
# Scores of the same network differ by rounding alone.
LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A network to train.

    Args:
        network: Value of `--network`: `"small_resnet"` or `"resnet18"`.
        size: Height and width of the images.
        batch: Number of images per step.
        steps: Number of steps per block.
        width: Multiplier of the channels. Defaults to 1.
        precision: Value of `--precision`. Defaults to `"float32"`.
        limits: Target ratios of our time to another one, by contender.
    """

    network: str
    size: int
    batch: int
    steps: int
    width: float = 1.0
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    limits: dict = field(default_factory=lambda: {TORCH: 1.0})


WORKLOADS = {
    "small_resnet 32 float32": Workload("small_resnet", 32, 256, 12),
    "small_resnet 32 bfloat16": Workload(
        "small_resnet", 32, 256, 12, precision="mixed_bfloat16", limits={}
    ),
    "small_resnet 64 float32": Workload("small_resnet", 64, 64, 40),
    "small_resnet 64 bfloat16": Workload(
        "small_resnet", 64, 64, 40, precision="mixed_bfloat16", limits={}
    ),
    "resnet18 x0.25 32 float32": Workload("resnet18", 32, 256, 6, 0.25),
    "resnet18 x0.25 32 bfloat16": Workload(
        "resnet18", 32, 256, 6, 0.25, "mixed_bfloat16", limits={}
    ),
    "resnet18 x0.25 64 float32": Workload("resnet18", 64, 64, 6, 0.25),
}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    return ["dlrecipes", TORCH]


def data(work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images, uint8, channels last, and their classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, work.size, work.size, 3), "uint8")
    return images, rng.integers(0, CLASSES, IMAGES)


def config(work: Workload):
    """Returns the recipe's settings."""
    from dlrecipes.recipe.registry import find

    return find("image_classification").config()(
        network=work.network,
        size=work.size,
        width=work.width,
        batch_size=work.batch,
        precision=work.precision,
        flip=FLIP,
        shift=SHIFT,
        zoom=ZOOM,
        learning_rate=RATE,
        weight_decay=DECAY,
        label_smoothing=SMOOTHING,
    )


def keras_trainer(work: Workload) -> race.Train:
    """Returns the function that trains with the recipe."""
    from dlrecipes.data.labelled_images import ImageExamples
    from dlrecipes.recipe.registry import find

    source = find("image_classification")
    recipe = source.make(config(work))
    examples = ImageExamples.from_arrays(*data(work), tuple("abcdefghij"))
    model = source._module("training").build(recipe.config, examples.names, IMAGES // work.batch)

    def endless(steps: int):
        batches, _ = recipe.dataset(model, examples, 0)
        return (batches,), {"steps_per_epoch": steps}

    return race.clocked(model, endless)


def torch_network(work: Workload):
    """Returns PyTorch's network, channels last."""
    import torch
    import torch_networks

    network = getattr(torch_networks, work.network)(CLASSES, work.size, work.width)
    return network.to(memory_format=torch.channels_last)


def torch_trainer(work: Workload) -> race.Train:
    """Returns the function that trains with PyTorch."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    images, labels = map(torch.from_numpy, data(work))
    images = images.permute(0, 3, 1, 2)
    network = torch_network(work)
    groups: list[dict] = [{"params": [], "weight_decay": 0.0}, {"params": []}]
    for parameter in network.parameters():
        groups[parameter.ndim > 1]["params"].append(parameter)
    optimizer = torch.optim.AdamW(groups, RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100_000)
    seen, right = 0, torch.zeros((), dtype=torch.long)
    order = torch.randperm(IMAGES)

    def step():
        nonlocal seen, order
        start = seen % IMAGES
        if not start:
            order = torch.randperm(IMAGES)
        rows = order[start : start + work.batch]
        seen += work.batch
        batch, targets = augmented(images[rows]), labels[rows]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=work.precision != "float32"):
            scores = network(batch)
        loss = torch.nn.functional.cross_entropy(scores.float(), targets, label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        schedule.step()
        right.add_((scores.argmax(1) == targets).sum())

    return race.stepped(step)


def augmented(images):
    """Returns uint8 images as inputs of the network, each flipped, shifted and zoomed at random."""
    import torch

    count, size = len(images), images.shape[-1]
    zoom = 1 + ZOOM * (2 * torch.rand(count) - 1)
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0) if FLIP else torch.ones(count)
    shifts = SHIFT * (2 * torch.rand(2, count) - 1)
    # Whole pixels; the grid's coordinates go from -1 to 1.
    across, down = (size * shifts).round() * 2 / size
    none = torch.zeros(count)
    matrices = torch.stack([mirror * zoom, none, across, none, zoom, down], 1).reshape(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(matrices, list(images.shape), align_corners=False)
    pixels = torch.nn.functional.grid_sample(
        images.float(), grid, padding_mode="reflection", align_corners=False
    )
    scaled = pixels.mul_(1 / (255 * 0.25)).sub_(0.45 / 0.25)
    return scaled.contiguous(memory_format=torch.channels_last)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    return keras_trainer(work) if contender == "dlrecipes" else torch_trainer(work)


def check(work: Workload) -> tuple[int, float]:
    """Compares our network with PyTorch's, with the same weights and inputs.

    Args:
        work: Network to compare.

    Returns:
        Number of trainable parameters, and the largest difference of the scores in training mode.

    Raises:
        ValueError: If parameters or scores differ.
    """
    import torch

    from dlrecipes.recipe.registry import find

    networks = find("image_classification")._module("networks")
    ours, theirs = networks.build(config(work), CLASSES), torch_network(work)
    counts = [sum(v.numpy().size for v in ours.trainable_variables)]
    counts.append(sum(parameter.numel() for parameter in theirs.parameters()))
    layers = {layer.name: layer for layer in ours._flatten_layers()}
    for path, module in theirs.named_modules():
        if not list(module.parameters(recurse=False)):
            continue
        values = [variable.numpy() for variable in layers[path.split(".")[-1]].trainable_variables]
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[values[0].ndim]
        values[0] = values[0].transpose(axes)
        for parameter, value in zip(module.parameters(recurse=False), values, strict=True):
            parameter.data.copy_(torch.from_numpy(value.copy()))
    images = data(work)[0][:16].astype("float32") / 255
    inputs = torch.from_numpy((images - 0.45) / 0.25).permute(0, 3, 1, 2)
    scores = theirs(inputs).detach().numpy()
    difference = float(np.abs(scores - ours(images, training=True).numpy()).max())
    if counts[0] != counts[1] or difference > LARGEST_DIFFERENCE:
        raise ValueError(
            f"{work.network}: the networks differ: {counts[0]:,} and {counts[1]:,} parameters, "
            f"scores by up to {difference:.2g}."
        )
    return counts[0], difference


def print_checks(only: str) -> None:
    """Prints for each network that PyTorch's is the same.

    Args:
        only: Text in the names of the workloads to check.
    """
    for name, work in WORKLOADS.items():
        if work.precision == "float32" and only.lower() in name.lower():
            count, difference = check(work)
            print(f"{name:26} {count:,} parameters; scores differ by {difference:.0e} at most")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        print_checks(sys.argv[2])
        sys.exit()
    if not {"--contender", "--help"} & set(sys.argv):
        # In a process of its own: the race must not hold both packages' threads and memory.
        text = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
        subprocess.run([sys.executable, __file__, "--check", text], check=True)
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
