"""Recurrent language models of characters, optionally conditioned on the next one's properties."""

from collections.abc import Mapping

import keras
from keras import ops

from dlrecipes.models._arguments import check_integers, check_rates
from dlrecipes.models.images import nth_seed
from dlrecipes.models.recurrent import recurrent_layer

CELLS = ("lstm", "elman", "gru", "peephole_lstm")
# Small enough that the initial loss is close to the logarithm of the vocabulary size.
OUTPUT_DEVIATION = 0.01
# Wider than Keras' 0.03 for embeddings, which learns slowly here: after 700 steps on quatrains the
# perplexity was 451 with 0.03, 362 with 0.1 for characters, and 349 with both values below.
CHARACTER_DEVIATION, CONDITION_DEVIATION = 0.1, 0.3


def character_lm(
    num_characters: int,
    conditions: Mapping[str, int] | None = None,
    cell: str = "lstm",
    units: int = 512,
    depth: int = 2,
    embedding_units: int = 256,
    condition_units: int = 32,
    tied: bool = True,
    dropout: float = 0.0,
    seed: int | None = None,
    name: str = "character_lm",
) -> keras.Model:
    """Builds a recurrent language model that scores every character as the next one of a text.

    Each step reads the previous character and, with `conditions`, the required properties of the
    character to predict (position, tone, rhyme). Their embeddings are concatenated and read by
    `depth` recurrent layers, whose outputs are added. The conditions also reach the output
    directly, through a linear layer that bypasses the recurrent layers. An untrained model gives
    all characters nearly equal scores.

    Args:
        num_characters: Number of character ids, which start at 0; at least 1.
        conditions: Number of ids of each condition, by name, at least 1. Defaults to `None`, an
            unconditional model.
        cell: `"lstm"`, `"elman"`, `"gru"` or `"peephole_lstm"`. Defaults to `"lstm"`.
        units: Hidden units per layer, at least 1. Defaults to 512.
        depth: Number of recurrent layers, at least 1. Defaults to 2.
        embedding_units: Size of a character embedding, at least 1. Defaults to 256.
        condition_units: Size of a condition embedding, at least 1. Defaults to 32.
        tied: Whether the output layer shares the embedding's weights, after a projection to the
            embedding's size (Press and Wolf, 2017). Defaults to `True`.
        dropout: Dropout rate of each recurrent layer's input and of the last one's output, in
            [0, 1). Defaults to 0.
        seed: Seed of the initial weights and of dropout. Defaults to `None`.
        name: Model name. Defaults to `"character_lm"`.

    Returns:
        A functional `keras.Model`. Inputs: a dictionary of `characters` and each condition,
        int32 of shape `(batch, time)`. Output: scores of shape `(batch, time, num_characters)`.

    Raises:
        ValueError: If the cell is not one of the listed ones, a condition is named
            `characters`, or a number is out of bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import character_lm
    >>> model = character_lm(50, {"tone": 3}, units=8)
    >>> ids = keras.ops.array([[7, 3, 12]])
    >>> tuple(model({"characters": ids, "tone": ids * 0}).shape)
    (1, 3, 50)

    Reference:
        Mikolov, Karafiat, Burget, Cernocky and Khudanpur, 2010, "Recurrent neural network
        based language model".
        Graves, 2013, "Generating sequences with recurrent neural networks", section 3.
        https://arxiv.org/abs/1308.0850
        Zhang and Lapata, 2014, "Chinese poetry generation with recurrent neural networks".
        Press and Wolf, 2017, "Using the output embedding to improve language models".
        https://arxiv.org/abs/1608.05859
    """
    conditions = dict(conditions or {})
    _check(cell, conditions)
    check_integers(num_characters=num_characters, units=units, depth=depth)
    check_integers(embedding_units=embedding_units, condition_units=condition_units, **conditions)
    check_rates(dropout=dropout)
    inputs = {
        key: keras.Input((None,), dtype="int32", name=key) for key in ("characters", *conditions)
    }
    embed = _embedding(num_characters, embedding_units, tied, seed)
    x, direct = embed(inputs["characters"]), []
    output_units = embedding_units if tied else units
    condition_embeddings = [
        keras.layers.Embedding(
            size,
            condition_units,
            embeddings_initializer=_normal(CONDITION_DEVIATION, seed, index),
            name=f"{key}_embedding",
        )(inputs[key])
        for index, (key, size) in enumerate(conditions.items(), start=1)
    ]
    if condition_embeddings:
        x = ops.concatenate([x, *condition_embeddings], axis=-1)
        condition = condition_embeddings[0]
        if len(condition_embeddings) > 1:
            condition = ops.concatenate(condition_embeddings, axis=-1)
        direct = [keras.layers.Dense(output_units, use_bias=False, name="direct")(condition)]
    for layer in range(1, depth + 1):
        hidden = recurrent_layer(cell, units, name=f"hidden_{layer}")
        y = hidden(_drop(x, dropout, seed, layer))
        # A residual connection around each further layer: a deep network learns as quickly as a
        # shallow one.
        x = y if layer == 1 else keras.layers.Add(name=f"sum_{layer}")([x, y])
    x = _drop(x, dropout, seed, depth + 1)
    if tied:
        x = keras.layers.Dense(embedding_units, name="projection")(x)
    x = keras.layers.Add(name="conditioned")([x, *direct]) if direct else x
    if tied:
        scores = embed(x, reverse=True)
    else:
        initializer = _normal(OUTPUT_DEVIATION, seed, len(conditions) + 1)
        output = keras.layers.Dense(num_characters, kernel_initializer=initializer, name="scores")
        scores = output(x)
    return keras.Model(inputs, scores, name=name)


def _embedding(
    num_characters: int, units: int, tied: bool, seed: int | None
) -> keras.layers.Embedding:
    kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
    normal = _normal(CHARACTER_DEVIATION, seed, 0)
    return kind(num_characters, units, embeddings_initializer=normal, name="character_embedding")


def _normal(deviation: float, seed: int | None, index: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=deviation, seed=nth_seed(seed, index))


def _check(cell: str, conditions: Mapping[str, int]) -> None:
    if cell not in CELLS:
        raise ValueError(f"cell {cell!r} is not one of {', '.join(CELLS)}.")
    if "characters" in conditions:
        raise ValueError("a condition cannot be named 'characters', the name of the text input.")


def _drop(x, dropout: float, seed: int | None, index: int):
    if not dropout:
        return x
    return keras.layers.Dropout(dropout, seed=nth_seed(seed, index), name=f"dropout_{index}")(x)
