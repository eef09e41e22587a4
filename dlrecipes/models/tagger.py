"""Sequence taggers, which score each tag for each word of a sentence."""

import keras
from keras import ops

from dlrecipes.layers import ContextWindow, OneOfN, WordDropout, WordHashing
from dlrecipes.models import recurrent
from dlrecipes.models._arguments import check_integers, check_rates

ENCODINGS = ("one_of_n", "hashing", "embedding")
CELLS = ("feed_forward", *recurrent.CELLS)


def tagger(
    num_words: int,
    num_tags: int,
    num_ngrams: int = 0,
    num_intents: int = 0,
    encoding: str | tuple[str, ...] = ("embedding",),
    word_units: int = 100,
    ngram_units: int = 100,
    cell: str = "lstm",
    units: int = 100,
    depth: int = 1,
    bidirectional: bool = True,
    context: int = 0,
    dropout: float = 0.25,
    word_dropout: float = 0.0,
    seed: int | None = None,
    name: str = "tagger",
) -> keras.Model:
    """Builds a tagger, which scores every tag for every word of a sentence.

    The words are encoded, concatenated with `context` neighbours on each side, and read by
    `depth` hidden layers: dense ones (a feed-forward network on a context window) or
    recurrent ones. A Jordan network's last layer feeds back the tag scores themselves.

    Args:
        num_words: Number of word ids, at least 1; 0 is padding and 1 is 'other'.
        num_tags: Number of tags, at least 1.
        num_ngrams: Number of letter n-gram ids, of which 0 is padding; required by `"hashing"`.
            Defaults to 0.
        num_intents: Number of classes of the whole sentence; 0 leaves that output out. Defaults
            to 0.
        encoding: One or several of `"one_of_n"`, `"hashing"` and `"embedding"`; several are
            concatenated. Defaults to `("embedding",)`.
        word_units: Size of the learned embedding. Defaults to 100.
        ngram_units: Size that the n-gram counts are projected to. Defaults to 100.
        cell: `"feed_forward"`, `"elman"`, `"jordan"`, `"lstm"`, `"peephole_lstm"` or `"gru"`.
            Defaults to `"lstm"`.
        units: Hidden units per layer and direction. Defaults to 100.
        depth: Number of hidden layers, at least 1. Defaults to 1.
        bidirectional: Whether recurrent layers also read from the end. Defaults to `True`.
        context: Number of neighbours on each side that a word is concatenated with. Defaults to 0.
        dropout: Dropout rate before and after each hidden layer, in [0, 1). Defaults to 0.25.
        word_dropout: Probability that a word becomes 'other' in training. Defaults to 0.
        seed: Seed of the dropout layers. Defaults to `None`.
        name: Model name. Defaults to `"tagger"`.

    Returns:
        A functional `keras.Model`. Inputs: `words`, int32 of shape `(batch, time)`, and,
        with `"hashing"`, `ngrams`, int32 of shape `(batch, time, ngrams_per_word)`. Outputs:
        a dictionary of `tags`, scores of shape `(batch, time, num_tags)`, and, with
        `num_intents`, `intent`, scores of shape `(batch, num_intents)`.

    Raises:
        ValueError: If an encoding or a cell is not one of the listed ones, or a number is out of
            bounds.

    Example:

    >>> import keras
    >>> from dlrecipes.models import tagger
    >>> model = tagger(num_words=50, num_tags=5, cell="elman", bidirectional=False)
    >>> tuple(model({"words": keras.ops.array([[7, 3, 12, 0]])})["tags"].shape)
    (1, 4, 5)

    Reference:
        Mesnil, He, Deng and Bengio, 2013, "Investigation of recurrent-neural-network
        architectures and learning methods for spoken language understanding".
    """
    encoding = (encoding,) if isinstance(encoding, str) else encoding
    _check(encoding, cell, num_ngrams)
    check_integers(num_words=num_words, num_tags=num_tags, units=units, depth=depth)
    check_integers(word_units=word_units, ngram_units=ngram_units)
    check_integers(0, num_intents=num_intents, context=context)
    check_rates(dropout=dropout)
    inputs = {"words": keras.Input((None,), dtype="int32", name="words")}
    if "hashing" in encoding:
        inputs["ngrams"] = keras.Input((None, None), dtype="int32", name="ngrams")
    seeds = _seeds(seed)
    x = _encode(
        inputs, encoding, num_words, num_ngrams, word_units, ngram_units, word_dropout, seeds
    )
    # The mask is explicit because Keras' implicit mask is lost where encodings are concatenated.
    mask = ops.not_equal(inputs["words"], 0)
    x = keras.layers.Dropout(dropout, seed=next(seeds))(x)
    if context:
        x = ContextWindow(context, context, name="context")(x, mask=mask)
    last_is_output = cell == "jordan"
    for layer in range(1, depth + 1):
        output = num_tags if last_is_output and layer == depth else None
        hidden = _hidden(cell, units, bidirectional, output, f"hidden_{layer}")
        x = hidden(x) if cell == "feed_forward" else hidden(x, mask=mask)
        if output is None:
            x = keras.layers.Dropout(dropout, seed=next(seeds))(x)
    tags = x if last_is_output else keras.layers.Dense(num_tags, name="tag_scores")(x)
    outputs = {"tags": tags}
    if num_intents:
        outputs["intent"] = keras.layers.Dense(num_intents, name="intent_scores")(_mean(x, mask))
    return keras.Model(inputs, outputs, name=name)


def _check(encoding, cell, num_ngrams) -> None:
    check_integers(0, num_ngrams=num_ngrams)
    if not isinstance(encoding, tuple | list):
        raise ValueError(f"encoding must be a name or a tuple of names, not {encoding!r}.")
    for encoding_name in encoding:
        if encoding_name not in ENCODINGS:
            raise ValueError(f"encoding {encoding_name!r} is not one of {', '.join(ENCODINGS)}.")
    if not encoding:
        raise ValueError(f"encoding is empty; name at least one of {', '.join(ENCODINGS)}.")
    if cell not in CELLS:
        raise ValueError(f"cell {cell!r} is not one of {', '.join(CELLS)}.")
    if "hashing" in encoding and num_ngrams < 2:
        raise ValueError(
            f"the encoding 'hashing' needs num_ngrams of at least 2, not {num_ngrams}."
        )


def _mean(x, mask):
    # Keras' average pooling divides by zero if a sentence has no words.
    weights = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def _seeds(seed: int | None):
    while True:
        yield seed
        seed = None if seed is None else seed + 1


def _encode(inputs, encoding, num_words, num_ngrams, word_units, ngram_units, word_dropout, seeds):
    words, ngrams = inputs["words"], inputs.get("ngrams")
    if word_dropout:
        drop = WordDropout(word_dropout, seed=next(seeds), name="word_dropout")
        words, ngrams = (drop(words), None) if ngrams is None else drop([words, ngrams])
    makers = {
        "one_of_n": lambda: OneOfN(num_words, name="one_of_n")(words),
        "embedding": lambda: keras.layers.Embedding(num_words, word_units, name="embedding")(words),
        "hashing": lambda: WordHashing(num_ngrams, ngram_units, name="hashing")(ngrams),
    }
    parts = [makers[name]() for name in encoding]
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="encoding")(parts)


def _hidden(cell: str, units: int, bidirectional: bool, output_units: int | None, name: str):
    if cell == "feed_forward":
        return keras.layers.Dense(units, activation="tanh", name=name)
    return recurrent.recurrent_layer(cell, units, bidirectional, output_units, name=name)
