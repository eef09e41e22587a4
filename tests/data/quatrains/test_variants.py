import pytest

from dlrecipes.data.quatrains.prosody import TEMPLATES
from dlrecipes.data.quatrains.variants import (
    RESCUED_COUPLETS,
    line_variants,
    patterns_of_lines,
    template_variants,
)


def expanded(patterns):
    """Returns every tone sequence that one of the patterns allows."""
    sequences = set()
    for pattern in patterns:
        sequences |= set(_expand(pattern))
    return sequences


def _expand(pattern):
    if not pattern:
        yield ""
        return
    for rest in _expand(pattern[1:]):
        for tone in "PZ" if pattern[0] == "*" else pattern[0]:
            yield tone + rest


@pytest.mark.parametrize("length", [5, 7])
def test_templates_come_first_and_alone_without_departures(length):
    for template in TEMPLATES[length]:
        assert template_variants(template)[0] == template.lines
        assert template_variants(template, exchange=False, rescue=False) == [template.lines]


def test_exchange_is_in_the_third_and_fourth_of_the_last_five():
    # The first character must be level: ZPZPZ is not allowed.
    assert expanded(line_variants("*P*ZZ", rescue=False)) - expanded(["*P*ZZ"]) == {"PPZPZ"}
    seven = expanded(line_variants("*Z*P*ZZ", rescue=False)) - expanded(["*Z*P*ZZ"])
    assert seven == {"PZPPZPZ", "ZZPPZPZ"}


def test_rescue_makes_up_for_an_isolated_level_tone():
    assert expanded(line_variants("PP*ZP", exchange=False)) - expanded(["PP*ZP"]) == {"ZPPZP"}
    seven = expanded(line_variants("*ZPP*ZP", exchange=False)) - expanded(["*ZPP*ZP"])
    assert seven == {"PZZPPZP", "ZZZPPZP"}


@pytest.mark.parametrize("line", ["*Z*PZ", "*ZZPP", "*P*Z*PZ", "*P*ZZPP"])
def test_other_lines_have_no_variant_of_their_own(line):
    assert line_variants(line) == (line,)


@pytest.mark.parametrize("length", [5, 7])
def test_rescue_in_the_opposite_line_needs_both_lines(length):
    first, second = RESCUED_COUPLETS[length]
    # The first line's last three are Z or P, Z, Z; the second's last three are PZP.
    assert first.endswith("*ZZ")
    assert second.endswith("PZP")
    assert first not in patterns_of_lines(length)
    for template in TEMPLATES[length]:
        for lines in template_variants(template):
            for number, line in enumerate(lines):
                if line == first:
                    assert number % 2 == 0
                    assert lines[number + 1] == second


@pytest.mark.parametrize("length", [5, 7])
def test_no_variant_ends_in_three_level_tones_or_isolates_one(length):
    for template in TEMPLATES[length]:
        for lines in template_variants(template):
            assert [line[-1] for line in lines] == [line[-1] for line in template.lines]
            for sequence in expanded(lines):
                assert not sequence.endswith("PPP")
                # Gu ping: a line ending ZP whose only level tones before the rhyme are isolated.
                assert "PP" in sequence[:-1] or not sequence.endswith("ZP")
