"""Departures from the tone templates that regulated verse allows: exchange and rescue."""

from itertools import product

from dlrecipes.data.quatrains.prosody import TEMPLATES, Template

# Lines by their last two tones: PZ and ZP make one couplet, ZZ and PP the other.
_EXCHANGED = {5: "PPZPZ", 7: "*ZPPZPZ"}  # for ZZ
_SELF_RESCUED = {5: "ZPPZP", 7: "*ZZPPZP"}  # for ZP
# An oblique tone before the end of the first line, and the second line that makes up for it.
RESCUED_COUPLETS = {5: ("*Z*ZZ", "*PPZP"), 7: ("*P*Z*ZZ", "*Z*PPZP")}


def line_variants(line: str, exchange: bool = True, rescue: bool = True) -> tuple[str, ...]:
    """Returns the tone patterns that a line of a template may have, its own first.

    Args:
        line: Line of one of `TEMPLATES`.
        exchange: Whether a line `PPPZZ` may be `PPZPZ`, in its last five characters: the third
            and the fourth exchange their tones, and the first is level. Defaults to `True`.
        rescue: Whether a line `PPZZP` may be `ZPPZP`, in its last five characters: its third
            character makes up for the isolated level tone (gu ping) that an oblique first one
            leaves. Defaults to `True`.

    Returns:
        One or two patterns.

    Example:

    >>> from dlrecipes.data.quatrains.variants import line_variants
    >>> line_variants("*P*ZZ"), line_variants("PP*ZP"), line_variants("*ZZPP")
    (('*P*ZZ', 'PPZPZ'), ('PP*ZP', 'ZPPZP'), ('*ZZPP',))

    Reference:
        Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), chapter 1: aojiu.
    """
    variants = {"ZZ": _EXCHANGED if exchange else {}, "ZP": _SELF_RESCUED if rescue else {}}
    variant = variants.get(line[-2:], {}).get(len(line))
    return (line, variant) if variant else (line,)


def template_variants(
    template: Template, exchange: bool = True, rescue: bool = True
) -> list[tuple[str, ...]]:
    """Returns the tone patterns of the four lines that a template allows, its own first.

    Args:
        template: One of `TEMPLATES`.
        exchange: As in `line_variants`. Defaults to `True`.
        rescue: As in `line_variants`; also rescue in the opposite line: a line `ZZPPZ` may be
            `ZZPZZ` or `ZZZZZ`, in its last five characters, if the third of the next line's last
            five is level. Defaults to `True`.

    Returns:
        Tuples of four patterns.

    Example:

    >>> from dlrecipes.data.quatrains.prosody import TEMPLATES
    >>> from dlrecipes.data.quatrains.variants import template_variants
    >>> template_variants(TEMPLATES[5][0], rescue=False)
    [('*Z*PZ', 'PP*ZP', '*P*ZZ', '*ZZPP'), ('*Z*PZ', 'PP*ZP', 'PPZPZ', '*ZZPP')]

    Reference:
        Wang Li, 1958, "Hanyu shilüxue" (Versification in Chinese), chapter 1: aojiu.
    """
    couplets = []
    for lines in (template.lines[:2], template.lines[2:]):
        choices = list(product(*(line_variants(line, exchange, rescue) for line in lines)))
        if rescue and lines[0].endswith("PZ"):
            choices.append(RESCUED_COUPLETS[len(lines[0])])
        couplets.append(choices)
    return [(*first, *second) for first, second in product(*couplets)]


def patterns_of_lines(length: int, exchange: bool = True, rescue: bool = True) -> frozenset[str]:
    """Returns the tone patterns that single lines may have, without `RESCUED_COUPLETS`.

    Args:
        length: Characters per line, 5 or 7.
        exchange: As in `line_variants`. Defaults to `True`.
        rescue: As in `line_variants`. Defaults to `True`.

    Example:

    >>> from dlrecipes.data.quatrains.variants import patterns_of_lines
    >>> sorted(patterns_of_lines(5, exchange=False, rescue=False))
    ['*P*ZZ', '*Z*PZ', '*ZZPP', 'PP*ZP']
    """
    lines = {line for template in TEMPLATES[length] for line in template.lines}
    return frozenset(v for line in lines for v in line_variants(line, exchange, rescue))
