"""Composer of regulated quatrains from the lexicon: built-in data for poem generation."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from dlrecipes.data.quatrains import lexicon
from dlrecipes.data.quatrains.lexicon import THEMES, WIDTHS, Word, words
from dlrecipes.data.quatrains.poem import LENGTHS, Poem
from dlrecipes.data.quatrains.prosody import FREE, TEMPLATES
from dlrecipes.errors import UsageError, nearest

# Sequences of slots that make a line, with their weights.
_STRUCTURES: dict[int, dict[tuple[str, ...], int]] = {
    5: {("subject", "predicate"): 6, ("clause", "image"): 2, ("scene", "image"): 2},
    7: {
        ("scene", "subject", "predicate"): 5,
        ("clause", "subject", "predicate"): 2,
        ("scene", "clause", "image"): 2,
        ("clause", "clause", "image"): 1,
    },
}
# Weight of a word of the poem's own theme; a word that suits any theme has weight 1.
_OWN = 3
# Words of a theme that a rhyme needs: a poem has up to three rhyming lines.
_MIN_RHYMES = 3
_PATIENCE = 2000


def quatrains(count: int, seed: int = 0, length: int = 5, theme: str | None = None) -> list[Poem]:
    """Composes different regulated quatrains.

    Each poem follows every tone and rhyme of one of the four templates in `prosody.TEMPLATES`,
    and repeats characters only within a word. A character with several readings is used only
    where the intended reading fits.

    Args:
        count: Number of poems, at least 1.
        seed: Random seed; the same seed gives the same poems in every process. Defaults to 0.
        length: Characters per line, 5 or 7. Defaults to 5.
        theme: Theme of all poems, one of `THEMES`. Defaults to `None`: a random theme for each.

    Returns:
        Poems with their themes.

    Raises:
        UsageError: If an argument is out of bounds, the theme is unknown, or the lexicon does
            not yield that many different poems.

    Example:

    >>> from dlrecipes.data.quatrains import quatrains
    >>> first, second = quatrains(2, seed=1, theme="moonlight")
    >>> [len(line) for line in first.lines], first.theme, first == second
    ([5, 5, 5, 5], 'moonlight', False)
    """
    _check(count, length, theme)
    rng, failures = random.Random(seed), 0
    poems: dict[tuple[str, ...], Poem] = {}
    current_theme = theme or rng.choice(THEMES)
    while len(poems) < count:
        poem = _compose(rng, length, current_theme)
        if poem is not None and poem.lines not in poems:
            poems[poem.lines] = poem
            current_theme, failures = theme or rng.choice(THEMES), 0
            continue
        failures += 1
        if failures > _PATIENCE:
            raise UsageError(
                f"The lexicon yields no more than {len(poems)} different quatrains.",
                "Ask for fewer.",
            )
    return list(poems.values())


def _check(count: int, length: int, theme: str | None) -> None:
    if count < 1:
        raise UsageError(f"Cannot compose {count} quatrains.", "Give at least 1.")
    if length not in LENGTHS:
        raise UsageError(f"A line cannot have {length!r} characters.", "Give 5 or 7.")
    if theme is not None and theme not in THEMES:
        raise UsageError(
            f"Unknown theme {theme!r}; the themes are {', '.join(THEMES)}.",
            nearest(theme, THEMES),
        )


@dataclass
class _Draft:
    """An unfinished poem and the characters it has used, which are not used again."""

    rng: random.Random
    theme: str
    used: set[str] = field(default_factory=set)

    def choose_word(
        self, slot: str, pattern: str, rhyme: int | None, kinds: tuple[str, ...]
    ) -> Word | None:
        """Returns a random word for the slot, of one of the kinds if any are named."""
        pools = [_pool(self.theme, slot, pattern, rhyme, kind) for kind in kinds or (None,)]
        unused = [word for pool in pools for word in pool if self.used.isdisjoint(word.text)]
        if not unused:
            return None
        word = self.rng.choice(unused)
        self.used.update(word.text)
        return word


def _compose(rng: random.Random, length: int, theme: str) -> Poem | None:
    """Returns a poem, or `None` if the chosen words leave none for a later line."""
    template = rng.choice(TEMPLATES[length])
    weights = _rhyme_weights(theme)
    rhyme, draft, lines = rng.choices(*weights)[0], _Draft(rng, theme), []
    for number, pattern in enumerate(template.lines):
        line = _line(draft, pattern, rhyme if number in template.rhyming else None)
        if line is None:
            return None
        lines.append(line)
    return Poem(tuple(lines), theme=theme)


def _line(draft: _Draft, pattern: str, rhyme: int | None) -> str | None:
    structures = _STRUCTURES[len(pattern)]
    slots = draft.rng.choices(list(structures), list(structures.values()))[0]
    line = ""
    kinds: tuple[str, ...] = ()
    # From the end, which has the rhyme and restricts the kinds of the subject.
    for slot in reversed(slots):
        left = len(pattern) - len(line)
        part = pattern[left - WIDTHS[slot] : left]
        word_kinds = kinds if slot == "subject" else ()
        word = draft.choose_word(slot, part, None if line else rhyme, word_kinds)
        if word is None:
            return None
        line, kinds = word.text + line, word.kinds
    return line


@cache
def _pool(
    theme: str, slot: str, pattern: str, rhyme: int | None, kind: str | None
) -> tuple[Word, ...]:
    """Returns the words that fit, with words of the theme itself repeated by their weight."""
    fitting = [
        word
        for word in words()
        if word.slot == slot
        and theme in word.themes
        and (kind is None or kind in word.kinds)
        and _fits(word.text, pattern, rhyme)
    ]
    return tuple(w for w in fitting for _ in range(1 if w.themes == THEMES else _OWN))


@cache
def _rhyme_weights(theme: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the rhymes with enough words of a theme, and the number of their words."""
    ends = (word for word in words() if WIDTHS[word.slot] == 3 and theme in word.themes)
    counts = Counter(lexicon.rhyme(word.text[-1]) for word in ends)
    chosen = {k: n for k, n in sorted(counts.items()) if k >= 0 and n >= _MIN_RHYMES}
    return tuple(chosen), tuple(chosen.values())


def _fits(text: str, pattern: str, rhyme: int | None) -> bool:
    if rhyme not in (None, lexicon.rhyme(text[-1])):
        return False
    return all(t in (FREE, lexicon.tone(c)) for c, t in zip(text, pattern, strict=True))
