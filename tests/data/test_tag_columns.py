"""Columns of words and tags in the layouts of published corpora."""

import pytest

from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import DataError

GERMEVAL = """#\thttp://de.wikipedia.org/wiki/Manfred [2009-10-17]
1\tAufgrund\tO\tO
2\tseiner\tO\tO
3\tder\tB-ORG\tO
4\tBerliner\tI-ORG\tB-LOCderiv
5\tBank\tI-ORG\tO

#\thttp://de.wikipedia.org/wiki/Bonn [2009-10-17]
1\tBonn\tB-LOC\tO
2\tist\tO\tO
"""
CONLL_U = """# newdoc id = a
# sent_id = 1
# text = Vitamin im Bad O
1\tVitamin\tVitamin\tNOUN\tNN\t_\t0\troot\t_\tSpaceAfter=No
2-3\tim\t_\t_\t_\t_\t_\t_\t_\t_
2\tin\tin\tADP\tAPPR\t_\t4\tcase\t_\t_
3\tdem\tder\tDET\tART\t_\t4\tdet\t_\tNER=B-LOC
4\tBad\tBad\tNOUN\tNN\t_\t1\tnmod\t_\tNER=I-LOC|SpaceAfter=No
8.1\tleer\tleer\tVERB\tVB\t_\t_\t_\t_\t_

"""
CONLL_2012 = """#begin document (bc/cctv/00/cctv_0000); part 000
bc/cctv/00/cctv_0000 0 0 Peter NNP B-PER
bc/cctv/00/cctv_0000 0 1 left VBD O

bc/cctv/00/cctv_0000 0 0 Oslo NNP B-GPE
bc/cctv/00/cctv_0000 0 1 grew VBD O
"""
NER = "1 EU NNP I-NP B-ORG\n2 rejects VBZ I-VP O\n\n1 Peter NNP I-NP B-PER\n"


def read(folder, text, *columns):
    """Returns the training sentences of a file as pairs of words and tags, and the notes."""
    folder.mkdir(exist_ok=True)
    for name in ("train.txt", "dev.txt", "test.txt"):
        (folder / name).write_text(text, encoding="utf-8")
    notes = []
    train = read_tagged(folder, 0, *columns, notes=notes)[0]
    return [(" ".join(s.tokens), " ".join(s.tags)) for s in train], notes


@pytest.mark.parametrize(
    ("text", "first", "columns"),
    [
        # NeuroNLP2: an index, and chunks before the entities.
        (NER, ("EU rejects", "B-ORG O"), "column 2 (EU, rejects), tags column 5 (B-ORG, O)"),
        # GermEval: outer spans, then the spans inside them.
        (
            GERMEVAL,
            ("Aufgrund seiner der Berliner Bank", "O O B-ORG I-ORG I-ORG"),
            "column 2 (Aufgrund, seiner, der), tags column 3 (O, B-ORG)",
        ),
        (CONLL_U, ("Vitamin in dem Bad", "O O B-LOC I-LOC"), "column 10 (NER=) (O, B-LOC)"),
        (CONLL_2012, ("Peter left", "B-PER O"), "column 4 (Peter, left), tags column 6"),
        # Universal NER: the annotator's name last.
        (
            "# text = Rome O\n1\tRome\tB-LOC\t-\tann\n2\twon\tO\t-\tann\n",
            ("Rome won", "B-LOC O"),
            "column 2 (Rome, won), tags column 3",
        ),
        # WikiNEuRal: counted from 0.
        ("0\tRome\tB-LOC\n1\twon\tO\n", ("Rome won", "B-LOC O"), "column 2 (Rome, won)"),
        # An index before sentences of one word.
        ("1\tRome\t_\tB-LOC\n\n1\tgo\t_\tO\n", ("Rome", "B-LOC"), "column 2 (Rome, go), tags"),
        # MIT Restaurants: the tag first.
        (
            "B-Rating\tfive\nI-Rating\tstars\nO\tplease\n",
            ("five stars please", "B-Rating I-Rating O"),
            "column 2 (five, stars), tags column 1 (B-Rating, I-Rating)",
        ),
        # The sentence's number, or its document, and the words' positions, before the words.
        ("1\tRome\tB-LOC\n1\twon\tO\n\n2\tgo\tO\n", ("Rome won", "B-LOC O"), "column 2 (Rome"),
        ("a Rome B-LOC\na won O\n\na go O\n", ("Rome won", "B-LOC O"), "column 2 (Rome"),
        ("0 4 Rome B-LOC\n5 8 won O\n", ("Rome won", "B-LOC O"), "column 3 (Rome, won)"),
        # CoNLL-2003: part of speech and chunk between.
        (
            "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nis VBZ B-VP O\n",
            ("EU is", "B-ORG O"),
            "column 1 (EU, is), tags column 4",
        ),
    ],
)
def test_words_and_tags_are_found_and_reported(tmp_path, text, first, columns):
    sentences, notes = read(tmp_path, text)
    assert sentences[0] == first
    assert columns in next(note for note in notes if "--word-column" in note)


def test_ranges_and_empty_nodes_are_left_out_and_counted(tmp_path):
    _, notes = read(tmp_path, CONLL_U)
    assert any("2 ranges and empty nodes are left out" in note for note in notes)


def test_two_columns_of_word_and_tag_need_no_note(tmp_path):
    sentences, notes = read(tmp_path, "7\tB-n\n8\tB-n\n")
    assert (sentences, notes) == ([("7 8", "B-n B-n")], [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # An empty column would move the following ones: here a part of speech becomes a word.
        ("Rome\tNNP\tB-x\n \tNN\tO\n", "txt:2: there is no word in column 1"),
        ("1\tRome\tB-x\tO\n2\t\tO\tO\n", "txt:2: there is no word in column 2"),
        (
            "to O\n" * 9 + "New York B-x\n",
            "txt:10: expected a word and its tag, got 3 columns, 'New",
        ),
        ("<p>" + "x" * 5000 + "\n", "got one column, '<p>x{57}…'"),
    ],
)
def test_a_row_that_would_lose_words_is_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        read(tmp_path, text)


def test_rows_of_other_widths_are_counted(tmp_path):
    _, notes = read(tmp_path, "a NN O\nb NN O\nc B-x\n")
    assert "Rows with other than 3 columns: 1, the first at line 3." in " ".join(notes)
    # Several tabs in place of spaces.
    assert read(tmp_path, "Rome\t\tB-x\nCopenhagen\tB-x\n")[1] == []


def test_a_header_is_named(tmp_path):
    with pytest.raises(DataError, match=r"txt:1: the tag 'Tag' .*Delete the header\."):
        read(tmp_path, "Form\tTag\nRome\tB-x\n")


def test_columns_can_be_given(tmp_path):
    assert read(tmp_path, GERMEVAL, 0, 4)[0][0][1] == "O O O B-LOCderiv O"
    assert read(tmp_path, NER, 3, 4)[0][0] == ("NNP VBZ", "B-NP B-VP")
    with pytest.raises(DataError, match=r"--tag-column 6: .*train\.txt:1 has 5 columns\. Give 1"):
        read(tmp_path, NER, 0, 6)


def test_columns_are_refused_for_other_layouts(tmp_path):
    with pytest.raises(DataError, match="--word-column and --tag-column are for files in CoNLL"):
        read(tmp_path, '{"tokens": ["Rome"], "tags": ["B-city"]}', 1)


def test_columns_without_tags_are_refused(tmp_path):
    text = "1\tRome\tRome\tPROPN\tNNP\t_\n2\twon\twin\tVERB\tVBD\t_\n"
    with pytest.raises(
        DataError, match=r"txt:1: no column holds tags: '1 Rome Rome PROPN NNP _'\."
    ):
        read(tmp_path, text)


def test_a_row_with_too_few_columns_is_named(tmp_path):
    read(tmp_path, NER)
    (tmp_path / "test.txt").write_text("1 EU NNP B-ORG\n")
    with pytest.raises(DataError, match=r"test\.txt:1: expected at least 5 columns, got 4"):
        read_tagged(tmp_path)
