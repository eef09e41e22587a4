"""The lexicon of the quatrain composer: words of two or three characters."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dlrecipes.data.quatrains.prosody import LEVEL, OBLIQUE, tones
from dlrecipes.data.quatrains.rhyme_book import LEVEL_RHYMES, RHYME_NAMES, rhymes

THEMES = (
    *("landscape", "moonlight", "spring", "autumn"),
    *("frontier", "farewell", "wine", "homesickness"),
)
KINDS = (
    *("light", "water", "wind", "sky", "plant", "bird"),
    *("person", "boat", "sound", "place", "heart"),
)
WIDTHS = {"scene": 2, "subject": 2, "clause": 2, "predicate": 3, "image": 3}
"""Number of characters in each slot of a line."""

# Tone and rhyme of the intended reading, for characters with several readings.
_LEVEL = (
    "长衣行空帆华横难泥相听传荷虫间看齐干单分忘亲中和将王扁禅当吹乘只藏从供胜重应迎更疏迟乡轻"
    "苍庭离深三回闻如留封栽裁先穿临经沾浑呜吟犹摇收参敲凝牵思"
)
_OBLIQUE = "几与卷为浸共咽丽燕句醒兴过傍浪降占正汉梦怨罢折望叹"
_TONES = {**dict.fromkeys(_LEVEL, LEVEL), **dict.fromkeys(_OBLIQUE, OBLIQUE)}
_RHYMES = dict(zip("平行旗台涯还差干单", "庚庚支灰麻删支寒寒", strict=True))


@dataclass(frozen=True, slots=True)
class Word:
    """One entry of the lexicon.

    Args:
        text: Two or three simplified characters.
        slot: `scene` (time or place at the beginning of a line), `subject`, `clause` (sentence
            of two characters), `predicate` or `image` (sentence of three characters).
        themes: Themes that the word suits; words that suit any theme have all of them.
        kinds: Kind of a subject, or kinds of subject that a predicate fits; otherwise empty.
    """

    text: str
    slot: str
    themes: tuple[str, ...]
    kinds: tuple[str, ...]


@cache
def words() -> tuple[Word, ...]:
    """Returns the lexicon, in the order of its file.

    Example:

    >>> from dlrecipes.data.quatrains.lexicon import words
    >>> [word.text for word in words() if word.slot == "subject"][:3]
    ['明月', '孤月', '素月']
    """
    text = Path(__file__).with_name("lexicon.txt").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line and line[0] != "#"]
    return tuple(
        Word(word, slot, _names(themes, "all", THEMES), _names(kinds, "-", ()))
        for themes, slot, kinds, entries in rows
        for word in entries.split()
    )


def tone(character: str) -> str:
    """Returns the tone of a character in the lexicon: `P` or `Z`, or `""` if it varies.

    Example:

    >>> from dlrecipes.data.quatrains.lexicon import tone
    >>> tone("空"), tone("白")
    ('P', 'Z')
    """
    possible = tones(character)
    return _TONES.get(character, "") if len(possible) > 1 else "".join(possible)


def rhyme(character: str) -> int:
    """Returns the level rhyme of a character in the lexicon: an index of `RHYME_NAMES`.

    It is -1 if the character is oblique or its rhyme varies.

    Example:

    >>> from dlrecipes.data.quatrains.lexicon import rhyme
    >>> from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES
    >>> RHYME_NAMES[rhyme("沙")], rhyme("白")
    ('麻', -1)
    """
    if tone(character) != LEVEL:
        return -1
    possible = rhymes(character) & LEVEL_RHYMES
    if len(possible) == 1:
        return next(iter(possible))
    return RHYME_NAMES.index(_RHYMES[character]) if character in _RHYMES else -1


def _names(field: str, short: str, meaning: tuple[str, ...]) -> tuple[str, ...]:
    return meaning if field == short else tuple(field.split())
