"""Classical poems as lines of Han characters."""

from dataclasses import dataclass

# First and last code point of each block of Han characters; U+3007 is the zero, as in 二〇.
_BLOCKS = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_SUPPLEMENTARY = (0x20000, 0x3FFFD)
LINES = 4
LENGTHS = (5, 7)


@dataclass(frozen=True, slots=True)
class Poem:
    """One poem.

    Args:
        lines: Lines of the poem, without punctuation.
        title: Title of the poem. Defaults to `None`: unknown.
        author: Name of the author. Defaults to `None`: unknown.
        theme: Theme of the poem. Defaults to `None`: unknown.

    Example:

    >>> from dlrecipes.data.quatrains import Poem
    >>> str(Poem(("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")))
    '白日依山尽|黄河入海流|欲穷千里目|更上一层楼'
    """

    lines: tuple[str, ...]
    title: str | None = None
    author: str | None = None
    theme: str | None = None

    def __str__(self) -> str:
        return "|".join(self.lines)


def is_han(character: str) -> bool:
    """Returns whether a string is exactly one Han character, on any Unicode plane.

    Example:

    >>> from dlrecipes.data.quatrains.poem import is_han
    >>> is_han("月"), is_han("。"), is_han("m"), is_han("明月")
    (True, False, False, False)
    """
    if len(character) != 1:
        return False
    return any(first <= ord(character) <= last for first, last in (*_BLOCKS, _SUPPLEMENTARY))


def is_quatrain(lines: tuple[str, ...] | list[str], length: int | None = None) -> bool:
    """Returns whether a poem has four lines, each of five or each of seven Han characters.

    Args:
        lines: Lines of the poem.
        length: Characters per line, 5 or 7. Defaults to `None`: either.

    Example:

    >>> from dlrecipes.data.quatrains.poem import is_quatrain
    >>> is_quatrain(["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"])
    True
    """
    lengths = LENGTHS if length is None else (length,)
    return (
        len(lines) == LINES
        and len({len(line) for line in lines}) == 1
        and len(lines[0]) in lengths
        and all(is_han(character) for line in lines for character in line)
    )
