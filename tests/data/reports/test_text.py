"""Sentences, poems and running text: lengths, copies, contradictions, what training lacks."""

import json

import pytest

from dlrecipes.data.quatrains import Poem
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.text import add_poems, add_sentences, add_text
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import DataError

WALLS = ("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")
NIGHT = ("床前明月光", "疑是地上霜", "举头望明月", "低头思故乡")
SPRING = ("春眠不觉晓", "处处闻啼鸟", "夜来风雨声", "花落知多少")


def sentence(text, tags="", intent=None):
    words = tuple(text.split())
    return TaggedSentence(words, tuple(tags.split()) or ("O",) * len(words), intent)


def sentences(most_words=100, **parts):
    report = DataReport("x")
    add_sentences(report, parts, most_words)
    return report


def messages(report):
    return [finding.message for finding in [*report.problems, *report.warnings]]


def rows(report, title):
    return next(table.rows for table in report.tables if table.title.startswith(title))


def test_sentences_are_measured_and_slots_counted_by_part():
    report = sentences(
        train=[sentence("to Rome", "O B-city"), sentence("New York now", "B-city I-city O")],
        test=[sentence("to Oslo", "O B-city")],
    )
    assert rows(report, "Parts") == [
        ["train", 2, 5, 2, 2, 3, "0.0%"],
        ["test", 1, 2, 2, 2, 2, "50.0%"],
    ]
    assert rows(report, "Slots") == [["city", 2, 1]]
    assert report.usable and "examples" in report.figures


def test_a_slot_of_test_alone_and_one_that_occurs_once_are_named():
    report = sentences(
        train=[sentence("to Rome", "O B-city")], test=[sentence("at noon", "O B-time")]
    )
    assert messages(report) == [
        "The test part has a slot that train lacks: time.",
        "1 slot occurs once in train: city.",
    ]


def test_sentences_in_two_parts_and_contradicting_tags_are_found():
    report = sentences(
        train=[sentence("to Rome", "O B-to"), sentence("to Rome", "O B-from")],
        test=[sentence("to Rome", "O B-to")],
    )
    found = messages(report)
    assert any("1 of 1 test sentences is also in train" in message for message in found)
    assert any("more than one annotation: 1." in message for message in found)


def test_a_sentence_that_is_too_long_is_a_problem():
    report = sentences(5, train=[sentence("a b c d e f"), sentence("a")])
    assert not report.usable and "train 1: 6 words" in report.problems[0].examples[0]


def test_intents_are_classes():
    report = sentences(train=[sentence(f"a{k}", intent="x" if k else "y") for k in range(12)])
    assert rows(report, "Intents") == [["x", 11, "91.7%"], ["y", 1, "8.3%"]]
    assert any("11 times as many train sentences" in message for message in messages(report))


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    for name, text in {
        "train.txt": "to O\nRome B-city\n\nOslo B-city\n",
        "valid.txt": "two words B-city\nto O\n",
        "test.txt": "",
    }.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_tagged(tmp_path)
    assert len(caught.value.problems) == 2, "all files are read before the first error"
    problems = []
    train, _, test = read_tagged(tmp_path, problems=problems)
    assert (len(train), test) == (2, [])
    assert ["valid.txt" in str(problems[1]), "test.txt" in str(problems[0])] == [True, True]


def test_poems_are_counted_by_form_author_and_theme():
    report = DataReport("x")
    train = [Poem(WALLS, author="王之涣"), Poem(NIGHT, author="李白"), Poem(NIGHT)]
    add_poems(report, {"train": train, "test": [Poem(WALLS), Poem(SPRING, theme="春")]})
    new = sum(letter not in "".join(WALLS + NIGHT) for letter in "".join(SPRING))
    assert rows(report, "Parts")[0][:4] == ["train", 3, 3, 0]
    assert rows(report, "Parts")[1][5] == f"{new / 40:.1%}"
    assert rows(report, "Authors") == [["王之涣", 1, 0], ["李白", 1, 0]]
    assert rows(report, "Themes") == [["春", 0, 1]]
    found = messages(report)
    assert "1 of 2 test poems is also in train" in found[0]
    assert "1 of 3 train poems repeats an earlier one" in found[1]


def test_lines_of_a_text_that_two_parts_share_are_found():
    report = DataReport("x")
    line = "It was the best of times, it was the worst of times"
    add_text(report, {"train": f"{line}\nshort\n", "test": f"short\n{line}\n"})
    (found,) = messages(report)
    assert "1 of 1 test lines" in found
    assert rows(report, "Parts")[0][3:7] == [2, 5, 5, len(line)]


def test_the_report_is_json():
    report = sentences(train=[sentence("to Rome", "O B-city")])
    assert json.loads(json.dumps(report.to_dict()))["usable"] is True
