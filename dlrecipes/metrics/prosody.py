"""Scores of quatrains against the rules of regulated verse, of variety and of copying."""

from collections.abc import Iterable, Sequence

from dlrecipes.data.quatrains.poem import LINES, Poem, is_quatrain
from dlrecipes.data.quatrains.prosody import FREE, LEVEL, TEMPLATES, rhymes, tones

Lines = Sequence[str]


def prosody_scores(poems: Iterable[Poem | Lines], length: int | None = None) -> dict[str, float]:
    """Returns the shares of poems that keep the rules of regulated quatrains.

    A character with several readings counts as any of them; one without a known reading
    keeps no tone and no rhyme. A poem of the wrong form keeps none of the rules.

    Args:
        poems: Poems, or lists of their lines, without punctuation.
        length: Characters a line, 5 or 7; `None` takes either.

    Returns:
        Numbers in [0, 1]:

        - `form`: share of poems that have four lines of 5, or of 7, Han characters.
        - `tones`: share of poems that follow one of the four templates in every character.
        - `line_tones`: share of lines that follow one of the templates' lines. A poem
          that lacks lines counts with four.
        - `rhyme`: share of poems whose lines 2 and 4, and line 1 unless it may end oblique,
          end in different characters of one rhyme class.
        - `regulated`: share of poems that follow a template in tones, and rhyme where it
          does.

    Raises:
        ValueError: There is no poem, or a poem is a string.

    Example:

    >>> poem = ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
    >>> prosody_scores([poem, poem[:2]])
    {'form': 0.5, 'tones': 0.5, 'line_tones': 0.75, 'rhyme': 0.5, 'regulated': 0.5}

    Reference:
        Wang Li, 1962, "Shici gelü" (Prosody of classical verse), chapter 2.
    """
    poems = _lines(poems)
    if not poems:
        raise ValueError("No poem to score.")
    formed = [lines for lines in poems if is_quatrain(lines, length)]
    fitting = [[t for t in TEMPLATES[len(lines[0])] if _fits(lines, t.lines)] for lines in formed]
    all_lines = sum(max(LINES, len(lines)) for lines in poems)
    right_lines = sum(_follows(line) for lines in poems for line in lines if _is_long(line, length))
    counts = {
        "form": len(formed),
        "tones": sum(map(bool, fitting)),
        "rhyme": sum(_share_a_rhyme(lines, _rhyming(lines)) for lines in formed),
        "regulated": sum(
            any(_share_a_rhyme(lines, template.rhyming) for template in templates)
            for lines, templates in zip(formed, fitting, strict=True)
        ),
    }
    shares = {name: count / len(poems) for name, count in counts.items()}
    shares["line_tones"] = right_lines / all_lines
    return {name: shares[name] for name in ("form", "tones", "line_tones", "rhyme", "regulated")}


def distinct_2(poems: Iterable[Poem | Lines]) -> float:
    """Returns the share of different ones among all pairs of neighbouring characters.

    Pairs lie within a line.

    Args:
        poems: Poems, or lists of their lines.

    Raises:
        ValueError: There is no such pair, or a poem is a string.

    Example:

    >>> distinct_2([["明月明月"], ["月"]])
    0.6666666666666666

    Reference:
        Li, Galley, Brockett, Gao and Dolan, 2016, "A diversity-promoting objective function
        for neural conversation models", section 5.
    """
    pairs = [
        line[k : k + 2] for lines in _lines(poems) for line in lines for k in range(len(line) - 1)
    ]
    if not pairs:
        raise ValueError("No pair of characters to count: every line is shorter than two.")
    return len(set(pairs)) / len(pairs)


def copied_lines(poems: Iterable[Poem | Lines], training: Iterable[Poem | Lines]) -> float:
    """Returns the share of the poems' lines that stand in the training data, in [0, 1].

    Args:
        poems: Poems, or lists of their lines.
        training: What the model was trained on, likewise.

    Raises:
        ValueError: There is no line, or a poem is a string.

    Example:

    >>> copied_lines([["白日依山尽", "黄河入梦来"]], [["白日依山尽", "黄河入海流"]])
    0.5
    """
    known = {line for lines in _lines(training) for line in lines}
    lines = [line for each in _lines(poems) for line in each]
    if not lines:
        raise ValueError("No line to look up: every poem is empty.")
    return sum(line in known for line in lines) / len(lines)


def _lines(poems: Iterable[Poem | Lines]) -> list[tuple[str, ...]]:
    if isinstance(poems, str | Poem):
        raise ValueError("poems must be a list of poems, not one of them.")
    found = [poem.lines if isinstance(poem, Poem) else poem for poem in poems]
    # A string is a sequence too, of characters.
    if any(isinstance(lines, str) for lines in found):
        raise ValueError("A poem must be a list of its lines, not a string.")
    return [tuple(lines) for lines in found]


def _fits(lines: Lines, patterns: Lines) -> bool:
    return all(map(_keeps, lines, patterns))


def _keeps(line: str, pattern: str) -> bool:
    pairs = zip(line, pattern, strict=True)
    return all(tone == FREE or tone in tones(character) for character, tone in pairs)


def _follows(line: str) -> bool:
    patterns = {pattern for template in TEMPLATES[len(line)] for pattern in template.lines}
    return any(_keeps(line, pattern) for pattern in patterns)


def _is_long(line: str, length: int | None) -> bool:
    return len(line) in TEMPLATES and length in (None, len(line))


def _rhyming(lines: Lines) -> tuple[int, ...]:
    return (0, 1, 3) if tones(lines[0][-1]) == {LEVEL} else (1, 3)


def _share_a_rhyme(lines: Lines, rhyming: tuple[int, ...]) -> bool:
    ends = [lines[k][-1] for k in rhyming]
    shared = frozenset.intersection(*map(rhymes, ends))
    return bool(shared) and len(set(ends)) == len(ends)
