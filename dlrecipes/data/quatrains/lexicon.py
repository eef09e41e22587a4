"""The lexicon of the quatrain composer: words of two or three characters."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dlrecipes.data.quatrains.prosody import LEVEL, OBLIQUE, RHYME_NAMES, rhymes, tones

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
    "沙斜家长衣行空帆平何凉华场横知难泥依相听休传同荷狼梧芦虫柴间看齐侯干单肥分忘亲中"
    "澄和将王扁禅当能吹乘蹄只藏从供胜重应迎更"
)
_OBLIQUE = "古几倚与九卷抱为片信浸浅意共咽淡丽趣燕甸句醒兴暖过傍透浪异降占次化正母可"
_TONES = {**dict.fromkeys(_LEVEL, LEVEL), **dict.fromkeys(_OBLIQUE, OBLIQUE)}
_RHYMES = dict(
    zip(
        "亲行方休堤窗央肥泥池聊家烟差惊身听横沙眠斜呼徊台言狂还年无南愁思平",
        "恩英昂欧衣昂昂欸衣衣熬啊安衣英恩英英啊安啊乌哀哀安昂安安乌安欧衣英",
        strict=True,
    )
)


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
    """Returns the rhyme class of a character in the lexicon: an index of `RHYME_NAMES`.

    It is -1 if the class varies.

    Example:

    >>> from dlrecipes.data.quatrains.lexicon import rhyme
    >>> from dlrecipes.data.quatrains.prosody import RHYME_NAMES
    >>> RHYME_NAMES[rhyme("沙")]
    '啊'
    """
    possible = rhymes(character)
    if len(possible) == 1:
        return next(iter(possible))
    return RHYME_NAMES.index(_RHYMES[character]) if character in _RHYMES else -1


def _names(field: str, short: str, meaning: tuple[str, ...]) -> tuple[str, ...]:
    return meaning if field == short else tuple(field.split())
