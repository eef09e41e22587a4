import random

import pytest

from dlrecipes.data.quatrains import Poem
from dlrecipes.metrics.prosody import copied_lines, distinct_2, prosody_scores

# The tones in the comments are from handbooks: P is level, Z oblique.
REGULATED = {
    # ZZPPZ PPZZP ZPPZZ ZZZPP; 流 楼
    "登鹳雀楼": "白日依山尽 黄河入海流 欲穷千里目 更上一层楼",
    # PZPPZ PPZZP ZPPZZ ZZZPP; 枝 思
    "相思": "红豆生南国 春来发几枝 愿君多采撷 此物最相思",
    # PZPPZ PPZZP PPZZZ PZZPP; 图 吴
    "八阵图": "功盖三分国 名成八阵图 江流石不转 遗恨失吞吴",
    # PPPZZ ZZZPP ZZPPZ PPZZP; 前 弦
    "听筝": "鸣筝金粟柱 素手玉房前 欲得周郎顾 时时误拂弦",
    # PPZZP ZZZPP ZZPPZ PPZZP; 春 新 人
    "闺人赠远": "花明绮陌春 柳拂御沟新 为报辽阳客 流芳不待人",
    # PPPZZPP ZZPPZZP ZZZPPZZ ZPPZZPP; 纷 魂 村
    "清明": "清明时节雨纷纷 路上行人欲断魂 借问酒家何处有 牧童遥指杏花村",
    # ZZPPPZP PPPZZPP PPPZPPZ ZZPPZZP; 天 眠 船
    "枫桥夜泊": "月落乌啼霜满天 江枫渔火对愁眠 姑苏城外寒山寺 夜半钟声到客船",
    # ZZZPPZZ ZPPZZPP PPPZPPZ ZZPPZZP; 亲 人
    "九月九日": "独在异乡为异客 每逢佳节倍思亲 遥知兄弟登高处 遍插茱萸少一人",
    # PZPPZZP PPZZZPP ZPPZPPZ PZPPZZP; 花 斜 (xia) 家
    "乌衣巷": "朱雀桥边野草花 乌衣巷口夕阳斜 旧时王谢堂前燕 飞入寻常百姓家",
}
# PPPZP PZZZP ZPZPZ PPPZP: only lines 1 and 4 have a regulated line's tones; 光 霜 乡 rhyme.
NIGHT = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"]
# PZZPP PPZZP PPPZZ ZZZPP: correct tones, but 风 is feng today, 弓 and 中 -ong.
BOW = ["林暗草惊风", "将军夜引弓", "平明寻白羽", "没在石棱中"]
# PPZZPPZ PZPPZZP ZZPPZPZ ZPPZZPP: line 3 makes an exchange that no template allows.
MUSICIAN = ["岐王宅里寻常见", "崔九堂前几度闻", "正是江南好风景", "落花时节又逢君"]
TOWER = REGULATED["登鹳雀楼"].split()


def scores(*poems, **options):
    return prosody_scores(poems, **options)


@pytest.mark.parametrize("title", REGULATED)
def test_famous_regulated_poems_keep_every_rule(title):
    assert set(scores(REGULATED[title].split()).values()) == {1.0}


def test_old_style_poem_rhymes_but_breaks_the_tones():
    expected = {"form": 1, "tones": 0, "line_tones": 0.5, "rhyme": 1, "regulated": 0}
    assert scores(NIGHT) == expected


def test_rhyme_that_modern_speech_has_lost_does_not_count():
    assert scores(BOW) == {"form": 1, "tones": 1, "line_tones": 1, "rhyme": 0, "regulated": 0}


def test_exchange_of_tones_at_a_lines_end_matches_no_template():
    expected = {"form": 1, "tones": 0, "line_tones": 0.75, "rhyme": 1, "regulated": 0}
    assert scores(MUSICIAN) == expected


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
    poems = [TOWER, NIGHT, BOW, TOWER[:2]]
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
