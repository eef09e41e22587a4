"""Layouts of one file of tagged sentences, as published corpora have them."""

import json

import pytest

from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import DataError

ATIS = (
    "BOS fly to rome EOS\tO O O B-to atis_flight\n"
    "BOS fares EOS\tO O atis_airfare\n"
    "BOS new york EOS\tO B-city I-city atis_city\n"
)
MIX_ATIS = (
    "fly O\nto O\nrome B-to\natis_flight#atis_airfare\n\nnew B-city\nyork I-city\natis_city\n\n"
)


def read(folder, content, name="train.txt", **options):
    """Returns words, tags and intents of the training sentences, and the notes."""
    data = content if isinstance(content, bytes) else content.encode()
    for part in ("train", "dev", "test"):
        (folder / name.replace("train", part)).write_bytes(data)
    notes = []
    train = read_tagged(folder, notes=notes, **options)[0]
    return [(" ".join(s.tokens), " ".join(s.tags), s.intent) for s in train], notes


def test_atis_on_one_line_loses_its_edges_and_gives_the_intent(tmp_path):
    sentences, notes = read(tmp_path, ATIS, "atis.train.w-intent.iob")
    assert sentences == [
        ("fly to rome", "O O B-to", "atis_flight"),
        ("fares", "O", "atis_airfare"),
        ("new york", "B-city I-city", "atis_city"),
    ]
    assert any("one sentence per line: words, a tab, their tags" in note for note in notes)


def test_one_line_per_sentence_is_read_without_edges_and_intents(tmp_path):
    lines = "fly to rome\tO O B-to\nBOS new york EOS\tO B-city I-city O\nto oslo\tO B-to fly\n"
    assert read(tmp_path, lines)[0] == [
        ("fly to rome", "O O B-to", None),
        ("new york", "B-city I-city", None),
        ("to oslo", "O B-to", "fly"),
    ]
    bad = "a b c\tO O B-x\n" * 19 + "a b c\tO\n"
    with pytest.raises(DataError, match=r"train\.txt:20: 1 tags, but 3 words before the tab"):
        read(tmp_path, bad)


def test_the_intent_may_follow_another_tab(tmp_path):
    lines = "fly to rome\tO O B-to\tflight\nBOS new york EOS\tO B-city I-city O\tcity\n"
    sentences, notes = read(tmp_path, lines + "fares\tO\tfare\nto oslo\tO B-to\n")
    assert sentences == [
        ("fly to rome", "O O B-to", "flight"),
        ("new york", "B-city I-city", "city"),
        ("fares", "O", "fare"),
        ("to oslo", "O B-to", None),
    ]
    assert any("one sentence per line" in note for note in notes)
    bad = "a b c\tO O B-x\tfly\n" * 19 + "a b c\tO O B-x O\tfly\n"
    with pytest.raises(DataError, match=r"train\.txt:20: 4 tags, but 3 words before the tab"):
        read(tmp_path, bad)


def test_mixatis_gives_its_joined_intents(tmp_path):
    sentences, notes = read(tmp_path, MIX_ATIS)
    assert sentences == [
        ("fly to rome", "O O B-to", "atis_flight#atis_airfare"),
        ("new york", "B-city I-city", "atis_city"),
    ]
    assert notes == [f"{part}.txt: the last line of each sentence is its intent." for part in PARTS]


PARTS = ("train", "dev", "test")


@pytest.mark.parametrize(
    ("record", "intent"),
    [
        ('{"tokens": ["to", "Rome"], "ner_tags": ["O", "B-city"], "id": 3}', None),
        ('{"words": ["to", "Rome"], "tags": ["O", "B-city"], "intent": "fly"}', "fly"),
        ('{"text": "to Rome", "slots": "O B-city", "intent": ["fly", "fare"]}', "fly#fare"),
    ],
)
def test_json_lines_and_arrays_are_read_by_their_usual_keys(tmp_path, record, intent):
    for number, (name, text) in enumerate(
        {"train.jsonl": f"{record}\n\n{record}\n", "train.json": f"[{record},\n{record}]"}.items()
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert read(folder, text, name)[0] == [("to Rome", "O B-city", intent)] * 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"tokens": ["a"], "ner_tags": [3]}', r"jsonl:1: 'ner_tags' has numbers; expected names"),
        ('{"tokens": ["a"], "tags": ["O", "O"]}', r"jsonl:1: 2 tags, but 1 tokens"),
        ('{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a"]}', r"jsonl:2: the object has no tags"),
        ('{"tokens": ["a b"], "tags": ["O"]}', r"'a b' in 'tokens' contains a space"),
        ('{"tokens": ["a"], "tags": ["O"]}\n{"tok', r"jsonl:2: invalid JSON"),
        ("[3]", r"jsonl:1: expected a JSON object"),
        ("[]", r"jsonl contains no sentences"),
    ],
)
def test_wrong_json_is_named_with_its_line(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        read(tmp_path, text, "train.jsonl")


def test_a_text_with_a_tag_per_character_is_split_into_characters(tmp_path):
    record = {"text": "去北京", "labels": ["O", "B-city", "I-city"]}
    sentences, notes = read(tmp_path, json.dumps(record), "train.json")
    assert sentences == [("去 北 京", "O B-city I-city", None)]
    assert any("words 'text', each character a word" in note for note in notes)


def test_one_object_over_several_lines_is_said_to_be_one(tmp_path):
    with pytest.raises(DataError, match="one JSON object over several lines"):
        read(
            tmp_path, json.dumps({"rasa_nlu_data": {"common_examples": []}}, indent=1), "train.json"
        )


def test_characters_with_their_position_are_reported(tmp_path):
    _, notes = read(tmp_path, "男0 B-PER.NOM\n友1 I-PER.NOM\n! O\n")
    assert any("such as '友1': the digit stays" in note for note in notes)


def test_intents_of_some_sentences_are_not_learned_and_said(tmp_path):
    _, notes = read(tmp_path, "# intent: fly\na B-x\n\nb B-x\n")
    assert "1 of 2 training sentences lacks an intent: intents are not learned." in notes


def test_a_file_without_a_part_is_named_where_validation_is_split_off(tmp_path):
    for name in ("train.txt", "test.txt", "trial.txt", "README", "LICENSE.txt"):
        (tmp_path / name).write_text("a B-x\n\nb B-x\n")
    notes = []
    read_tagged(tmp_path, notes=notes)
    assert notes[0].endswith("not read, because no part has this name: trial.txt.")


@pytest.mark.parametrize(
    "text",
    [
        # Kaggle: the sentence's name in its first row alone.
        'Sentence #,Word,POS,Tag\nSentence: 1,to,TO,O\n,Rome,NN,B-geo\nSentence: 2,"""",X,O\n',
        "sentence_id,token,label\r\n1,to,O\r\n1,Rome,B-geo\r\n2,x,O\r\n",
        "\n\tWord\tTag\n0\tto\tO\n1\tRome\tB-geo\n\n0\tx\tO\n",
        "Word;Tag\nto;O\nRome;B-geo\n;\nx;O\n",
        # A quotation mark is a word where nothing is quoted.
        'Word\tTag\nto\tO\nRome\tB-geo\n\n"\tO\n',
    ],
)
def test_tables_with_a_header_are_read_by_their_names(tmp_path, text):
    sentences, notes = read(tmp_path, text, "train.csv")
    assert sentences[0] == ("to Rome", "O B-geo", None)
    assert len(sentences) == 2
    assert any("train.csv is read as a table: words" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("to,O\nRome,B-geo\n", "a CSV file without a header of words and tags"),
        ("Word,Tag\nto,O\nRome,B-geo\n", "nothing separates the sentences"),
        ("Sentence #,Word,Tag\n1,Rome,B-geo\n2,,O\n", "csv:3: expected a word without spaces"),
    ],
)
def test_tables_that_say_too_little_are_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        read(tmp_path, text, "train.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_marks_of_every_system_are_read(tmp_path, end, codec):
    text = "to O\nRome  B-city \n\n \nnow\t O\n\n".replace("\n", end)
    sentences, notes = read(tmp_path, text.encode(codec))
    assert sentences == [("to Rome", "O B-city", None), ("now", "O", None)]
    assert any("is read as UTF-16" in note for note in notes) == (codec == "utf-16")


@pytest.mark.parametrize(
    ("text", "tags", "note"),
    [
        ("a B-x\nb M-x\nc E-x\nd S-x\ne O\n", "B-x I-x I-x B-x O", "read as BMES."),
        ("a B-x\nb M-x\nc E-x\nd W-x\ne O\n", "B-x I-x I-x B-x O", "read as BMEWO."),
        ("a B\nb I\nc O\nd B\n", "B-span I-span O B-span", "tags B, I name no slot"),
        ("a B\nb M\nc E\nd S\n", "B-span I-span I-span B-span", "tags B, E, M, S name no slot"),
        ("a O\nb I-x\nc B-x\nd O\n", "O B-x B-x O", "read as IOB1."),
        ("a O\nb B-x\nc L-x\nd U-x\n", "O B-x I-x B-x", "read as BILOU."),
        # CLUENER's and Resume's usual conversion.
        ("a B-x\nb I-x\nc S-x\nd S-y\ne O\n", "B-x I-x B-x B-y O", "read as BIOS."),
        ("a B-x\nb I-x\nc E-x\nd B-x\ne O\n", "B-x I-x I-x B-x O", "read as BIOE."),
        ("a B-x\nb M-x\nc E-x\nd B-x\ne O\n", "B-x I-x I-x B-x O", "read as BMEO."),
    ],
)
def test_schemes_are_detected_and_reported(tmp_path, text, tags, note):
    sentences, notes = read(tmp_path, text, "ner.train.char.bmes")
    assert sentences[0][1] == tags
    assert any(note in line for line in notes)


def test_tags_with_and_without_slots_are_not_mixed(tmp_path):
    with pytest.raises(DataError, match=r"train\.txt:2: the tag 'B' of word 2, 'b', does not"):
        read(tmp_path, "a B-x\nb B\n")


def test_data_without_any_slot_is_refused(tmp_path):
    with pytest.raises(
        DataError, match="none of the 2 training sentences has a slot: every tag is O"
    ):
        read(tmp_path, "a O\nb O\n\nc O\n")


def test_parts_that_are_guessed_or_ignored_are_reported(tmp_path):
    (tmp_path / "train_old.txt").write_text("x O\n")
    text = "".join(f"w{k} B-x\n\n" for k in range(20))
    read(tmp_path, text)
    (tmp_path / "dev.txt").unlink()
    notes = []
    read_tagged(tmp_path, notes=notes)
    assert notes[0].endswith("because their names are unclear: train_old.txt.")
    assert notes[1].endswith("validation is split off, 2 of 20 sentences, by --seed.")
    (alone := []), read_tagged(tmp_path / "train.txt", notes=alone)
    assert alone[0].endswith(
        "validation and test are split off, 2 of 20 sentences each, by --seed."
    )


@pytest.mark.parametrize(
    "names",
    ["train.txt val.txt test.txt", "eng.train eng.testa eng.testb", "train devel.tsv TEST.conll"],
)
def test_every_part_is_the_part_that_its_name_says(tmp_path, names):
    for number, name in enumerate(names.split()):
        (tmp_path / name).write_text(f"w{number} B-x\n")
    notes = []
    splits = read_tagged(tmp_path, notes=notes)
    assert [split[0].tokens for split in splits] == [("w0",), ("w1",), ("w2",)]
    assert notes == []


def test_folders_of_parts_hold_sequences_or_one_file(tmp_path):
    for name, word in (("train", "a"), ("val", "b"), ("Test", "c")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.conll").write_text(f"{word} B-x\n")
    assert [split[0].tokens for split in read_tagged(tmp_path)] == [("a",), ("b",), ("c",)]


def test_invisible_characters_in_words_are_reported(tmp_path):
    sentences, notes = read(tmp_path, "Ro\u200bme B-x\nto\ufeff O\nnew\u00a0york B-x\n")
    assert sentences[0][0].split(" ") == ["Ro\u200bme", "to\ufeff", "new\u00a0york"]
    assert notes == [r"Words with invisible characters stay as they are: 6, such as 'Ro\u200bme'."]
