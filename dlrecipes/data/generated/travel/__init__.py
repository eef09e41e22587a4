"""Travel queries with slots and intents, drawn from a grammar: slot filling's built-in data."""

import random
from types import ModuleType

from dlrecipes.data.generated.travel import chinese, english
from dlrecipes.data.generated.travel.grammar import Draft, sentence
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.errors import UsageError, nearest

__all__ = ["travel_queries"]

_LANGUAGES = {"english": english, "chinese": chinese}
_NEW_SHARE = 0.28
_MOST = 200_000
_PATIENCE = 1000


def travel_queries(
    language: str = "english", seed: int = 0, sizes: tuple[int, int, int] = (4000, 500, 1000)
) -> tuple[list[TaggedSentence], list[TaggedSentence], list[TaggedSentence]]:
    """Draws travel queries for training, validation and test.

    No sentence occurs twice, whatever its case and final stop. About a fifth of the
    cities, airlines and other fillers never occur in training; 28% of the test sentences
    hold at least one of them, and as many of the validation sentences, which draw from
    only half of them.

    Args:
        language: `"english"`, whose tokens are words, or `"chinese"`, whose tokens are single
            Han characters and runs of digits and Latin letters.
        seed: The same seed gives the same sentences in every process.
        sizes: How many sentences for training, validation and test; each at least 1,
            together at most 200,000.

    Returns:
        The sentences for training, validation and test, with BIO tags and an intent.

    Raises:
        UsageError: There is no such language, or a size is out of bounds.

    Example:

    >>> train, validation, test = travel_queries(sizes=(20, 5, 5))
    >>> len(train), len(validation), len(test)
    (20, 5, 5)
    >>> len(train[0].tokens) == len(train[0].tags)
    True
    """
    if language not in _LANGUAGES:
        known = ", ".join(_LANGUAGES)
        raise UsageError(
            f"There are no travel queries in {language!r}; there are {known}.",
            nearest(language, _LANGUAGES),
        )
    if len(sizes) != 3 or min(sizes) < 1 or sum(sizes) > _MOST:
        raise UsageError(
            f"Cannot draw {tuple(sizes)} sentences.",
            f"Give three sizes of at least 1 each and at most {_MOST:,} together.",
        )
    grammar = _LANGUAGES[language].GRAMMAR
    half = {name: phrases[::2] for name, phrases in grammar.new.items()}
    rng, seen = random.Random(seed), set()
    train, validation, test = (
        _split(_LANGUAGES[language], rng, new, size, seen)
        for new, size in zip(({}, half, grammar.new), sizes, strict=True)
    )
    return train, validation, test


def _split(
    source: ModuleType, rng: random.Random, new: dict, size: int, seen: set[str]
) -> list[TaggedSentence]:
    intents, weights = list(source.INTENTS), list(source.INTENTS.values())
    sentences: list[TaggedSentence] = []
    # Without a fixed quota, sentences with no place for a held-out word would lower the share.
    wants_new, failures = _quota(rng, new), 0
    while len(sentences) < size:
        intent = rng.choices(intents, weights)[0]
        draft = source.GRAMMAR.draw(intent, Draft(rng, new if wants_new else {}))
        if draft.used_new == wants_new and source.finish(draft, rng):
            key = " ".join(draft.tokens).lower().rstrip(".!?。？ ")
            if key not in seen:
                seen.add(key)
                sentences.append(sentence(draft, intent))
                wants_new, failures = _quota(rng, new), 0
                continue
        failures += 1
        if failures > _PATIENCE:
            raise UsageError(
                f"The grammar yields no more than {len(seen)} different sentences.",
                "Ask for fewer.",
            )
    return sentences


def _quota(rng: random.Random, new: dict) -> bool:
    return bool(new) and rng.random() < _NEW_SHARE
