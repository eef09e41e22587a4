"""Times a step of the training loops in dlrecipes and in PyTorch.

dlrecipes trains through `compile` and `fit` of its trainers. PyTorch trains in an eager loop with
the same step and without unused gradients, for images in both memory formats. Its Adam is the
default implementation; the contenders "fused Adam" use PyTorch's own `Adam(..., fused=True)`. The
fastest one counts. recipes.py times the default steps of recipes, and race.py explains how times
are measured.

    python benchmarks/loops.py                     all workloads, table and CSV
    python benchmarks/loops.py --only dcgan        one workload

Needs PyTorch: `pip install torch==2.13.0`.
"""

import itertools
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

    batches = itertools.repeat(batch)

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

    return race.stepped(loops[work.loop](batches, placed, cast, adam))


def torch_pix2pix(batches, placed, cast, adam):
    """Returns a step of pix2pix."""
    import torch_gans
    import torch_steps

    networks = placed(torch_gans.UNet(7)), placed(torch_gans.patchgan())
    return torch_steps.pix2pix(*networks, [*map(adam, networks)], batches, 100.0, cast)


def torch_dcgan(batches, placed, cast, adam):
    """Returns a step of DCGAN."""
    import torch
    import torch_gans
    import torch_steps

    networks = (
        placed(torch_gans.dcgan_generator(64)),
        placed(torch_gans.dcgan_discriminator(64)),
    )

    def noise(count: int):
        return torch.randn(count, 100)

    return torch_steps.gan(*networks, [*map(adam, networks)], batches, noise, cast)


def torch_triplet(batches, placed, cast, adam):
    """Returns a step with semi-hard negatives."""
    import torch_networks
    import torch_steps

    network = placed(torch_networks.facenet_small())

    def loss_of(images, labels):
        with cast():
            embeddings = network(images)
        return torch_steps.semi_hard(embeddings, labels)

    return torch_steps.descent(network, loss_of, adam(network, 1e-3, 0.9), batches)


def torch_bptt(batches, placed, cast, adam):
    """Returns a step of truncated back-propagation through time."""
    import torch_sequences
    import torch_steps

    network = placed(torch_sequences.CharacterLM(CHARACTERS))
    optimizer = adam(network, 1e-3, 0.9)
    return torch_steps.truncated_bptt(network, optimizer, batches, WINDOW, 1.0, cast)


def trainer(work: Workload, contender: str) -> race.Train:
    """Returns the function that trains a contender."""
    if contender == "dlrecipes":
        return keras_trainer(work)
    return torch_trainer(work, "channels_last" in contender, "fused" in contender)


if __name__ == "__main__":
    race.main(__file__, __doc__.splitlines()[0], WORKLOADS, contenders, trainer)
