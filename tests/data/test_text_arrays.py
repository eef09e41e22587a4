"""Text without TensorFlow is split and looked up as the graph does it."""

import string

import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data import text, text_arrays
from dlrecipes.data.text import TextEncoder
from dlrecipes.data.text_arrays import ArrayEncoder

SENTENCES = [
    "Leave Rome at 7 p.m., please.",
    "去北京的航班，明天！",
    "really?!  yes ,no",
    "St. John at 5.",
    "a\u3000b\u00a0c\vd\n",
    " İstanbul ΣΑΣ 12,5 7. ",
    "",
    ". ... ,",
]


def code_points():
    return [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


def random_sentences(count, seed=0):
    parts = [*"abA.,;!?。，1 2\t\n\v\f\r\u3000中国éÉΣσİß#", "p.m.", "St.", " ", " "]
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(parts, size=rng.integers(14))) for _ in range(count)]


@pytest.mark.parametrize("name", ["PADDING", "OTHER", "WORD_EDGE", "PUNCTUATION"])
def test_the_constants_are_those_of_the_graph(name):
    assert getattr(text_arrays, name) == getattr(text, name)


@pytest.mark.parametrize(
    ("pattern", "ours"), [(r"\p{Han}", text_arrays._HAN), (r"\p{Zs}", text_arrays._UNICODE_SPACES)]
)
def test_every_character_is_classified_as_in_the_graph(pattern, ours):
    letters = code_points()
    # One expression over all of them takes less time than a match of each.
    kept = tf.strings.regex_replace("".join(letters), pattern.replace(r"\p", r"\P"), "")
    assert kept.numpy().decode() == "".join(filter(ours.fullmatch, letters))


def test_every_capital_becomes_the_small_letter_of_the_graph():
    # A zero byte cannot be typed, and ends a string in the graph.
    letters = code_points()[1:]
    lowered = tf.strings.lower(tf.constant(letters), encoding="utf-8").numpy()
    ours = [text_arrays._lower(letter) for letter in letters]
    pairs = zip(letters, lowered, ours, strict=True)
    assert [hex(ord(letter)) for letter, a, b in pairs if a.decode() != b] == []


@pytest.mark.parametrize("tokenizer", text.TOKENIZERS)
def test_sentences_are_split_as_in_the_graph(tokenizer):
    sentences = SENTENCES + random_sentences(3000)
    rows = text.tokenize(tf.constant(sentences), tokenizer).to_list()
    for sentence, row in zip(sentences, rows, strict=True):
        expected = [token.decode() for token in row]
        assert text_arrays.tokenize(sentence, tokenizer) == expected, sentence


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("sizes", [(3,), (1, 2, 9), (30,)])
def test_words_have_the_ids_of_the_graph(lowercase, sizes):
    known = [text_arrays.tokenize(sentence) for sentence in SENTENCES[:4]]
    graph = TextEncoder.fit(known, sizes, lowercase, fold_digits=lowercase)
    ours = ArrayEncoder(graph.words, graph.ngrams, sizes, lowercase, fold_digits=lowercase)
    for sentence in SENTENCES + random_sentences(60):
        tokens = text_arrays.tokenize(sentence) or [""]
        expected, ids = graph(tf.constant([tokens])), ours(tokens)
        for name, own in ids.items():
            assert own.dtype == np.int32
            np.testing.assert_array_equal(own, expected[name], err_msg=sentence)


def test_all_ascii_letters_are_known_words():
    encoder = ArrayEncoder(list(string.ascii_lowercase))
    assert encoder(list("Az"))["words"].tolist() == [[2, 27]]
