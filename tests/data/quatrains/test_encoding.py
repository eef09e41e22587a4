import json

import numpy as np

from dlrecipes.data.quatrains import Poem, quatrains
from dlrecipes.data.quatrains.encoding import QuatrainEncoder
from dlrecipes.data.quatrains.prosody import tones
from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES, rhymes

LINES = ("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")
ENCODER = QuatrainEncoder(["[start]", "[other]", *sorted({c for line in LINES for c in line})])


def test_poems_are_conditioned_on_their_template_and_rhyme():
    # Five characters, oblique start, first line without rhyme: *Z*PZ PP*ZP *P*ZZ *ZZPP.
    departing = ("白日依入尽", *LINES[1:])
    arrays = ENCODER.encode([Poem(LINES), Poem(departing), Poem(("山" * 5,) * 4)])
    patterns = ["".join("*PZ"[code] for code in tone) for tone in arrays["tone"]]
    assert patterns[0] == "*Z*PZPP*ZP*P*ZZ*ZZPP"
    # Where a poem departs from its nearest template, its own character's tone is required.
    assert patterns[1] == "*Z*ZZPP*ZP*P*ZZ*ZZPP"
    # Level throughout: nearest is PP*ZP *ZZPP *Z*PZ PP*ZP, with six departures.
    assert patterns[2] == "PP*PP*PPPP*P*PPPP*PP"
    # 流 and 楼 are of the rhyme 尤, the 26th; the other lines do not rhyme.
    assert arrays["rhyme"][0].tolist() == [106] * 5 + [25] * 5 + [106] * 5 + [25] * 5


def test_each_step_reads_the_character_before():
    arrays = ENCODER.encode([Poem(LINES)])
    assert [ENCODER.vocabulary[k] for k in arrays["targets"][0]] == list("".join(LINES))
    assert arrays["characters"][0].tolist() == [0, *arrays["targets"][0][:-1]]
    assert arrays["place"][0].tolist() == list(range(28, 48))


def test_poems_are_padded_to_the_longest():
    sevens = quatrains(1, length=7)[0]
    arrays = ENCODER.encode([Poem(LINES), sevens])
    assert {array.shape for array in arrays.values()} == {(2, 28)}
    assert arrays["targets"][0, 20:].tolist() == [0] * 8
    assert arrays["place"][1].tolist() == list(range(28))
    unknown = [c not in ENCODER.vocabulary for c in "".join(sevens.lines)]
    assert (arrays["targets"][1] == 1).tolist() == unknown


def test_the_arrays_hold_tones_and_rhymes_of_each_character():
    for number, character in enumerate(ENCODER.vocabulary):
        allowed = {"*", *tones(character)}
        assert {"*PZ"[code] for code in range(3) if ENCODER.tones[code, number]} == allowed
        assert set(np.flatnonzero(ENCODER.rhymes[number])) == rhymes(character)
    # No rhyme of this vocabulary has six characters.
    assert ENCODER.rhyme_weights.tolist() == [0] * 106


def test_level_rhymes_with_six_characters_are_sampled_by_their_characters():
    # 真 has seven characters here, 删 five, and 有, an oblique rhyme, six.
    encoder = QuatrainEncoder(["[start]", "[other]", *"人春新身尘邻巾关还山间颜有酒首手口柳"])
    weights = {RHYME_NAMES[k]: w for k, w in enumerate(encoder.rhyme_weights) if w}
    assert weights == {"真": 7}


def test_tables_hold_the_arrays_as_json():
    tables = json.loads(json.dumps(ENCODER.tables()))
    mountain = ENCODER.vocabulary.index("山")
    assert tables["tones"][mountain] == "P"
    assert set(tables["rhymes"][mountain]) == rhymes("山")
    assert tables["places"] == {"7": 0, "5": 28}
    # The first template of five characters: *Z*PZ PP*ZP *P*ZZ *ZZPP, lines 2 and 4 rhyme.
    template = tables["templates"]["5"][0]
    assert "".join("*PZ"[code] for code in template["tones"]) == "*Z*PZPP*ZP*P*ZZ*ZZPP"
    assert template["rhyming"] == [False, True, False, True]
