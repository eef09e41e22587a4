"""Folders and files of tagged sentences: layouts, splits and schemes of tags."""

import doctest
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tagged_case import refusal, sequences, write

from dlrecipes.data import tagged_text
from dlrecipes.data.tag_schemes import detect_scheme, to_bio
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.metrics import tag_spans

ATIS = Path(__file__).resolve().parents[2].parent / "shared/data/atis"


def conll(count):
    return "".join(f"w{k}\tB-x\n\n" for k in range(count))


def encode(spans, length, scheme):
    """Returns the tags of spans by the definition of the scheme."""
    tags = ["O"] * length
    last, single = {"IOBES": "ES", "BILOU": "LU"}.get(scheme, "IB")
    for k, (slot, start, end) in enumerate(spans):
        opening = "B"
        if scheme == "IOB1":
            touches = k > 0 and spans[k - 1][2] == start and spans[k - 1][0] == slot
            opening = "B" if touches else "I"
            single = opening
        tags[start:end] = [f"I-{slot}"] * (end - start)
        tags[start] = f"{opening}-{slot}"
        if end - start > 1:
            tags[end - 1] = f"{last}-{slot}"
        else:
            tags[start] = f"{single}-{slot}"
    return tags


def random_spans(generator, length):
    spans, position = [], 0
    while position < length:
        size = generator.randint(1, 3)
        if generator.random() < 0.7 and position + size <= length:
            spans.append((generator.choice(["a", "b-c"]), position, position + size))
            position += size
        else:
            position += 1
    return spans


# --- layouts


def test_examples_in_docstrings_run():
    assert doctest.testmod(tagged_text).attempted > 0
    assert doctest.testmod(tagged_text).failed == 0


def test_importing_the_reader_loads_no_tensorflow():
    code = "import sys, dlrecipes.data.tagged_text as _\n"
    code += "assert not {'keras', 'tensorflow'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_atis_is_read_unchanged():
    if not ATIS.is_dir():
        pytest.skip(f"{ATIS} does not exist")
    splits = read_tagged(ATIS)
    assert [len(split) for split in splits] == [4478, 500, 893]
    for split, name in zip(splits, ("train", "valid", "test"), strict=True):
        lines = {
            part: (ATIS / name / part).read_text().split("\n") for part in ("seq.in", "seq.out")
        }
        assert [" ".join(sentence.tokens) for sentence in split] == [
            line.strip() for line in lines["seq.in"] if line
        ]
        assert [" ".join(sentence.tags) for sentence in split] == [
            line.strip() for line in lines["seq.out"] if line
        ]
    assert splits[0][0].intent == "atis_flight"


@pytest.mark.parametrize("validation", ["valid", "validation", "dev"])
def test_sequence_folders_give_words_tags_and_intents(tmp_path, validation):
    write(tmp_path, sequences("fly to Rome\nhi\n", "O O B-to\nO\n", "flight\ngreet\n"))
    write(tmp_path, sequences("a b\n", "B-x I-x\n", split=validation))
    write(tmp_path, sequences("c\n", "O\n", split="test"))
    train, valid, test = read_tagged(str(tmp_path))
    assert train == [
        TaggedSentence(("fly", "to", "Rome"), ("O", "O", "B-to"), "flight"),
        TaggedSentence(("hi",), ("O",), "greet"),
    ]
    assert valid == [TaggedSentence(("a", "b"), ("B-x", "I-x"))]
    assert test == [TaggedSentence(("c",), ("O",))]


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "valid.txt", "test.txt"),
        ("train", "dev", "test"),
        ("train.conll", "testa.conll", "testb.conll"),
        ("train.bio", "validation.iob", "test.tsv"),
    ],
)
def test_conll_folders_are_read_by_name(tmp_path, names):
    contents = ("a O\nb B-x\n\nc O\n", "d O\n", "e O\n")
    write(tmp_path, {**dict(zip(names, contents, strict=True)), ".DS_Store": "", "README.md": "x"})
    splits = read_tagged(tmp_path)
    assert [[sentence.tokens for sentence in split] for split in splits] == [
        [("a", "b"), ("c",)],
        [("d",)],
        [("e",)],
    ]


def test_conll_takes_the_first_column_as_word_and_the_last_as_tag(tmp_path):
    text = (
        "-DOCSTART- -X- -X- O\n\n# a comment\n# intent: get weather\nEU NNP B-NP B-org\n"
        "# NN I-NP O\n\n\n-DOCSTART-\n# intent = ask\n# O\nPeter\tNNP  \tB-per\n"
        "-DOCSTART- O\n#1 B-per\n"
    )
    write(tmp_path, {"train.txt": text, "dev.txt": "a O", "test.txt": "a O"})
    assert read_tagged(tmp_path)[0] == [
        TaggedSentence(("EU", "#"), ("B-org", "O"), "get weather"),
        TaggedSentence(("#", "Peter"), ("O", "B-per"), "ask"),
        TaggedSentence(("#1",), ("B-per",)),
    ]


@pytest.mark.parametrize("layout", ["conll", "sequences"])
def test_windows_files_are_read(tmp_path, layout):
    bom = b"\xef\xbb\xbf"
    if layout == "conll":
        train = {"train.txt": bom + b"a\tO\r\nb \tB-x \r\n\r\nc\tO\r\n \t\r\n\r\n"}
    else:
        train = sequences(bom + b"a\tb\r\nc \r\n\r\n", bom + b"O  B-x\r\nO\r\n", b"p\r\nq\r\n")
    write(tmp_path, {**train, "dev.txt": "d O", "test.txt": "e O"})
    sentences = read_tagged(tmp_path)[0]
    assert [(sentence.tokens, sentence.tags) for sentence in sentences] == [
        (("a", "b"), ("O", "B-x")),
        (("c",), ("O",)),
    ]
    assert layout == "conll" or [sentence.intent for sentence in sentences] == ["p", "q"]


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2028", "\x85", "\u200b", "\x0b"])
def test_only_ascii_spaces_and_tabs_separate_words(tmp_path, space):
    word = f"10{space}000"
    write(tmp_path, sequences(f"{word} 東京 é\n", "B-n O O\n"))
    write(tmp_path, {"dev.txt": f"{word} O\n", "test.txt": f"{word}\tO\n"})
    train, validation, test = read_tagged(tmp_path)
    assert train[0].tokens == (word, "東京", "é")
    assert validation[0].tokens == test[0].tokens == (word,)


# --- splits


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_single_data_is_split_by_seed_80_10_10(tmp_path, kind):
    words = [f"w{k}" for k in range(50)]
    path = tmp_path / "all.txt"
    if kind == "file":
        path.write_text(conll(50))
    else:
        path = tmp_path
        write(path, {"seq.in": "\n".join(words), "seq.out": "\n".join(["B-x"] * 50)})
    splits = read_tagged(path, seed=3)
    assert [len(split) for split in splits] == [40, 5, 5]
    words_of = [[sentence.tokens[0] for sentence in split] for split in splits]
    assert sorted(word for part in words_of for word in part) == sorted(words)
    assert all(part == sorted(part, key=words.index) for part in words_of)
    assert read_tagged(path, seed=3) == splits
    assert read_tagged(path, seed=4) != splits


def test_missing_validation_is_split_off_from_train(tmp_path):
    write(tmp_path, {"train.txt": conll(30), "test.txt": "t O\n"})
    train, validation, test = read_tagged(tmp_path)
    assert (len(train), len(validation)) == (27, 3)
    assert len({sentence.tokens for sentence in train + validation}) == 30
    assert test == [TaggedSentence(("t",), ("O",))]


def test_too_few_sentences_to_split_are_rejected(tmp_path):
    write(tmp_path, {"all.txt": conll(2), "d/train.txt": conll(1), "d/test.txt": conll(1)})
    assert "all.txt holds too few sentences to split: 2. At least 3" in refusal(
        tmp_path / "all.txt"
    )
    assert "train.txt holds too few sentences to split: 1. At least 2" in refusal(tmp_path / "d")
    write(tmp_path, {"all.txt": conll(3)})
    assert [len(split) for split in read_tagged(tmp_path / "all.txt")] == [1, 1, 1]


# --- schemes


@pytest.mark.parametrize(
    ("sequences", "scheme"),
    [
        ([], "BIO"),
        ([["O"]], "BIO"),
        ([["B-a", "I-a"], ["O", "B-b"]], "BIO"),
        ([["I-a", "I-a"], ["O", "I-b"]], "IOB1"),
        ([["I-a", "B-a"], ["I-a"]], "IOB1"),
        ([["I-a", "I-b", "B-b"]], "IOB1"),
        ([["I-a", "B-b"]], "BIO"),
        ([["I-a"], ["B-a"]], "BIO"),
        ([["I-a", "O", "B-a"]], "BIO"),
        ([["B-a", "I-a"], ["S-a"]], "BIOS"),
        ([["S-a", "O"], ["B-a", "E-a"]], "IOBES"),
        ([["S-a", "O"]], "IOBES"),
        ([["B-a", "I-a", "E-a"], ["B-a", "B-a"]], "BIOE"),
        ([["B-a", "M-a", "E-a"], ["B-a", "O"]], "BMEO"),
        ([["B-a", "M-a", "E-a"]], "BMES"),
        ([["B-a", "E-a"]], "IOBES"),
        ([["B-a", "L-a"]], "BILOU"),
        ([["U-a"]], "BILOU"),
    ],
)
def test_the_scheme_is_detected_over_all_sequences(sequences, scheme):
    assert detect_scheme(sequences) == scheme


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES", "BILOU"])
def test_conversion_keeps_the_spans_of_every_scheme(scheme):
    generator = random.Random(0)
    for _ in range(500):
        length = generator.randint(1, 10)
        spans = random_spans(generator, length)
        tags = to_bio(encode(spans, length, scheme), scheme)
        assert tag_spans(tags) == spans
        assert list(tags) == encode(spans, length, "BIO")


@pytest.mark.parametrize("scheme", ["IOB1", "IOBES", "BILOU"])
def test_every_scheme_is_read_as_bio(tmp_path, scheme):
    generator = random.Random(1)
    examples = [(n, random_spans(generator, n)) for n in generator.choices(range(1, 9), k=40)]
    rows = [encode(spans, n, scheme) for n, spans in examples]
    text = "\n".join("".join(f"w\t{tag}\n" for tag in tags) for tags in rows)
    write(tmp_path, {"train": text, "dev": "w\tO\n", "test": "w\tO\n"})
    train = read_tagged(tmp_path)[0]
    expected = [encode(spans, n, "BIO") for n, spans in examples]
    assert [list(sentence.tags) for sentence in train] == expected


def test_one_split_can_determine_the_scheme_of_all(tmp_path):
    write(tmp_path, {"train": "a S-x\n", "dev": "a B-x\nb I-x\nc E-x\n", "test": "a O\n"})
    assert read_tagged(tmp_path)[1][0].tags == ("B-x", "I-x", "I-x")


def test_noisy_bio_keeps_conlleval_spans():
    tags = ["I-a", "I-b", "B-b", "O", "I-b"]
    for scheme in ("BIO", "IOB1"):
        assert to_bio(tags, scheme) == ("B-a", "B-b", "B-b", "O", "B-b")
        assert tag_spans(to_bio(tags, scheme)) == tag_spans(tags)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["O", "I-a", "E-a"], "'I-a' does not continue a span: B-a is missing"),
        (["E-a"], "'E-a' does not continue a span"),
        (["S-a", "I-a"], "'I-a' does not continue a span"),
        (["B-a", "E-a", "E-a"], "'E-a' does not continue a span"),
        (["B-a", "O"], "'B-a' ends without E-a"),
        (["B-a", "I-a"], "'I-a' ends without E-a"),
        (["B-a", "B-a", "E-a"], "'B-a' ends without E-a"),
        (["B-a", "E-b"], "'B-a' ends without E-a"),
        (["B-a", "S-a"], "'B-a' ends without E-a"),
        (["L-a"], "'L-a' is not a tag of IOBES"),
    ],
)
def test_malformed_iobes_is_rejected(tags, message):
    with pytest.raises(ValueError, match=message):
        to_bio(tags, "IOBES")
    if "L-a" not in tags:
        bilou = [tag.replace("E-", "L-").replace("S-", "U-") for tag in tags]
        with pytest.raises(ValueError, match=r"does not continue a span|ends without L-a"):
            to_bio(bilou, "BILOU")


def test_an_unknown_scheme_is_rejected():
    with pytest.raises(ValueError, match="scheme must be one of BIO, IOB1, IOBES, BILOU"):
        to_bio(["O"], "IOB")


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES", "BILOU"])
@pytest.mark.parametrize("tag", ["city", "X-city", "B-", "B", "", "b-city", "O-city", "B_city"])
def test_malformed_tags_are_rejected_in_every_scheme(scheme, tag):
    with pytest.raises(ValueError, match=f"'{tag}' is not a tag of {scheme}"):
        to_bio(["O", tag], scheme)
