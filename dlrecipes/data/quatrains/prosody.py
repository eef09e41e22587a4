"""Tones and rhymes of characters, and tone templates of regulated quatrains."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlrecipes.data.quatrains.poem import is_han
from dlrecipes.data.quatrains.rhyme_book import LEVEL_RHYMES, RHYME_NAMES, rhymes
from dlrecipes.errors import UsageError

LEVEL, OBLIQUE, FREE = "P", "Z", "*"
TONES = (LEVEL, OBLIQUE)
CODES = {FREE: 0, LEVEL: 1, OBLIQUE: 2}


@dataclass(frozen=True)
class Template:
    """Tone pattern and rhyming lines of a regulated quatrain.

    Args:
        name: Tone of the first line's second character, `level` or `oblique`, and whether the
            first line rhymes.
        lines: Four patterns of `P` (level), `Z` (oblique) and `*` (either).
        rhyming: Indices of the rhyming lines, from 0.
    """

    name: str
    lines: tuple[str, str, str, str]
    rhyming: tuple[int, ...]


def _templates(a: str, b: str, c: str, d: str, first: str, other: str) -> tuple[Template, ...]:
    return (
        Template(f"{first} start", (a, b, c, d), (1, 3)),
        Template(f"{first} start, first line rhymes", (d, b, c, d), (0, 1, 3)),
        Template(f"{other} start", (c, d, a, b), (1, 3)),
        Template(f"{other} start, first line rhymes", (b, d, a, b), (0, 1, 3)),
    )


TEMPLATES = {
    5: _templates("*Z*PZ", "PP*ZP", "*P*ZZ", "*ZZPP", "oblique", "level"),
    7: _templates("*P*Z*PZ", "*ZPP*ZP", "*Z*P*ZZ", "*P*ZZPP", "level", "oblique"),
}
"""The four templates of each line length.

The first and third characters (and the fifth of seven) are free, except where they could leave
a rhyming line with a single level tone before its rhyme (gu ping), or end a line in three level
tones. Departures that verse also allows are in `dlrecipes.data.quatrains.variants`.

Reference:
    Wang Li, 1962, "Shici gelü" (Prosody of classical verse), chapter 2.
"""


def tones(character: str) -> frozenset[str]:
    """Returns the tones that a character may have in verse: `P` (level), `Z` (oblique) or both.

    They are the tones of its Pingshui rhymes, whose division into level and oblique tones modern
    readings have lost in part. A character with readings of both tones has both, even where the
    sense decides between them.

    Args:
        character: Single character, simplified or traditional.

    Returns:
        Tones; empty if the rhyme book does not have the character.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import tones
    >>> sorted(tones("山")), sorted(tones("白")), sorted(tones("看")), sorted(tones("x"))
    (['P'], ['Z'], ['P', 'Z'], [])

    Reference:
        Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), introduction: level and
        oblique tones.
    """
    return frozenset(LEVEL if rhyme in LEVEL_RHYMES else OBLIQUE for rhyme in rhymes(character))


def tone_table(vocabulary: Sequence[str]) -> np.ndarray:
    """Returns the tones that each entry of a vocabulary may have.

    Args:
        vocabulary: Characters and special tokens.

    Returns:
        bool array of shape `(vocabulary, 2)`, level first; rows of special tokens are false.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import tone_table
    >>> tone_table(["山", "看", "<end>"]).tolist()
    [[True, False], [True, True], [False, False]]
    """
    rows = [[tone in tones(entry) for tone in TONES] for entry in vocabulary]
    return np.array(rows, bool).reshape(-1, len(TONES))


def rhyme_table(vocabulary: Sequence[str]) -> np.ndarray:
    """Returns the rhymes of each entry of a vocabulary.

    Args:
        vocabulary: Characters and special tokens.

    Returns:
        bool array of shape `(vocabulary, 106)`; rows of special tokens are false.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import rhyme_table
    >>> rhyme_table(["流", "<end>"]).sum(axis=1).tolist()
    [1, 0]
    """
    rows = [[k in rhymes(entry) for k in range(len(RHYME_NAMES))] for entry in vocabulary]
    return np.array(rows, bool).reshape(-1, len(RHYME_NAMES))


def template_arrays(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the templates of one line length as arrays.

    Args:
        length: Characters per line, 5 or 7.

    Returns:
        int8 array of shape `(4, 4, length)` (template, line, position): 0 is free, 1 level, 2
        oblique. bool array of shape `(4, 4)` (template, line): whether the line rhymes.

    Raises:
        ValueError: If the length is neither 5 nor 7.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import template_arrays
    >>> patterns, rhyming = template_arrays(5)
    >>> patterns[0].tolist(), rhyming[0].tolist()
    ([[0, 2, 0, 1, 2], [1, 1, 0, 2, 1], [0, 1, 0, 2, 2], [0, 2, 2, 1, 1]], [False, True, False, True])
    """  # noqa: E501
    if length not in TEMPLATES:
        raise ValueError(f"length must be 5 or 7, not {length!r}.")
    templates = TEMPLATES[length]
    patterns = [
        [[CODES[tone] for tone in line] for line in template.lines] for template in templates
    ]
    rhyming = [[line in template.rhyming for line in range(4)] for template in templates]
    return np.array(patterns, np.int8), np.array(rhyming)


def templates_for(opening: str, length: int) -> list[int]:
    """Returns the templates whose first line can begin with an opening.

    Args:
        opening: Han characters, at most one line; every template fits an empty opening.
        length: Characters per line, 5 or 7.

    Returns:
        Indices of `TEMPLATES[length]`, at least one.

    Raises:
        UsageError: If the opening is too long or has other than Han characters, the tone of a
            character is unknown, or no template begins with its tones.
        ValueError: If the length is neither 5 nor 7.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import templates_for
    >>> templates_for("白日", 5), templates_for("黄河远上", 7)
    ([0, 1], [0, 1])
    """
    patterns, _ = template_arrays(length)
    for character in opening:
        if not is_han(character):
            raise UsageError(f"A poem cannot begin with {opening!r}.", "Give only Han characters.")
        if not tones(character):
            hint = "Choose another character."
            raise UsageError(f"The tone of {character!r} in {opening!r} is unknown.", hint)
    if len(opening) > length:
        raise UsageError(
            f"Expected at most {length} characters, got {len(opening)}: {opening!r}.",
            "Give fewer.",
        )
    table = np.insert(tone_table(list(opening)), 0, True, axis=1)
    allowed = table[np.arange(len(opening)), patterns[:, 0, : len(opening)]].all(axis=1)
    if not allowed.any():
        pattern = " ".join("/".join(sorted(tones(character))) for character in opening)
        raise UsageError(
            f"No template of {length} characters begins with {opening!r} ({pattern}).",
            "Its second, fourth and sixth characters must alternate in tone; give fewer or others.",
        )
    return np.flatnonzero(allowed).tolist()
