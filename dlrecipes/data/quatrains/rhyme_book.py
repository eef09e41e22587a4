"""The rhyme book of classical verse: the 106 Pingshui rhymes and the characters of each."""

from functools import cache
from pathlib import Path

RHYME_NAMES = tuple(
    "东冬江支微鱼虞齐佳灰真文元寒删先萧肴豪歌麻阳庚青蒸尤侵覃盐咸"
    "董肿讲纸尾语麌荠蟹贿轸吻阮旱潸铣筱巧皓哿马养梗迥有寝感俭豏"
    "送宋绛寘未御遇霁泰卦队震问愿翰谏霰啸效号个祃漾敬径宥沁勘艳陷"
    "屋沃觉质物月曷黠屑药陌锡职缉合叶洽"
)
"""Names of the rhymes: 30 level, 29 rising, 30 departing and 17 entering ones.

Reference:
    Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), introduction: the rhymes of verse.
"""
NUM_LEVEL = 30
LEVEL_RHYMES = frozenset(range(NUM_LEVEL))
# Classes close enough for a first line to borrow its rhyme from another one of its group.
_ADJACENT = (
    *("东冬", "支微齐", "鱼虞", "佳灰", "真文元", "元寒删先"),
    *("萧肴豪", "庚青蒸", "覃盐咸"),
)


@cache
def rhymes(character: str) -> frozenset[int]:
    """Returns the rhymes of a character, one for each of its readings in verse.

    Args:
        character: Single character, simplified or traditional.

    Returns:
        Indices of `RHYME_NAMES`; empty if the rhyme book does not have the character.

    Example:

    >>> from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES, rhymes
    >>> [RHYME_NAMES[k] for character in "流看" for k in sorted(rhymes(character))]
    ['尤', '寒', '翰']
    """
    return _book().get(character, frozenset())


def adjacent_rhymes(rhyme: int) -> frozenset[int]:
    """Returns a level rhyme and those close to it, from which a first line may borrow its rhyme.

    Args:
        rhyme: Index of `RHYME_NAMES`.

    Returns:
        Indices of `RHYME_NAMES`, at least the rhyme itself.

    Example:

    >>> from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES, adjacent_rhymes
    >>> "".join(RHYME_NAMES[k] for k in sorted(adjacent_rhymes(RHYME_NAMES.index("东"))))
    '东冬'

    Reference:
        Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), chapter 1: adjacent rhymes in
        first lines.
    """
    names = [group for group in _ADJACENT if RHYME_NAMES[rhyme] in group]
    return frozenset({rhyme, *map(RHYME_NAMES.index, "".join(names))})


@cache
def _book() -> dict[str, frozenset[int]]:
    """Returns the rhymes of each character in the rhyme book."""
    text = Path(__file__).with_name("pingshui.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if line and line[0] != "#"]
    book: dict[str, set[int]] = {}
    for _tone, name, characters in rows:
        for character in characters:
            book.setdefault(character, set()).add(RHYME_NAMES.index(name))
    return {character: frozenset(classes) for character, classes in book.items()}
