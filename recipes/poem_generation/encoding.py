"""Quatrains as arrays: ids, what is wanted of each character, and what goes with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.prosody import (
    CODES,
    RHYME_NAMES,
    rhyme_table,
    template_arrays,
    tone_table,
)

START, OTHER = "[start]", "[other]"
SPECIAL = 2
LINES, LONGEST = 4, 28
LENGTHS = (7, 5)
# The characters of seven a line have the places 0 to 27, those of five 28 to 47.
PLACES = {7: 0, 5: 28}
NO_RHYME = len(RHYME_NAMES)
CONDITIONS = {"place": 48, "tone": len(CODES), "rhyme": NO_RHYME + 1}
# A poem has three rhyming lines at the most; of so many characters one suits.
ENOUGH = 6
ASSOCIATES = 32
STRONGEST = 3.0
# A pair that met this often is believed by half.
BELIEF = 4.0


def vocabulary(texts: Iterable[str], minimum_count: int) -> list[str]:
    """Returns a start, 'other', and the characters that occur often enough, sorted."""
    counts = Counter(character for text in texts for character in text)
    return [START, OTHER, *sorted(c for c, count in counts.items() if count >= minimum_count)]


@dataclass(frozen=True)
class Verse:
    """What the characters of a vocabulary may do in a regulated quatrain.

    Args:
        vocabulary: The characters by id, the special ones first.
    """

    vocabulary: Sequence[str]

    @cached_property
    def tones(self) -> np.ndarray:
        """Whether each code of a wanted tone allows each character: bool, `(3, vocabulary)`."""
        table = tone_table(self.vocabulary).T
        return np.stack([np.ones(len(self.vocabulary), bool), *table])

    @cached_property
    def rhymes(self) -> np.ndarray:
        """Rhyme classes of each character: bool, `(vocabulary, 16)`."""
        return rhyme_table(self.vocabulary)

    @cached_property
    def rhyme_weights(self) -> np.ndarray:
        """How often each class is drawn: by its level characters; 0 where they are too few."""
        counts = (self.rhymes & self.tones[CODES["P"]][:, None]).sum(axis=0)
        return np.where(counts >= ENOUGH, counts, 0).astype("float64")

    @cached_property
    def patterns(self) -> np.ndarray:
        """Wanted tones by form (7, 5), template and step: int32, `(2, 4, 28)`."""
        found = np.zeros((len(LENGTHS), 4, LONGEST), "int32")
        for row, length in enumerate(LENGTHS):
            found[row, :, : LINES * length] = template_arrays(length)[0].reshape(4, -1)
        return found

    @cached_property
    def rhyming(self) -> np.ndarray:
        """Which lines rhyme, by form, template and line: bool, `(2, 4, 4)`."""
        return np.stack([template_arrays(length)[1] for length in LENGTHS])

    def encode(self, poems: Sequence[Poem]) -> dict[str, np.ndarray]:
        """Returns `characters` before each step, the conditions, and `targets`.

        Each is int32 of shape `(poems, steps)`, steps being those of the longest poem, filled up
        with 0. The tones are those of the template that a poem is nearest to (the first of
        them), and its own where it departs from that; the rhyme is the class that its ends
        share, for the lines whose ends share it.
        """
        steps = LINES * max(len(poem.lines[0]) for poem in poems)
        names = ("targets", "place", "tone")
        found = {name: np.zeros((len(poems), steps), "int32") for name in names}
        found["rhyme"] = np.full((len(poems), steps), NO_RHYME, "int32")
        ids = {character: number for number, character in enumerate(self.vocabulary)}
        for row, poem in enumerate(poems):
            length = len(poem.lines[0])
            here = slice(0, LINES * length)
            text = [ids.get(character, 1) for line in poem.lines for character in line]
            found["targets"][row, here] = text
            found["place"][row, here] = PLACES[length] + np.arange(LINES * length)
            found["tone"][row, here] = self._template(np.array(text), length)
            rhymed, lines = self._rhyme(np.array(text).reshape(LINES, length)[:, -1])
            for line in lines:
                found["rhyme"][row, line * length : (line + 1) * length] = rhymed
        before = np.zeros_like(found["targets"])
        before[:, 1:] = found["targets"][:, :-1]
        return {"characters": before, **found}

    def _template(self, text: np.ndarray, length: int) -> np.ndarray:
        patterns = self.patterns[LENGTHS.index(length), :, : len(text)]
        fits = self.tones[patterns, text]
        nearest = fits.sum(axis=1).argmax()
        level, oblique = (self.tones[CODES[tone], text] for tone in "PZ")
        # 'Other' has no tone, and a character that has both departs from no template.
        own = np.select([level & ~oblique, oblique & ~level], [CODES["P"], CODES["Z"]], CODES["*"])
        return np.where(fits[nearest], patterns[nearest], own)

    def _rhyme(self, ends: np.ndarray) -> tuple[int, tuple[int, ...]]:
        shared = self.rhymes[ends[1]] & self.rhymes[ends[3]]
        if not shared.any():
            return NO_RHYME, ()
        first = shared & self.rhymes[ends[0]]
        if first.any() and self.tones[CODES["P"], ends[0]]:
            return int(first.argmax()), (0, 1, 3)
        return int(shared.argmax()), (1, 3)


@cache
def of(vocabulary: tuple[str, ...]) -> Verse:
    """Returns the `Verse` of a vocabulary; its tables are made once."""
    return Verse(vocabulary)


def themes(poems: Sequence[Poem]) -> list[str]:
    """Returns the names of the poems' themes, sorted."""
    return sorted({poem.theme for poem in poems if poem.theme})


def associations(
    poems: Sequence[Poem], names: Sequence[str], theme_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which characters go with each character and theme, and how strongly.

    The strength is the mutual information of standing in one poem, believed by how often
    they do.

    Args:
        poems: The training poems.
        names: The vocabulary.
        theme_names: The themes.

    Returns:
        Ids and strengths, of shape `(characters + themes, 32)`; strength 0 where there are fewer.

    Reference:
        Church and Hanks, 1990, "Word association norms, mutual information, and lexicography".
    """
    from scipy.sparse import csr_matrix

    rows = {name: row for row, name in enumerate([*names, *theme_names])}
    marks = [
        sorted(
            {rows[c] for line in poem.lines for c in line if c in rows}
            | ({rows[poem.theme]} if poem.theme in rows else set())
        )
        for poem in poems
    ]
    ends = np.cumsum([0, *map(len, marks)])
    flat = np.concatenate([np.array(mark, "int32") for mark in marks])
    there = csr_matrix((np.ones(len(flat), "float32"), flat, ends), (len(poems), len(rows)))
    counts = np.maximum(np.asarray(there.sum(axis=0)).ravel(), 1)
    kept = min(ASSOCIATES, len(names))
    found = np.zeros((len(rows), kept), "int32"), np.zeros((len(rows), kept), "float32")
    for start in range(0, len(rows), 512):
        part = slice(start, min(start + 512, len(rows)))
        together = np.asarray((there[:, part].T @ there[:, : len(names)]).todense())
        with np.errstate(divide="ignore"):
            strength = np.log(together * len(poems) / counts[part, None] / counts[: len(names)])
        strength = np.clip(strength, 0, STRONGEST) * together / (together + BELIEF)
        own = np.arange(part.start, min(part.stop, len(names)))
        # Last of all themselves: a theme's own characters are wanted most.
        strength[own - start, own] = STRONGEST
        best = np.argsort(-strength, axis=1, kind="stable")[:, :kept]
        found[0][part], found[1][part] = best, np.take_along_axis(strength, best, axis=1)
    return found
