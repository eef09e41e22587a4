"""Training steps in PyTorch's eager mode that the benchmarks time.

Each function returns a step that trains on the next one of some batches, of which images are
channels first. `cast` returns the context of a forward pass, such as `torch.autocast`.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch.nn import functional


def descent(
    network: torch.nn.Module,
    loss_of: Callable,
    optimizer: torch.optim.Optimizer,
    batches: Iterator,
    clip_norm: float = 0.0,
) -> Callable[[], None]:
    """Returns a step down the gradient of a loss.

    Args:
        network: Network to train.
        loss_of: Function from the parts of a batch to the loss.
        optimizer: Optimizer of the network.
        batches: Endless batches.
        clip_norm: Largest norm of the gradient, or 0. Defaults to 0.
    """

    def step():
        optimizer.zero_grad()
        loss_of(*next(batches)).backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
        optimizer.step()

    return step


def judge(outputs, real: bool):
    """Returns the cross-entropy of a discriminator's logits."""
    targets = torch.ones_like(outputs) if real else torch.zeros_like(outputs)
    return functional.binary_cross_entropy_with_logits(outputs, targets)


def pix2pix(
    generator, discriminator, optimizers, batches: Iterator, l1_weight: float, cast=nullcontext
) -> Callable[[], None]:
    """Returns a step of pix2pix that follows the authors' code.

    Args:
        generator: Network from a condition to an image.
        discriminator: Network from both, concatenated, to logits.
        optimizers: Optimizers of the generator and of the discriminator.
        batches: Endless pairs of condition and target.
        l1_weight: Weight of the L1 loss.
        cast: Context of a forward pass. Defaults to none.
    """

    def step():
        condition, target = next(batches)
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
        distance = functional.l1_loss(fake.float(), target)
        (judge(fake_logits, True) + l1_weight * distance).backward()
        optimizers[0].step()

    return step


def gan(
    generator, discriminator, optimizers, batches: Iterator, noise: Callable, cast=nullcontext
) -> Callable[[], None]:
    """Returns a step of algorithm 1 with k = 1 and new noise for each update.

    Args:
        generator: Network from noise, and labels if there are any, to images.
        discriminator: Network from images, and labels if there are any, to logits.
        optimizers: Optimizers of the generator and of the discriminator.
        batches: Endless tuples of real images, and labels if the networks take them.
        noise: Function from a number of examples to their noise.
        cast: Context of a forward pass. Defaults to none.
    """

    def step():
        real, *labels = next(batches)
        discriminator.requires_grad_(True)
        optimizers[1].zero_grad()
        with torch.no_grad(), cast():
            fake = generator(noise(len(real)), *labels)
        with cast():
            real_logits = discriminator(real, *labels).float()
            fake_logits = discriminator(fake, *labels).float()
        (judge(real_logits, True) + judge(fake_logits, False)).backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        optimizers[0].zero_grad()
        with cast():
            fake = generator(noise(len(real)), *labels)
            fake_logits = discriminator(fake, *labels).float()
        judge(fake_logits, True).backward()
        optimizers[0].step()

    return step


def semi_hard(embeddings, labels, margin: float = 0.2):
    """Returns the triplet loss with semi-hard negatives (FaceNet, section 3.2).

    Args:
        embeddings: Vectors, which are scaled to length 1.
        labels: Identities.
        margin: Required difference of squared distances. Defaults to 0.2.
    """
    embeddings = functional.normalize(embeddings.float())
    distances = (2 - 2 * embeddings @ embeddings.T).clamp_min(0)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    anchors, positives = positive.nonzero(as_tuple=True)
    near = distances[anchors, positives]
    # Only pairs with a positive are compared with the negatives, and only the chosen distances
    # receive a gradient.
    with torch.no_grad():
        rows, negative = distances[anchors], ~same[anchors]
        farther = (rows > near[:, None]) & negative
        nearest, chosen = torch.where(farther, rows, torch.inf).min(1)
        farthest = torch.where(negative, rows, -torch.inf).argmax(1)
        chosen = torch.where(nearest.isinf(), farthest, chosen)
    return torch.relu(near - distances[anchors, chosen] + margin).mean()


def truncated_bptt(
    network, optimizer, batches: Iterator, window: int, clip_norm: float, cast=nullcontext
) -> Callable[[], None]:
    """Returns a step that updates once per chunk of a batch and carries the state over.

    Args:
        network: Network from ids and states to scores and states.
        optimizer: Optimizer of the network.
        batches: Endless pairs of ids and next ids, of shape `(batch, time)`.
        window: Time steps per chunk.
        clip_norm: Largest norm of the gradient.
        cast: Context of a forward pass. Defaults to none.
    """

    def step():
        (x, y), states = next(batches), None
        for start in range(0, x.shape[1], window):
            part = slice(start, start + window)
            optimizer.zero_grad()
            with cast():
                scores, states = network(x[:, part], states)
            states = tuple(state.detach() for state in states)
            loss = functional.cross_entropy(scores.float().flatten(0, 1), y[:, part].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
            optimizer.step()

    return step
