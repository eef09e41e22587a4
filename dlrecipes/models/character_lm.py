"""Recurrent language models of characters, perhaps told what the next one should be."""

from collections.abc import Mapping

import keras
from keras import ops

from dlrecipes.models._arguments import integers, rates
from dlrecipes.models.recurrent import recurrent_layer

CELLS = ("lstm", "elman", "gru", "peephole_lstm")
# Scores at the start are so near to equal that the loss is the logarithm of the vocabulary.
OUTPUT_DEVIATION = 0.01
# Wider than Keras' embeddings, of 0.03, which learn slowly here: after 700 steps on quatrains the
# perplexity was 451 with those, 362 with such characters and 349 with such conditions, too.
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
    """Builds a network that scores each character as the next one of a text.

    A step reads the character before and, with `conditions`, what is wanted of the character
    that it predicts (its place, tone, rhyme). The embeddings of all are joined and read by
    `depth` recurrent layers, whose outputs add up. A wish adds its own scores to the output, too,
    without the way through the memory. An untrained network scores all characters nearly alike.

    Args:
        num_characters: Number of character ids, which run from 0, at least 1.
        conditions: Number of ids of each condition, by name, at least 1.
        cell: `"lstm"`, `"elman"`, `"gru"` or `"peephole_lstm"`.
        units: Hidden units a layer, at least 1.
        depth: Recurrent layers, at least 1.
        embedding_units: Size of a character's embedding, at least 1.
        condition_units: Size of a condition's embedding, at least 1.
        dropout: Share of the units left out in training, of what each recurrent layer reads
            and of what the last puts out, in [0, 1).
        tied: Whether the output's weights are the embedding's, after a projection to its size
            (Press and Wolf, 2017).
        seed: Seed of the dropout.
        name: Name of the model.

    Returns:
        A functional `keras.Model`. Inputs: a dictionary of `characters` and each condition,
        int32 of shape `(batch, time)`. Output: scores of shape `(batch, time, num_characters)`.

    Raises:
        ValueError: If the cell is not one of those named, a condition is called `characters`,
            or a number is out of its bounds.

    Example:

    >>> model = character_lm(50, {"tone": 3}, units=8)
    >>> ids = keras.ops.array([[7, 3, 12]])
    >>> tuple(model({"characters": ids, "tone": ids * 0}).shape)
    (1, 3, 50)

    Reference:
        Mikolov, Karafiat, Burget, Cernocky and Khudanpur, 2010, "Recurrent neural network
        based language model"; Graves, 2013, "Generating sequences with recurrent neural
        networks", section 3; Zhang and Lapata, 2014, "Chinese poetry generation with recurrent
        neural networks".
    """
    conditions = dict(conditions or {})
    _check(cell, conditions)
    integers(num_characters=num_characters, units=units, depth=depth)
    integers(embedding_units=embedding_units, condition_units=condition_units, **conditions)
    rates(dropout=dropout)
    inputs = {
        key: keras.Input((None,), dtype="int32", name=key) for key in ("characters", *conditions)
    }
    embed = _embedding(num_characters, embedding_units, tied, seed)
    x, direct = embed(inputs["characters"]), []
    read = embedding_units if tied else units
    wishes = [
        keras.layers.Embedding(
            size,
            condition_units,
            embeddings_initializer=_normal(CONDITION_DEVIATION, seed, place),
            name=f"{key}_embedding",
        )(inputs[key])
        for place, (key, size) in enumerate(conditions.items(), start=1)
    ]
    if wishes:
        x = ops.concatenate([x, *wishes], axis=-1)
        joined = wishes[0] if len(wishes) == 1 else ops.concatenate(wishes, axis=-1)
        direct = [keras.layers.Dense(read, use_bias=False, name="direct")(joined)]
    for layer in range(1, depth + 1):
        hidden = recurrent_layer(cell, units, name=f"hidden_{layer}")
        y = hidden(_drop(x, dropout, seed, layer))
        # A way past each further layer: a deep network learns as quickly as a flat one.
        x = y if layer == 1 else keras.layers.Add(name=f"sum_{layer}")([x, y])
    x = _drop(x, dropout, seed, depth + 1)
    if tied:
        x = keras.layers.Dense(embedding_units, name="projection")(x)
    x = keras.layers.Add(name="wanted")([x, *direct]) if direct else x
    if tied:
        scores = embed(x, reverse=True)
    else:
        small = _normal(OUTPUT_DEVIATION, seed, len(conditions) + 1)
        scores = keras.layers.Dense(num_characters, kernel_initializer=small, name="scores")(x)
    return keras.Model(inputs, scores, name=name)


def _embedding(
    num_characters: int, units: int, tied: bool, seed: int | None
) -> keras.layers.Embedding:
    kind = keras.layers.ReversibleEmbedding if tied else keras.layers.Embedding
    drawn = _normal(CHARACTER_DEVIATION, seed, 0)
    return kind(num_characters, units, embeddings_initializer=drawn, name="character_embedding")


def _normal(deviation: float, seed: int | None, place: int) -> keras.initializers.Initializer:
    own = None if seed is None else seed + place
    return keras.initializers.RandomNormal(stddev=deviation, seed=own)


def _check(cell: str, conditions: Mapping[str, int]) -> None:
    if cell not in CELLS:
        raise ValueError(f"cell {cell!r} is not one of {', '.join(CELLS)}.")
    if "characters" in conditions:
        raise ValueError("a condition cannot be called 'characters': that is the text's own input.")


def _drop(x, dropout: float, seed: int | None, place: int):
    if not dropout:
        return x
    drawn = None if seed is None else seed + place
    return keras.layers.Dropout(dropout, seed=drawn, name=f"dropout_{place}")(x)
