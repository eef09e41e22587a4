"""Regulated quatrains composed from the lexicon: the built-in data of poem generation."""

import random
from dataclasses import dataclass, field
from functools import cache

from dlrecipes.data.quatrains import lexicon
from dlrecipes.data.quatrains.lexicon import THEMES, WIDTHS, Word, words
from dlrecipes.data.quatrains.poem import LENGTHS, Poem
from dlrecipes.data.quatrains.prosody import FREE, RHYME_NAMES, TEMPLATES
from dlrecipes.errors import UsageError, nearest

# Slots of a line, and how often it is built so.
_STRUCTURES = {
    5: {("subject", "predicate"): 6, ("clause", "image"): 2, ("scene", "image"): 2},
    7: {
        ("scene", "subject", "predicate"): 5,
        ("clause", "subject", "predicate"): 2,
        ("scene", "clause", "image"): 2,
        ("clause", "clause", "image"): 1,
    },
}
# How often a word of the poem's own theme is drawn, against one that suits any.
_OWN = 3
# The lexicon has enough words that end in these.
_RHYMES = tuple(RHYME_NAMES.index(name) for name in "啊衣乌哀欸熬欧安恩昂英雍")
_PATIENCE = 2000


def quatrains(count: int, seed: int = 0, length: int = 5, theme: str | None = None) -> list[Poem]:
    """Composes regulated quatrains, all different.

    Each follows one of the four templates of `prosody.TEMPLATES` in every tone, rhymes where
    the template does, and repeats no character but within a word. A character with several
    readings stands only where the one that is meant fits.

    Args:
        count: How many, at least 1.
        seed: The same seed gives the same poems in every process.
        length: Characters a line, 5 or 7.
        theme: One of `THEMES` for all poems; `None` draws one for each.

    Raises:
        UsageError: An argument is out of bounds, there is no such theme, or the lexicon
            does not yield as many different poems.

    Example:

    >>> first, second = quatrains(2, seed=1, theme="moonlight")
    >>> [len(line) for line in first.lines], first.theme, first == second
    ([5, 5, 5, 5], 'moonlight', False)
    """
    _check(count, length, theme)
    rng, found, failures = random.Random(seed), {}, 0
    about = theme or rng.choice(THEMES)
    while len(found) < count:
        poem = _compose(rng, length, about)
        if poem is not None and poem.lines not in found:
            found[poem.lines] = poem
            about, failures = theme or rng.choice(THEMES), 0
            continue
        failures += 1
        if failures > _PATIENCE:
            raise UsageError(
                f"The lexicon yields no more than {len(found)} different quatrains.",
                "Ask for fewer.",
            )
    return list(found.values())


def _check(count: int, length: int, theme: str | None) -> None:
    if count < 1:
        raise UsageError(f"Cannot compose {count} quatrains.", "Give at least 1.")
    if length not in LENGTHS:
        raise UsageError(f"A line cannot have {length!r} characters.", "Give 5 or 7.")
    if theme is not None and theme not in THEMES:
        raise UsageError(
            f"There are no quatrains about {theme!r}; there are {', '.join(THEMES)}.",
            nearest(theme, THEMES),
        )


@dataclass
class _Draft:
    """A poem in the making; no character of it is used again."""

    rng: random.Random
    theme: str
    used: set[str] = field(default_factory=set)

    def draw(
        self, slot: str, pattern: str, rhyme: int | None, kinds: tuple[str, ...]
    ) -> Word | None:
        """Returns a word of the slot, of one of the kinds where any are named."""
        pools = [_pool(self.theme, slot, pattern, rhyme, kind) for kind in kinds or (None,)]
        free = [word for pool in pools for word in pool if self.used.isdisjoint(word.text)]
        if not free:
            return None
        word = self.rng.choice(free)
        self.used.update(word.text)
        return word


def _compose(rng: random.Random, length: int, theme: str) -> Poem | None:
    """Returns a poem, or `None` where the words that were drawn leave none for a later line."""
    template = rng.choice(TEMPLATES[length])
    rhyme, draft, lines = rng.choice(_RHYMES), _Draft(rng, theme), []
    for number, pattern in enumerate(template.lines):
        line = _line(draft, pattern, rhyme if number in template.rhyming else None)
        if line is None:
            return None
        lines.append(line)
    return Poem(tuple(lines), theme=theme)


def _line(draft: _Draft, pattern: str, rhyme: int | None) -> str | None:
    structures = _STRUCTURES[len(pattern)]
    slots = draft.rng.choices(list(structures), list(structures.values()))[0]
    line, kinds = "", ()
    # The end first: it has the rhyme, and says what the subject may be.
    for slot in reversed(slots):
        left = len(pattern) - len(line)
        part = pattern[left - WIDTHS[slot] : left]
        word = draft.draw(slot, part, None if line else rhyme, kinds if slot == "subject" else ())
        if word is None:
            return None
        line, kinds = word.text + line, word.kinds
    return line


@cache
def _pool(
    theme: str, slot: str, pattern: str, rhyme: int | None, kind: str | None
) -> tuple[Word, ...]:
    """Returns the words that fit; those of the theme's own stand there several times."""
    fitting = [
        word
        for word in words()
        if word.slot == slot
        and theme in word.themes
        and (kind is None or kind in word.kinds)
        and _fits(word.text, pattern, rhyme)
    ]
    return tuple(w for w in fitting for _ in range(1 if w.themes == THEMES else _OWN))


def _fits(text: str, pattern: str, rhyme: int | None) -> bool:
    if rhyme not in (None, lexicon.rhyme(text[-1])):
        return False
    return all(t in (FREE, lexicon.tone(c)) for c, t in zip(text, pattern, strict=True))
