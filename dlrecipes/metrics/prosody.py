"""Scores of quatrains: rules of regulated verse, variety, and lines copied from training data."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dlrecipes.data.quatrains.poem import LINES, Poem, is_quatrain
from dlrecipes.data.quatrains.prosody import FREE, LEVEL, TEMPLATES, tones
from dlrecipes.data.quatrains.rhyme_book import (
    LEVEL_RHYMES,
    RHYME_NAMES,
    adjacent_rhymes,
    rhymes,
)
from dlrecipes.data.quatrains.variants import (
    RESCUED_COUPLETS,
    patterns_of_lines,
    template_variants,
)

Lines = Sequence[str]
_ALL_RHYMES = frozenset(range(len(RHYME_NAMES)))


def prosody_scores(
    poems: Iterable[Poem | Lines],
    length: int | None = None,
    *,
    exchange: bool = True,
    rescue: bool = True,
    adjacent_rhyme: bool = True,
) -> dict[str, float]:
    """Returns the fractions of poems that keep the rules of regulated quatrains.

    Tones and rhymes are those of the Pingshui rhyme book. A character with several readings fits
    if any of them does. A character that the rhyme book does not have fits no tone and no rhyme.
    A poem of the wrong form keeps none of the rules. By default, the departures that regulated
    verse allows are accepted. Without them, poems must follow the templates to the letter.

    Args:
        poems: Poems, or lists of their lines, without punctuation.
        length: Characters per line, 5 or 7. Defaults to `None`, which accepts both.
        exchange: Whether a line `PPPZZ` may be `PPZPZ`, in its last five characters. Defaults to
            `True`.
        rescue: Whether one tone may make up for another (aojiu). In the same line, `PPZZP` may be
            `ZPPZP`. In the opposite line, `ZZPPZ` may be `ZZPZZ` or `ZZZZZ` before `PPPZP` or
            `ZPPZP`. Defaults to `True`.
        adjacent_rhyme: Whether the first line may end in a rhyme close to the one of the other
            lines, such as `文` before `元`. Defaults to `True`.

    Returns:
        Numbers in [0, 1]:

        - `form`: fraction of poems with four lines of 5, or of 7, Han characters.
        - `tones`: fraction of poems that follow one of the four templates in every character.
        - `line_tones`: fraction of lines that follow a line of one of the templates. A poem with
          missing lines counts as four lines.
        - `rhyme`: fraction of poems in which lines 2 and 4 (and line 1, unless it may end in an
          oblique tone) end in different characters of the same rhyme, level or oblique.
        - `regulated`: fraction of poems that follow the tones of a template and have the same
          level rhyme in the lines where that template rhymes.

    Raises:
        ValueError: If there are no poems, or a poem is a string.

    Example:

    >>> from dlrecipes.metrics import prosody_scores
    >>> poem = ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
    >>> prosody_scores([poem, poem[:2]])
    {'form': 0.5, 'tones': 0.5, 'line_tones': 0.75, 'rhyme': 0.5, 'regulated': 0.5}
    >>> exchanged = ["移舟泊烟渚", "日暮客愁新", "野旷天低树", "江清月近人"]
    >>> [prosody_scores([exchanged], exchange=x)["regulated"] for x in (True, False)]
    [1.0, 0.0]

    Reference:
        Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), chapter 1: templates, aojiu
        (exchange and rescue) and adjacent rhymes in first lines.
    """
    poems = _lines(poems)
    if not poems:
        raise ValueError("poems must have at least one poem.")
    rules = {"exchange": exchange, "rescue": rescue}
    quatrains = [lines for lines in poems if is_quatrain(lines, length)]
    fitting = [
        [
            template
            for template in TEMPLATES[len(lines[0])]
            if any(_fits(lines, patterns) for patterns in template_variants(template, **rules))
        ]
        for lines in quatrains
    ]
    all_lines = sum(max(LINES, len(lines)) for lines in poems)
    correct_lines = sum(_count_correct_lines(lines, length, **rules) for lines in poems)
    counts = {
        "form": len(quatrains),
        "tones": sum(map(bool, fitting)),
        "rhyme": sum(_rhymes(lines, _rhyming_lines(lines), adjacent_rhyme) for lines in quatrains),
        "regulated": sum(
            any(
                _rhymes(lines, template.rhyming, adjacent_rhyme, LEVEL_RHYMES)
                for template in templates
            )
            for lines, templates in zip(quatrains, fitting, strict=True)
        ),
    }
    fractions = {name: count / len(poems) for name, count in counts.items()}
    fractions["line_tones"] = correct_lines / all_lines
    return {name: fractions[name] for name in ("form", "tones", "line_tones", "rhyme", "regulated")}


def distinct_2(poems: Iterable[Poem | Lines]) -> float:
    """Returns the fraction of distinct pairs among all pairs of adjacent characters (distinct-2).

    Pairs do not cross the end of a line.

    Args:
        poems: Poems, or lists of their lines.

    Returns:
        A number in (0, 1].

    Raises:
        ValueError: If there are no pairs, or a poem is a string.

    Example:

    >>> from dlrecipes.metrics import distinct_2
    >>> distinct_2([["明月明月"], ["月"]])
    0.6666666666666666

    Reference:
        Li, Galley, Brockett, Gao and Dolan, 2016, "A diversity-promoting objective function
        for neural conversation models", section 5. https://arxiv.org/abs/1510.03055
    """
    pairs = [
        line[k : k + 2] for lines in _lines(poems) for line in lines for k in range(len(line) - 1)
    ]
    if not pairs:
        raise ValueError("No pairs to count: every line has fewer than two characters.")
    return len(set(pairs)) / len(pairs)


def copied_lines(poems: Iterable[Poem | Lines], training: Iterable[Poem | Lines]) -> float:
    """Returns the fraction of the poems' lines that also occur in the training data, in [0, 1].

    Args:
        poems: Poems, or lists of their lines.
        training: Poems that the model was trained on, or lists of their lines.

    Raises:
        ValueError: If there are no lines, or a poem is a string.

    Example:

    >>> from dlrecipes.metrics import copied_lines
    >>> copied_lines([["白日依山尽", "黄河入梦来"]], [["白日依山尽", "黄河入海流"]])
    0.5
    """
    known = {line for lines in _lines(training) for line in lines}
    lines = [line for poem in _lines(poems) for line in poem]
    if not lines:
        raise ValueError("No lines to look up: every poem is empty.")
    return sum(line in known for line in lines) / len(lines)


def _lines(poems: Iterable[Poem | Lines]) -> list[tuple[str, ...]]:
    if isinstance(poems, str | Poem):
        raise ValueError("poems must be a list of poems, not a single poem.")
    lines_by_poem = [poem.lines if isinstance(poem, Poem) else poem for poem in poems]
    # A string is also a sequence, of characters.
    if any(isinstance(lines, str) for lines in lines_by_poem):
        raise ValueError("A poem must be a list of its lines, not a string.")
    return [tuple(lines) for lines in lines_by_poem]


def _fits(lines: Lines, patterns: Lines) -> bool:
    return all(map(_line_fits, lines, patterns))


def _line_fits(line: str, pattern: str) -> bool:
    pairs = zip(line, pattern, strict=True)
    return all(tone == FREE or tone in tones(character) for character, tone in pairs)


def _count_correct_lines(lines: Lines, length: int | None, exchange: bool, rescue: bool) -> int:
    correct = [
        _has_length(line, length)
        and any(_line_fits(line, p) for p in patterns_of_lines(len(line), exchange, rescue))
        for line in lines
    ]
    for number, (first, second) in enumerate(pairwise(lines)):
        if rescue and _has_length(first, length) and len(second) == len(first):
            correct[number] |= _fits((first, second), RESCUED_COUPLETS[len(first)])
    return sum(correct)


def _has_length(line: str, length: int | None) -> bool:
    return len(line) in TEMPLATES and length in (None, len(line))


def _rhyming_lines(lines: Lines) -> tuple[int, ...]:
    return (0, 1, 3) if tones(lines[0][-1]) == {LEVEL} else (1, 3)


def _rhymes(
    lines: Lines,
    rhyming: tuple[int, ...],
    adjacent: bool,
    classes: frozenset[int] = _ALL_RHYMES,
) -> bool:
    """Returns whether the rhyming lines end in different characters of one of the classes."""
    ends = [lines[k][-1] for k in rhyming]
    if len(set(ends)) < len(ends):
        return False
    first, *others = (rhymes(end) & classes for end in ends)
    if rhyming[0] == 0 and adjacent:
        first = frozenset().union(first, *map(adjacent_rhymes, first))
    return bool(first.intersection(*others))
