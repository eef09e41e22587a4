"""Times a step of the training loops in dlrecipes and in PyTorch.

dlrecipes trains through `compile` and `fit` of its trainers. PyTorch trains in an eager loop with
the same step and without unused gradients, for images in both memory formats. Its Adam is the
default implementation; the contenders "fused Adam" use PyTorch's own `Adam(..., fused=True)`. The
fastest one counts. recipes.py times the default steps of slot_filling and digit_recognition, and
race.py explains how times are measured.

    python benchmarks/loops.py                     all workloads, table and CSV
    python benchmarks/loops.py --only dcgan        one workload

Needs PyTorch: `pip install torch==2.13.0`.
"""

import os
from dataclasses import dataclass, field

import numpy as np
import race

TORCH = "torch|torch channels_last|torch channels_last fused Adam"
TORCH_TEXT = "torch|torch fused Adam"
CHARACTERS, WINDOW, CHUNKS = 5000, 32, 4


@dataclass(frozen=True)
class Workload:
    """A training loop to time.

    Args:
        loop: `"pix2pix"`, `"dcgan"`, `"triplet"` or `"bptt"`.
        dtype: `"float32"`, or `"bfloat16"` for mixed precision.
        steps: Number of steps per block.
        limits: Target ratios of our time to another one, by contender.
        batch: Number of examples per step. Defaults to 64.
    """

    loop: str
    dtype: str
    steps: int
    limits: dict = field(default_factory=dict)
    batch: int = 64


WORKLOADS = {
    "pix2pix 128 float32": Workload("pix2pix", "float32", 4, {TORCH: 0.90}, 4),
    "pix2pix 128 bfloat16": Workload("pix2pix", "bfloat16", 4, {TORCH: 0.95}, 4),
    "DCGAN 64 float32": Workload("dcgan", "float32", 3, {TORCH: 0.95}),
    "DCGAN 64 bfloat16": Workload("dcgan", "bfloat16", 3, {TORCH: 1.15}),
    "triplet 64 float32": Workload("triplet", "float32", 10, {TORCH: 0.70}),
    "triplet 64 bfloat16": Workload("triplet", "bfloat16", 10, {TORCH: 0.70}),
    "truncated BPTT float32": Workload("bptt", "float32", 2, {TORCH_TEXT: 0.90}),
    "truncated BPTT bfloat16": Workload("bptt", "bfloat16", 2, {TORCH_TEXT: 1.50}),
}


def contenders(work: Workload) -> list[str]:
    """Returns the contenders of a workload."""
    if work.loop == "bptt":
        return ["dlrecipes", "torch", "torch fused Adam"]
    return ["dlrecipes", "torch", "torch channels_last", "torch channels_last fused Adam"]


def data(work: Workload) -> tuple[np.ndarray, ...]:
    """Returns a batch of random values, channels last."""
    rng = np.random.default_rng(0)
    side = {"pix2pix": 128}.get(work.loop, 64)
    if work.loop == "bptt":
        shape = (work.batch, WINDOW * CHUNKS)
        return tuple(rng.integers(0, CHARACTERS, shape).astype("int32") for _ in range(2))
    shape = (work.batch, side, side, 3)
    images = rng.uniform(-1, 1, shape).astype("float32")
    if work.loop == "dcgan":
        return (images,)
    if work.loop == "triplet":
        return images, np.repeat(np.arange(work.batch // 4), 4).astype("int32")
    return images, rng.uniform(-1, 1, shape).astype("float32")


# This package.


def keras_trainer(work: Workload) -> race.Train:
    """Returns the function that trains the loop with this package."""
    import keras
    import tensorflow as tf

    if work.dtype == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = {"pix2pix": pix2pix, "dcgan": dcgan, "triplet": triplet, "bptt": bptt}[work.loop]()
    batch = data(work)
    batch = batch if len(batch) > 1 else batch[0]

    def endless(steps: int):
        repeated = tf.data.Dataset.from_tensors(batch).repeat()
        return (repeated,), {"steps_per_epoch": steps}

    return race.clocked(model, endless)


def pix2pix():
    """Returns our Pix2Pix, compiled."""
    from dlrecipes import models, training

    model = training.Pix2Pix(models.pix2pix_unet(size=128), models.patchgan())
    model.compile()
    return model


def dcgan():
    """Returns our GAN with DCGAN's networks, compiled."""
    from dlrecipes import models, training

    networks = models.dcgan_generator(filters=64), models.dcgan_discriminator(filters=64)
    model = training.GAN(*networks)
    model.compile()
    return model


def triplet():
    """Returns our trainer of embeddings, compiled."""
    import keras

    from dlrecipes import models, training

    model = training.TripletEmbedding(models.facenet_small((64, 64, 3)))
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def bptt():
    """Returns our character model with truncated BPTT, compiled."""
    import keras

    from dlrecipes import layers, training

    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(CHARACTERS, 512)(inputs)
    for _ in range(2):
        x = layers.LSTM(512, return_sequences=True)(x)
    network = keras.Model(inputs, keras.layers.Dense(CHARACTERS)(x))
    model = training.TruncatedBPTT(network, window=WINDOW)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), loss)
    return model


# PyTorch.


def torch_trainer(work: Workload, channels_last: bool, fused: bool) -> race.Train:
    """Returns the function that trains the loop with PyTorch.

    Args:
        work: Workload to train.
        channels_last: Whether images use the memory format `channels_last`.
        fused: Whether Adam is the fused one.
    """
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    form = torch.channels_last if channels_last else torch.contiguous_format
    batch = [torch.from_numpy(part) for part in data(work)]
    batch = [
        part.permute(0, 3, 1, 2).contiguous(memory_format=form) if part.ndim == 4 else part.long()
        for part in batch
    ]

    def cast():
        return torch.autocast("cpu", torch.bfloat16, enabled=work.dtype == "bfloat16")

    def placed(network):
        return network.to(memory_format=form) if work.loop != "bptt" else network

    loops = {
        "pix2pix": torch_pix2pix,
        "dcgan": torch_dcgan,
        "triplet": torch_triplet,
        "bptt": torch_bptt,
    }

    def adam(network, rate: float = 2e-4, beta: float = 0.5):
        return torch.optim.Adam(network.parameters(), rate, (beta, 0.999), fused=fused or None)

    return race.stepped(loops[work.loop](batch, placed, cast, adam))


def judge(outputs, real: bool):
    """Returns the cross-entropy of a discriminator's logits."""
    import torch

    targets = torch.ones_like(outputs) if real else torch.zeros_like(outputs)
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)


def torch_pix2pix(batch, placed, cast, adam):
    """Returns a step of pix2pix that follows the authors' code."""
    import torch
    import torch_networks

    generator, discriminator = placed(torch_networks.UNet(7)), placed(torch_networks.patchgan())
    optimizers = adam(generator), adam(discriminator)
    condition, target = batch

    def step():
        with cast():
            fake = generator(condition)
        discriminator.requires_grad_(True)
        optimizers[1].zero_grad()
        with cast():
            fake_logits = discriminator(torch.cat([condition, fake.detach()], 1)).float()
            real_logits = discriminator(torch.cat([condition, target], 1)).float()
        ((judge(fake_logits, False) + judge(real_logits, True)) / 2).backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        optimizers[0].zero_grad()
        with cast():
            fake_logits = discriminator(torch.cat([condition, fake], 1)).float()
        distance = torch.nn.functional.l1_loss(fake.float(), target)
        (judge(fake_logits, True) + 100 * distance).backward()
        optimizers[0].step()

    return step


def torch_dcgan(batch, placed, cast, adam):
    """Returns a step of algorithm 1 with k = 1 and new noise for each update."""
    import torch
    import torch_networks

    generator = placed(torch_networks.dcgan_generator(64))
    discriminator = placed(torch_networks.dcgan_discriminator(64))
    optimizers = adam(generator), adam(discriminator)
    (real,) = batch

    def step():
        discriminator.requires_grad_(True)
        optimizers[1].zero_grad()
        with torch.no_grad(), cast():
            fake = generator(torch.randn(len(real), 100))
        with cast():
            real_logits, fake_logits = discriminator(real).float(), discriminator(fake).float()
        (judge(real_logits, True) + judge(fake_logits, False)).backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        optimizers[0].zero_grad()
        with cast():
            fake_logits = discriminator(generator(torch.randn(len(real), 100))).float()
        judge(fake_logits, True).backward()
        optimizers[0].step()

    return step


def torch_triplet(batch, placed, cast, adam):
    """Returns a step with semi-hard negatives (FaceNet, section 3.2), without a Python loop."""
    import torch
    import torch_networks

    network = placed(torch_networks.facenet_small())
    optimizer = adam(network, 1e-3, 0.9)
    images, labels = batch
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)

    def step():
        optimizer.zero_grad()
        with cast():
            embeddings = network(images)
        embeddings = torch.nn.functional.normalize(embeddings.float())
        distances = (2 - 2 * embeddings @ embeddings.T).clamp_min(0)
        # (anchor, positive, negative)
        farther = (distances[:, None] > distances[:, :, None]) & ~same[:, None]
        infinity = torch.full((), torch.inf)
        nearest = torch.where(farther, distances[:, None], infinity).amin(2)
        farthest = torch.where(same, -infinity, distances).amax(1)
        chosen = torch.where(nearest.isinf(), farthest[:, None], nearest)
        costs = torch.relu(distances - chosen + 0.2)
        costs[positive].mean().backward()
        optimizer.step()

    return step


def torch_bptt(batch, placed, cast, adam):
    """Returns a step that updates once per chunk of a batch and carries the state over."""
    import torch
    import torch_networks

    network = placed(torch_networks.CharacterLM(CHARACTERS))
    optimizer = adam(network, 1e-3, 0.9)
    x, y = batch

    def step():
        states = None
        for start in range(0, x.shape[1], WINDOW):
            part = slice(start, start + WINDOW)
            optimizer.zero_grad()
            with cast():
                scores, states = network(x[:, part], states)
            states = tuple(state.detach() for state in states)
            loss = torch.nn.functional.cross_entropy(
                scores.float().flatten(0, 1), y[:, part].flatten()
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    return step


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    if contender == "dlrecipes":
        return keras_trainer(work)
    return torch_trainer(work, "channels_last" in contender, "fused" in contender)


if __name__ == "__main__":
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
