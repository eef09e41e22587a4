import random
from pathlib import Path

import pytest

from dlrecipes.data.quatrains import Poem
from dlrecipes.metrics.prosody import copied_lines, distinct_2, prosody_scores

LETTER = {"exchange": False, "rescue": False, "adjacent_rhyme": False}
ALLOWANCES = {"exchange": "exchange", "rescue": "rescue", "adjacent": "adjacent_rhyme"}


def _famous():
    path = Path(__file__).parent / "data" / "famous_quatrains.txt"
    rows = [line.split(" | ") for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        (kind, departure, title, lines.split())
        for kind, departure, title, lines in (row for row in rows if len(row) == 4)
    ]


FAMOUS = _famous()
REGULATED = {
    title: (departure, lines) for kind, departure, title, lines in FAMOUS if kind == "regulated"
}
UNREGULATED = {title: lines for kind, _, title, lines in FAMOUS if kind == "unregulated"}
# 衰 rhymes with 回 and 来 only in a reading that the Pingshui rhyme book does not have.
UNRHYMED = "贺知章 回乡偶书"
# PPPZP PZZZP ZPZPZ PPPZP: only lines 1 and 4 have a regulated line's tones; 光 霜 乡 rhyme.
NIGHT = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"]
TOWER = ["白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼"]
# 湖 is of 虞, and 书 of 鱼: they rhyme in speech only.
LAKE = ["白日依山尽", "黄河入大湖", "欲穷千里目", "更上一封书"]


def scores(*poems, **options):
    return prosody_scores(poems, **options)


def test_25_of_26_famous_regulated_quatrains_are_judged_regulated():
    assert len(REGULATED) == 26
    judged = {title for title, (_, lines) in REGULATED.items() if scores(lines)["regulated"]}
    assert set(REGULATED) - judged == {UNRHYMED}


def test_no_old_style_quatrain_is_judged_regulated():
    assert len(UNREGULATED) == 6
    assert scores(*UNREGULATED.values())["regulated"] == 0


@pytest.mark.parametrize("title", REGULATED)
def test_a_quatrain_needs_exactly_the_departures_that_it_makes(title):
    departure, lines = REGULATED[title]
    needed = {ALLOWANCES[departure]} if departure in ALLOWANCES else set()
    for name in LETTER:
        others = scores(lines, **{name: False})["regulated"]
        assert others == (title != UNRHYMED and name not in needed)
    only = LETTER | dict.fromkeys(needed, True)
    assert scores(lines, **only)["regulated"] == (title != UNRHYMED)
    assert scores(lines, **only)["tones"] == 1


@pytest.mark.parametrize(
    ("lines", "failing"),
    [
        # Lines 2 and 3 disagree in their second characters: 舍 is Z, 君 P.
        ("渭城朝雨浥轻尘 客舍青青柳色新 劝君更尽一杯酒 西出阳关无故人", "tones"),
        # Line 1 is ZPPPPZP: its fourth character should be Z.
        ("故人西辞黄鹤楼 烟花三月下扬州 孤帆远影碧空尽 唯见长江天际流", "tones"),
        # Line 2 ends in three level tones.
        ("人闲桂花落 夜静春山空 月出惊山鸟 时鸣春涧中", "tones"),
        # 红 is of 东, 宗 of 冬, and only a first line may borrow.
        ("寥落古行宫 宫花寂寞红 白头宫女在 闲坐说玄宗", "rhyme"),
    ],
)
def test_quatrains_with_known_faults_are_not_regulated(lines, failing):
    judged = scores(lines.split())
    assert (judged[failing], judged["regulated"]) == (0, 0)


@pytest.mark.parametrize(
    ("lines", "rescued"),
    [
        # ZZPZZ before PPPZP and before ZPPZP, but not before PPZZP.
        ("白日依落尽 黄河流海流 欲穷千里目 更上一层楼", 1),
        ("白日依落尽 落河流海流 欲穷千里目 更上一层楼", 1),
        ("白日依落尽 黄河入海流 欲穷千里目 更上一层楼", 0),
        # Line 2 alone: ZPPZP, but not ZPZZP.
        ("白日依山尽 落河流海流 欲穷千里目 更上一层楼", 1),
        ("白日依山尽 落河入海流 欲穷千里目 更上一层楼", 0),
    ],
)
def test_an_oblique_tone_is_rescued_by_a_level_one(lines, rescued):
    poem = lines.split()
    judged = scores(poem)
    assert (judged["tones"], judged["line_tones"] == 1) == (rescued, bool(rescued))
    assert scores(poem, rescue=False)["tones"] == 0
    assert scores(poem, exchange=False)["tones"] == rescued


@pytest.mark.parametrize(("third", "tones"), [("江清月流水", 1), ("月清月流水", 0)])
def test_an_exchange_needs_a_level_first_character(third, tones):
    # PPZPZ and ZPZPZ, for *P*ZZ.
    assert scores([*TOWER[:2], third, TOWER[3]])["tones"] == tones


def test_prose_is_not_regulated():
    # The beginning of Tao Yuanming's prose "Peach Blossom Spring", cut into lines.
    prose = (
        "晋太元中武陵人捕鱼为业缘溪行忘路之远近忽逢桃花林夹岸数百步中无杂树芳草鲜美落英缤纷"
        "渔人甚异之复前行欲穷其林林尽水源便得一山山有小口仿佛若有光便舍船从口入初极狭才通人"
        "复行数十步豁然开朗土地平旷屋舍俨然有良田美池桑竹之属阡陌交通鸡犬相闻其中往来种作"
    )
    poems = [
        [prose[start + n * k : start + n * (k + 1)] for k in range(4)]
        for n in (5, 7)
        for start in range(len(prose) - 4 * n)
    ]
    assert len(poems) > 150
    assert scores(*poems)["regulated"] == 0


def test_few_random_lines_of_characters_follow_the_tones():
    # Random tones follow one of the four templates, or a variant, in well under 1 of 100 cases.
    characters = [c for _, lines in REGULATED.values() for c in "".join(lines)]
    draw = random.Random(0)
    poems = [["".join(draw.choices(characters, k=5)) for _ in range(4)] for _ in range(1000)]
    judged = scores(*poems)
    assert judged["tones"] < 0.01
    assert judged["regulated"] < 0.001


def test_old_style_poem_rhymes_but_breaks_the_tones():
    # Line 3 is ZPZPZ: the exchange needs a level first character.
    expected = {"form": 1, "tones": 0, "line_tones": 0.5, "rhyme": 1, "regulated": 0}
    assert scores(NIGHT) == expected


def test_rhyme_that_only_modern_speech_has_does_not_count():
    assert scores(LAKE) == {"form": 1, "tones": 1, "line_tones": 1, "rhyme": 0, "regulated": 0}


def test_oblique_rhymes_count_as_rhymes_but_not_as_regulated():
    # 晓, 鸟 and 少 are of 筱, a rising rhyme.
    dawn = UNREGULATED["孟浩然 春晓"]
    assert (scores(dawn)["rhyme"], scores(dawn)["regulated"]) == (1, 0)


def test_only_a_first_line_may_borrow_an_adjacent_rhyme():
    # 元 is next to 文; 文 rhymes neither with 灰 nor with 真 in lines 2 and 4.
    village = REGULATED["杜牧 清明"][1]
    assert scores(village)["regulated"] == 1
    assert scores(village, adjacent_rhyme=False)["rhyme"] == 0
    assert scores([*village[:3], "牧童遥指杏花文"])["rhyme"] == 0
    assert scores(["清明时节雨来来", *village[1:]])["rhyme"] == 0


def test_lines_must_follow_one_template_together():
    # Each line is correct, but lines 1 and 2 do not belong to the same template.
    mixed = [TOWER[0], "更上一层楼", TOWER[2], TOWER[1]]
    assert (scores(mixed)["line_tones"], scores(mixed)["tones"]) == (1, 0)


@pytest.mark.parametrize(
    ("line", "position", "character", "tones"),
    [
        # 黄河入海流 is PPZZP: the third is free; an oblique first would isolate 河 (gu ping).
        (1, 2, "山", 1),
        (1, 0, "白", 0),
        # 更上一层楼 is ZZZPP: a level third would give three level tones (san ping diao).
        (3, 0, "山", 1),
        (3, 2, "山", 0),
        # 白日依山尽: the second is fixed.
        (0, 0, "山", 1),
        (0, 1, "山", 0),
    ],
)
def test_single_character_breaks_the_tones_only_at_a_fixed_position(
    line, position, character, tones
):
    lines = [list(text) for text in TOWER]
    lines[line][position] = character
    assert scores(["".join(text) for text in lines])["tones"] == tones


@pytest.mark.parametrize(
    ("ends", "rhyme"),
    [
        ("尽流目楼", 1),
        # Another rhyme class; the same character twice; line 1 level without the rhyme.
        ("尽来目楼", 0),
        ("尽楼目楼", 0),
        ("天流目楼", 0),
        ("秋流目楼", 1),
        # 看 may end oblique, so it need not rhyme.
        ("看流目楼", 1),
        # Line 3 may rhyme, but does not have to.
        ("尽流秋楼", 1),
    ],
)
def test_lines_2_and_4_and_a_level_line_1_must_rhyme(ends, rhyme):
    lines = [line[:-1] + end for line, end in zip(TOWER, ends, strict=True)]
    assert scores(lines)["rhyme"] == rhyme


def test_character_with_two_readings_fits_either_tone():
    # 看 (kan) is level and oblique: it can replace 依 and 日.
    assert scores(["白看依山尽", *TOWER[1:]])["tones"] == 1
    assert scores(["白日依看尽", *TOWER[1:]])["tones"] == 1


def test_unknown_character_fits_no_fixed_tone():
    unknown = "𠀀"
    assert scores([f"白{unknown}依山尽", *TOWER[1:]])["tones"] == 0
    assert scores([f"{unknown}日依山尽", *TOWER[1:]])["tones"] == 1
    assert scores([*TOWER[:3], f"更上一层{unknown}"])["rhyme"] == 0


@pytest.mark.parametrize(
    ("lines", "line_tones"),
    [
        (TOWER[:3], 0.75),
        ([*TOWER, TOWER[0]], 1.0),
        ([*TOWER[:3], "更上层楼"], 0.75),
        ([*TOWER[:3], "月落乌啼霜满天"], 1.0),
        ([*TOWER[:3], "更上一层。"], 0.75),
        ([*TOWER[:3], ""], 0.75),
        ([], 0.0),
    ],
)
def test_poem_of_the_wrong_form_keeps_no_rule(lines, line_tones):
    fractions = scores(lines)
    assert fractions.pop("line_tones") == line_tones
    assert set(fractions.values()) == {0}


def test_requested_length_is_part_of_the_form():
    assert scores(TOWER, length=5)["regulated"] == 1
    assert set(scores(TOWER, length=7).values()) == {0}


def test_scores_are_means_over_poems_in_any_order():
    poems = [TOWER, NIGHT, LAKE, TOWER[:2]]
    expected = {"form": 0.75, "tones": 0.5, "line_tones": 12 / 16, "rhyme": 0.5, "regulated": 0.25}
    assert scores(*poems) == expected
    random.Random(0).shuffle(poems)
    assert scores(*poems) == expected


def test_poems_lists_of_lines_and_generators_are_accepted():
    assert prosody_scores(iter([Poem(tuple(TOWER))])) == scores(TOWER)


def test_distinct_2_counts_pairs_within_lines():
    # 明月 月光 | 明月 月夜 | 夜: three distinct pairs of four.
    assert distinct_2([["明月光", "明月夜"], ["夜"]]) == 0.75


def test_only_whole_lines_of_the_training_data_count_as_copied():
    training = [Poem(tuple(TOWER)), NIGHT]
    poem = [TOWER[2], NIGHT[0], "白日依山近", TOWER[0][:4]]
    assert copied_lines([poem], training) == 0.5
    assert copied_lines([TOWER], training) == 1
    assert copied_lines([TOWER], []) == 0


@pytest.mark.parametrize("score", [prosody_scores, distinct_2])
def test_argument_that_is_not_a_list_of_poems_is_rejected(score):
    with pytest.raises(ValueError, match="not a single poem"):
        score("白日依山尽|黄河入海流")
    with pytest.raises(ValueError, match="not a string"):
        score(["白日依山尽|黄河入海流"])


def test_empty_input_is_rejected():
    with pytest.raises(ValueError, match="at least one poem"):
        prosody_scores([])
    with pytest.raises(ValueError, match="fewer than two characters"):
        distinct_2([["月"], []])
    with pytest.raises(ValueError, match="every poem is empty"):
        copied_lines([[]], [TOWER])
