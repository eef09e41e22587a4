from pathlib import Path

import pytest

from dlrecipes.data.quatrains.poem import is_han
from dlrecipes.data.quatrains.prosody import tones
from dlrecipes.data.quatrains.rhyme_book import (
    LEVEL_RHYMES,
    NUM_LEVEL,
    RHYME_NAMES,
    adjacent_rhymes,
    rhymes,
)

TEXT = Path(__file__).with_name("two_readings.txt").read_text(encoding="utf-8")
TWO_READINGS = [
    entry.split()
    for line in TEXT.splitlines()
    if not line.startswith("#")
    for entry in line.split(" | ")
]
# Rhyming words of famous quatrains, which the tradition assigns to these rhymes.
RHYMING = {
    "东": "风弓中红空",
    "冬": "冬松峰钟",
    "支": "枝思期池时",
    "虞": "图吴孤壶",
    "灰": "杯催回来开",
    "真": "春人新亲",
    "元": "原昏魂村",
    "删": "关还山间",
    "先": "烟川天眠船",
    "豪": "高逃刀",
    "麻": "花斜家沙",
    "阳": "霜乡塘光",
    "尤": "流楼秋舟",
    "筱": "晓鸟少",
    "屑": "绝灭雪",
}


def names(character):
    return {RHYME_NAMES[k] for k in rhymes(character)}


def test_the_names_are_the_106_rhymes_by_tone():
    assert len(set(RHYME_NAMES)) == len(RHYME_NAMES) == 106
    assert "".join(RHYME_NAMES[:NUM_LEVEL]) == (
        "东冬江支微鱼虞齐佳灰真文元寒删先萧肴豪歌麻阳庚青蒸尤侵覃盐咸"
    )
    # Each tone begins with the rhyme of the first series: 东董送屋.
    assert [RHYME_NAMES.index(name) for name in "东董送屋"] == [0, 30, 59, 89]
    assert frozenset(range(30)) == LEVEL_RHYMES


def test_every_rhyme_contains_its_own_name():
    assert [name for name in RHYME_NAMES if name not in names(name)] == []


@pytest.mark.parametrize(("name", "characters"), RHYMING.items())
def test_rhyming_words_of_famous_quatrains_share_their_rhyme(name, characters):
    assert [c for c in characters if name not in names(c)] == []


def test_rhymes_that_speech_has_merged_stay_apart():
    # 东 and 冬, 鱼 and 虞, 删 and 寒 and 先, 庚 and 青 sound the same today.
    for one, other in ("风峰", "书图", "山寒", "间天", "声青", "飞知"):
        assert not rhymes(one) & rhymes(other)


def test_rhymes_that_speech_has_split_stay_together():
    for one, other in ("风中", "回来", "花斜", "村原", "时儿"):
        assert rhymes(one) & rhymes(other) & LEVEL_RHYMES


def test_two_readings_lists_56_characters():
    assert len({character for character, *_ in TWO_READINGS}) == 56


@pytest.mark.parametrize(("character", "level", "oblique"), TWO_READINGS)
def test_common_characters_of_two_readings_have_both(character, level, oblique):
    assert names(character) >= {level, oblique}
    assert tones(character) == {"P", "Z"}


@pytest.mark.parametrize("pair", ["東东", "雲云", "國国", "葉叶", "雪雪", "鐘钟", "聽听", "離离"])
def test_traditional_and_simplified_forms_have_the_same_rhymes(pair):
    assert rhymes(pair[0]) == rhymes(pair[1]) != frozenset()


def test_simplified_forms_have_the_rhymes_of_every_character_they_stand_for():
    # 发 is 發 (月) and 髮 (月), 钟 is 鐘 and 鍾 (冬), 台 is 臺 (灰) and 台 (支, 灰).
    assert names("发") == {"月"}
    assert names("台") == {"支", "灰"}
    # 宁 and 听 had other readings as characters of their own, which verse does not use.
    assert names("宁") == {"青", "径"}
    assert "文" not in names("听")


@pytest.mark.parametrize(
    ("character", "expected"),
    # 緝 was 龖, and 麻 was 丫 or 岨.
    [("龙", {"冬"}), ("了", {"筱"}), ("不", {"物"}), ("祖", {"麌"}), ("先", {"先", "霰"})],
)
def test_mistakes_of_the_transcription_are_corrected(character, expected):
    assert names(character) == expected


def test_readings_do_not_follow_the_tones_of_speech():
    # Entering tones, some of which became level in Mandarin; old level tones; changed tones.
    for character in "国白日一八竹急插屋黑石节":
        assert tones(character) == {"Z"}
    for character in "人花来年门流黄头楼船山河天涯":
        assert tones(character) == {"P"}


@pytest.mark.parametrize(
    "nothing", ["", "x", "。", "|", " ", "7", "あ", "#", "明月", "<end>", "𠀀"]
)
def test_other_characters_have_no_rhyme(nothing):
    assert rhymes(nothing) == frozenset()


def test_the_book_holds_han_characters_only_once_per_rhyme():
    path = Path(__file__).resolve().parents[3] / "dlrecipes/data/quatrains/pingshui.txt"
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
    rows = [row for row in rows if row[0] != "#"]
    assert [name for _, name, _ in rows] == list(RHYME_NAMES)
    assert [tone for tone, _, _ in rows] == (
        ["level"] * 30 + ["rising"] * 29 + ["departing"] * 30 + ["entering"] * 17
    )
    for _, _, characters in rows:
        assert len(set(characters)) == len(characters)
        assert all(map(is_han, characters))


def test_adjacent_rhymes_are_those_of_the_group():
    def near(name):
        return {RHYME_NAMES[k] for k in adjacent_rhymes(RHYME_NAMES.index(name))}

    assert near("支") == {"支", "微", "齐"}
    assert near("元") == {"真", "文", "元", "寒", "删", "先"}
    assert near("真") == {"真", "文", "元"}
    # These stand alone, as do oblique rhymes.
    for name in "江歌麻阳尤侵董屋":
        assert near(name) == {name}
