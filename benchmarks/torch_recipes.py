"""The default training steps of recipes in PyTorch, which recipes.py times.

Each function takes the recipe's settings, the shapes of its weights by number and path, its batches
as lists of arrays, and the contender's name. It returns PyTorch's networks and a step, which trains
on the next batch. Sizes come from the settings and the weights.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch_gans
import torch_networks
import torch_sequences
import torch_steps
from torch.nn import functional

Weights = dict[str, tuple[int, ...]]
Batches = list[list[np.ndarray]]
Trained = tuple[Sequence[torch.nn.Module], Callable[[], None]]


def slot_filling(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the tagger, and a step."""
    network = torch_sequences.Tagger(
        _of(weights, "embedding/")[0],
        _of(weights, "hashing/")[0],
        _of(weights, "tag_scores/kernel")[1],
        _of(weights, "intent_scores/kernel")[1],
        packed="packed" in contender,
    )

    def loss_of(ngrams, words, intent, tags):
        scores, intents, mask = network(words, ngrams)
        likelihood = network.log_likelihood(scores, tags.long(), mask)
        intent_loss = functional.cross_entropy(intents, intent.long())
        return config.intent_weight * intent_loss - likelihood.mean()

    optimizer = _adam(network, config)
    return [network], torch_steps.descent(
        network, loss_of, optimizer, _endless(batches), config.clip_norm
    )


def digit_recognition(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the ensemble, and a step."""
    form = _memory_format(contender)
    network = torch_networks.DigitEnsemble().to(memory_format=form)
    settings = config.model_dump(include={"shift", "rotation", "scale", "shear"})
    settings |= {"alpha": config.elastic, "sigma": config.elastic_sigma}
    right = torch.zeros((), dtype=torch.long)

    def loss_of(images, labels):
        distorted = torch_networks.distorted(images, **settings).contiguous(memory_format=form)
        scores, labels = network(distorted), labels.repeat(3, 1)
        right.add_((scores.argmax(1) == labels.argmax(1)).sum())
        return functional.cross_entropy(scores, labels)

    # Images of one channel, which `distorted` reads.
    endless = _endless(batches, torch.contiguous_format)
    return [network], torch_steps.descent(network, loss_of, _adam(network, config), endless)


def poem_generation(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the language model, and a step."""
    _expect(config, cell="lstm", tied=True)
    if batches[0][0].shape[1] > config.window:
        raise ValueError("A poem is longer than the window, but this step does not divide it.")
    # Inputs are sorted by name.
    conditions = ("place", "rhyme", "tone")
    network = torch_sequences.PoemLM(
        _of(weights, "character_embedding/")[0],
        tuple(_of(weights, f"{name}_embedding/")[0] for name in conditions),
        **config.model_dump(
            include={"units", "depth", "embedding_units", "condition_units", "dropout"}
        ),
    )

    def loss_of(*parts):
        *inputs, targets, used = parts
        ids, targets = torch.stack(inputs, 2), targets.long()
        if "packed" not in contender:
            scores = network(ids).flatten(0, 1)
            # Padding has the target 0.
            return functional.cross_entropy(scores, targets.flatten(), ignore_index=0)
        ids, targets = (
            torch.nn.utils.rnn.pack_padded_sequence(
                part, used.sum(1).long(), batch_first=True, enforce_sorted=False
            )
            for part in (ids, targets)
        )
        return functional.cross_entropy(network(ids.data, ids), targets.data)

    optimizer = _adam(network, config)
    return [network], torch_steps.descent(
        network, loss_of, optimizer, _endless(batches), config.clip_norm
    )


def facenet(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the embedding network, and a step."""
    _expect(
        config,
        network="small",
        width=1.0,
        ensemble_size=1,
        normalization="contrast",
        pooling="flatten",
        dropout=0.0,
        mining="semi_hard",
        metric="squared_euclidean",
        elastic=0.0,
    )
    form = _memory_format(contender)
    filters = tuple(
        shape[-1] for name, shape in weights.items() if len(shape) == 4 and "block_" in name
    )
    network = torch_networks.facenet_small(
        filters, 3 if config.colour else 1, config.embedding_units, config.size >> len(filters)
    ).to(memory_format=form)
    settings = config.model_dump(include={"shift", "rotation", "zoom"})

    def loss_of(images, labels):
        light = functional.layer_norm(images, images.shape[1:], eps=1e-4)
        moved = torch_networks.distorted(light, **settings)
        embeddings = network(moved.contiguous(memory_format=form))
        return torch_steps.semi_hard(embeddings, labels, config.margin)

    optimizer = torch.optim.AdamW(
        network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    return [network], torch_steps.descent(network, loss_of, optimizer, _endless(batches, form))


def pix2pix(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the generator and the discriminator, and a step."""
    _expect(config, adversarial=True, objective="non_saturating")
    form = _memory_format(contender)
    networks = (
        torch_gans.UNet(
            config.levels,
            config.filters,
            config.dropout,
            config.upsampling,
            config.final_filters,
        ),
        torch_gans.patchgan(config.filters, config.discriminator_layers),
    )
    optimizers = [_adam(network.to(memory_format=form), config, 0.5) for network in networks]
    endless = _endless(batches, form)
    return networks, torch_steps.pix2pix(*networks, optimizers, endless, config.l1_weight)


def dcgan(config: Any, weights: Weights, batches: Batches, contender: str) -> Trained:
    """Returns the generator and the discriminator, and a step."""
    _expect(config, objective="non_saturating", discriminator_steps=1)
    form, images = _memory_format(contender), batches[0][0]
    options = {
        "filters": config.filters,
        "size": images.shape[1],
        "channels": images.shape[-1],
        "classes": _of(weights, "project/kernel")[0] - config.latent_size,
    }
    networks = (
        torch_gans.dcgan_generator(latent_size=config.latent_size, **options),
        torch_gans.dcgan_discriminator(**options),
    )
    optimizers = [_adam(network.to(memory_format=form), config, 0.5) for network in networks]

    def noise(count: int):
        return 2 * torch.rand(count, config.latent_size) - 1

    return networks, torch_steps.gan(*networks, optimizers, _endless(batches, form), noise)


def _expect(config: Any, **settings: Any) -> None:
    """Raises an error for settings that the step in PyTorch does not support."""
    for name, value in settings.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"{name} is {getattr(config, name)!r}, but this step is for {value!r}."
            )


def _of(weights: Weights, text: str) -> tuple[int, ...]:
    return next(shape for key, shape in weights.items() if text in key)


def _adam(network: torch.nn.Module, config: Any, beta: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), config.learning_rate, (beta, 0.999), fused=True)


def _memory_format(contender: str) -> torch.memory_format:
    return torch.channels_last if "channels_last" in contender else torch.contiguous_format


def _endless(batches: Batches, form: torch.memory_format = torch.contiguous_format):
    """Returns the batches in a cycle as tensors: images channels first, labels as int64."""

    def tensor(array):
        values = torch.from_numpy(array)
        if values.ndim == 4:
            return values.permute(0, 3, 1, 2).contiguous(memory_format=form)
        return values.long() if values.ndim == 1 else values

    return itertools.cycle([[tensor(part) for part in batch] for batch in batches])
