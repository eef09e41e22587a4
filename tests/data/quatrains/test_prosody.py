import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from dlrecipes.data.quatrains.poem import Poem, is_han, is_quatrain
from dlrecipes.data.quatrains.prosody import (
    TEMPLATES,
    rhyme_table,
    template_arrays,
    templates_for,
    tone_table,
    tones,
)
from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES
from dlrecipes.errors import UsageError


@pytest.mark.parametrize(
    ("characters", "expected"),
    [
        # Level tones.
        ("山河天涯人花", {"P"}),
        # Rising and departing tones.
        ("水海尽上处夜", {"Z"}),
        # Entering tones, some of which are level in Mandarin today.
        ("国白日一八竹急插屋", {"Z"}),
        # Characters with two readings in verse.
        ("看中过为", {"P", "Z"}),
        # Traditional forms.
        ("東雲", {"P"}),
        ("國葉雪", {"Z"}),
    ],
)
def test_tones_follow_the_old_readings(characters, expected):
    assert {c: tones(c) for c in characters} == dict.fromkeys(characters, expected)


@pytest.mark.parametrize("nothing", ["", "x", "。", "|", " ", "7", "あ", "明月", "<end>", "\ud800"])
def test_other_characters_have_no_tone(nothing):
    assert tones(nothing) == frozenset()


def test_characters_beyond_the_basic_plane_that_the_rhyme_book_lacks_have_no_tone():
    # U+20BB7 is a form of 吉.
    assert is_han("𠮷")
    assert tones("𠮷") == frozenset()


def test_tables_agree_with_single_characters():
    vocabulary = ["<end>", "看", "国", "流", "𠀀", "|"]
    tone, rhyme = tone_table(vocabulary), rhyme_table(vocabulary)
    assert tone.dtype == rhyme.dtype == bool
    assert tone.tolist() == [
        *([False, False], [True, True], [False, True]),
        *([True, False], [False, False], [False, False]),
    ]
    assert [RHYME_NAMES[k] for k in np.flatnonzero(rhyme[3])] == ["尤"]
    assert rhyme.shape == (6, 106)
    assert rhyme[[0, 5]].sum() == 0


def test_tables_of_an_empty_vocabulary_keep_their_rank():
    assert tone_table([]).shape == (0, 2)
    assert rhyme_table([]).shape == (0, 106)


@pytest.mark.parametrize("length", [5, 7])
def test_templates_follow_the_rules_of_verse(length):
    for template in TEMPLATES[length]:
        kind, _, first = template.name.partition(" start")
        lines = template.lines
        assert {len(line) for line in lines} == {length}
        assert lines[0][1] == {"level": "P", "oblique": "Z"}[kind]
        assert template.rhyming == ((0, 1, 3) if first else (1, 3))
        # Rhymes are level, and the other lines end in an oblique tone.
        ends = ["P" if k in template.rhyming else "Z" for k in range(4)]
        assert [line[-1] for line in lines] == ends
        for line in lines:
            # The even characters alternate.
            even = line[1::2]
            assert all(a != b and {a, b} == {"P", "Z"} for a, b in pairwise(even))
            # No line can end in three level tones.
            assert not all(tone in "P*" for tone in line[-3:])
        # Lines 1 and 2 are opposite, as are 3 and 4; lines 2 and 3 agree.
        assert [line[1] for line in lines] in (list("ZPPZ"), list("PZZP"))


@pytest.mark.parametrize(("length", "start"), [(5, 0), (7, 2)])
def test_no_rhyming_line_can_have_an_isolated_level_tone(length, start):
    for line in {line for t in TEMPLATES[length] for line in t.lines if line.endswith("ZP")}:
        assert line[start : start + 2] == "PP"


def test_template_arrays_match_the_templates():
    for length in (5, 7):
        patterns, rhyming = template_arrays(length)
        assert (patterns.shape, rhyming.shape) == ((4, 4, length), (4, 4))
        assert (patterns.dtype, rhyming.dtype) == (np.int8, bool)
        for template, pattern, rhymed in zip(TEMPLATES[length], patterns, rhyming, strict=True):
            assert tuple("".join("*PZ"[t] for t in line) for line in pattern) == template.lines
            assert tuple(np.flatnonzero(rhymed)) == template.rhyming


def test_the_four_templates_differ():
    for length in (5, 7):
        assert len({t.lines for t in TEMPLATES[length]}) == 4


def test_other_line_lengths_are_rejected():
    with pytest.raises(ValueError, match="length must be 5 or 7, not 6"):
        template_arrays(6)


@pytest.mark.parametrize(
    ("opening", "length", "kinds"),
    [
        ("", 5, {"oblique", "level"}),
        # The first character is free, or level in a line PPZZP; 山 is P.
        ("山", 5, {"oblique", "level"}),
        # 白日 is ZZ, 黄河远上 PPZZ.
        ("白日", 5, {"oblique"}),
        ("黄河远上", 7, {"level"}),
    ],
)
def test_an_opening_selects_the_templates_that_it_fits(opening, length, kinds):
    indices = templates_for(opening, length)
    assert {TEMPLATES[length][k].name.split()[0] for k in indices} == kinds
    assert len(indices) == 2 * len(kinds)


def test_a_whole_first_line_selects_its_templates():
    # ZZPPZ ends in an oblique tone, so the line does not rhyme; ZZZPP does.
    assert [TEMPLATES[5][k].name for k in templates_for("白日依山尽", 5)] == ["oblique start"]
    (rhymed,) = templates_for("更上一层楼", 5)
    assert TEMPLATES[5][rhymed].name == "oblique start, first line rhymes"


@pytest.mark.parametrize(
    ("opening", "message"),
    [
        ("moon", "cannot begin with 'moon'. Give only Han characters."),
        ("明，月", "Give only Han characters."),
        ("明月𠀀", "The tone of '𠀀' in '明月𠀀' is unknown."),
        ("白日依山尽黄", "Expected at most 5 characters, got 6: '白日依山尽黄'. Give fewer."),
        # ZZZZ: the second and fourth characters do not alternate.
        ("白日落尽", "No template of 5 characters begins with '白日落尽' (Z Z Z Z)."),
    ],
)
def test_an_opening_that_fits_no_template_is_rejected_in_one_line(opening, message):
    with pytest.raises(UsageError) as caught:
        templates_for(opening, 5)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quatrain_is_four_lines_of_five_or_seven_han_characters():
    lines = ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
    assert is_quatrain(lines)
    assert is_quatrain(lines, 5)
    assert not is_quatrain(lines, 7)
    assert not is_quatrain(lines[:3])
    assert not is_quatrain([])
    assert not is_quatrain([*lines[:3], "更上层楼"])
    assert not is_quatrain([*lines[:3], "更上一层,"])
    assert not is_quatrain(["白日依山"] * 4)
    assert is_quatrain(["𠮷" * 7] * 4)


def test_a_poem_converts_to_its_lines():
    assert str(Poem(("月落", "乌啼"))) == "月落|乌啼"


def test_importing_loads_no_tensorflow():
    program = (
        "import sys, dlrecipes.data.quatrains, dlrecipes.data.quatrains.prosody;"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
