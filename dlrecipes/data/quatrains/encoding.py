"""Quatrains as integer arrays: characters, and the place, tone and rhyme required of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlrecipes.data.quatrains.poem import LINES, Poem
from dlrecipes.data.quatrains.prosody import (
    CODES,
    LEVEL,
    OBLIQUE,
    TONES,
    rhyme_table,
    template_arrays,
    tone_table,
)
from dlrecipes.data.quatrains.rhyme_book import NUM_LEVEL, RHYME_NAMES

OTHER = 1
# Line lengths in the order of the arrays' rows, and the steps of the longest poem.
LENGTHS, MAX_STEPS = (7, 5), 28
# Places 0 to 27 are the characters of a poem with seven per line, 28 to 47 those with five.
PLACES = {7: 0, 5: 28}
NO_RHYME = len(RHYME_NAMES)
# Number of values of each condition.
CONDITIONS = {"place": 48, "tone": len(CODES), "rhyme": NO_RHYME + 1}
# Characters that a level rhyme needs: a poem has up to three rhyming lines.
MIN_RHYMES = 6


@dataclass(frozen=True)
class QuatrainEncoder:
    """Encodes quatrains by a vocabulary, and holds the tones and rhymes of its characters.

    Args:
        vocabulary: Characters by id. Id 0 is padding and the start of a poem, and id 1 a character
            outside the vocabulary; their entries are longer than one character.

    Example:

    >>> from dlrecipes.data.quatrains import Poem
    >>> from dlrecipes.data.quatrains.encoding import QuatrainEncoder
    >>> poem = Poem(("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"))
    >>> encoder = QuatrainEncoder(["[start]", "[other]", *"白日依山尽"])
    >>> arrays = encoder.encode([poem])
    >>> arrays["targets"][0, :6].tolist(), arrays["tone"][0, :5].tolist()
    ([2, 3, 4, 5, 6, 1], [0, 2, 0, 1, 2])

    Reference:
        Wang Li, 1962, "Shici gelü" (Prosody of classical verse), chapter 2.
    """

    vocabulary: Sequence[str]

    @cached_property
    def tones(self) -> np.ndarray:
        """Whether each tone code (either, level, oblique) allows an id: bool, `(3, ids)`."""
        table = tone_table(self.vocabulary).T
        return np.stack([np.ones(len(self.vocabulary), bool), *table])

    @cached_property
    def rhymes(self) -> np.ndarray:
        """Rhymes of each character: bool, `(ids, 106)`."""
        return rhyme_table(self.vocabulary)

    @cached_property
    def rhyme_weights(self) -> np.ndarray:
        """Sampling weight of each rhyme: its characters; 0 if it is oblique or has under six."""
        counts = np.where(np.arange(NO_RHYME) < NUM_LEVEL, self.rhymes.sum(axis=0), 0)
        return np.where(counts >= MIN_RHYMES, counts, 0).astype("float64")

    @cached_property
    def patterns(self) -> np.ndarray:
        """Required tone codes by line length (7, 5), template and step: int32, `(2, 4, 28)`."""
        patterns = np.zeros((len(LENGTHS), 4, MAX_STEPS), "int32")
        for row, length in enumerate(LENGTHS):
            patterns[row, :, : LINES * length] = template_arrays(length)[0].reshape(4, -1)
        return patterns

    @cached_property
    def rhyming(self) -> np.ndarray:
        """Whether a line rhymes, by line length (7, 5), template and line: bool, `(2, 4, 4)`."""
        return np.stack([template_arrays(length)[1] for length in LENGTHS])

    def encode(self, poems: Sequence[Poem]) -> dict[str, np.ndarray]:
        """Returns the inputs and targets of a language model that is conditioned on prosody.

        The tones are those of the nearest template (the first of several), or the poem's own where
        it departs from that. The rhyme is the class that line ends share, in the lines that end in
        it, and `NO_RHYME` elsewhere.

        Args:
            poems: Quatrains, at least one.

        Returns:
            `characters`, the id before each step, `place`, `tone` and `rhyme`, required of the
            step's character, and `targets`, its id; int32 of shape `(poems, steps)`, with 20 or 28
            steps for the longest poem. After the end of a poem `targets` is 0.
        """
        steps = LINES * max(len(poem.lines[0]) for poem in poems)
        arrays = {
            name: np.zeros((len(poems), steps), "int32")
            for name in ("characters", *CONDITIONS, "targets")
        }
        arrays["rhyme"][:] = NO_RHYME
        ids = {character: number for number, character in enumerate(self.vocabulary)}
        for row, poem in enumerate(poems):
            length = len(poem.lines[0])
            text = np.array([ids.get(c, OTHER) for line in poem.lines for c in line])
            arrays["targets"][row, : len(text)] = text
            arrays["place"][row, : len(text)] = PLACES[length] + np.arange(len(text))
            arrays["tone"][row, : len(text)] = self._tones(text, length)
            rhyme, lines = self._rhyme(text[length - 1 :: length])
            for line in lines:
                arrays["rhyme"][row, line * length : (line + 1) * length] = rhyme
        arrays["characters"][:, 1:] = arrays["targets"][:, :-1]
        return arrays

    def tables(self) -> dict[str, Any]:
        """Returns the arrays as data for JSON, for applications that run without this library.

        Returns:
            `tones`, the tones (`P`, `Z`) of each character; `rhymes`, its rhymes;
            `rhyme_names` and `rhyme_weights` by class, and `no_rhyme`; by line length, as a string,
            `places`, the place of the first character, and `templates`, each with `tones`, tone
            codes by step, and `rhyming`, whether each line rhymes.
        """
        templates = {
            str(length): [
                {"tones": tones[: LINES * length].tolist(), "rhyming": rhyming.tolist()}
                for tones, rhyming in zip(self.patterns[row], self.rhyming[row], strict=True)
            ]
            for row, length in enumerate(LENGTHS)
        }
        return {
            "tones": [
                "".join(tone for tone in TONES if self.tones[CODES[tone], number])
                for number in range(len(self.vocabulary))
            ],
            "rhymes": [np.flatnonzero(row).tolist() for row in self.rhymes],
            "rhyme_names": RHYME_NAMES,
            "rhyme_weights": self.rhyme_weights.tolist(),
            "no_rhyme": NO_RHYME,
            "places": {str(length): place for length, place in PLACES.items()},
            "templates": templates,
        }

    def _tones(self, text: np.ndarray, length: int) -> np.ndarray:
        patterns = self.patterns[LENGTHS.index(length), :, : len(text)]
        fits = self.tones[patterns, text]
        nearest = fits.sum(axis=1).argmax()
        level, oblique = (self.tones[CODES[tone], text] for tone in (LEVEL, OBLIQUE))
        # 'Other' has no tone, and a character with both tones fits every template.
        own = CODES[LEVEL] * (level & ~oblique) + CODES[OBLIQUE] * (oblique & ~level)
        return np.where(fits[nearest], patterns[nearest], own)

    def _rhyme(self, ends: np.ndarray) -> tuple[int, tuple[int, ...]]:
        """Returns the rhyme of a poem's line ends, and the lines that have it."""
        shared = self.rhymes[ends[1]] & self.rhymes[ends[3]]
        if not shared.any():
            return NO_RHYME, ()
        first = shared & self.rhymes[ends[0]]
        if first.any() and self.tones[CODES[LEVEL], ends[0]]:
            return int(first.argmax()), (0, 1, 3)
        return int(shared.argmax()), (1, 3)
