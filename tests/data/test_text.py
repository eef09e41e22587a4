import keras
import numpy as np
import pytest
import tensorflow as tf

from dlrecipes.data.text import OTHER, PADDING, TextEncoder, choose_tokenizer, tokenize


def tokens_of(sentence, tokenizer="words"):
    (tokens,) = tokenize(tf.constant([sentence]), tokenizer).to_list()
    return [token.decode() for token in tokens]


@pytest.mark.parametrize(
    "sentence, tokens",
    [
        ("去北京，谢谢。", ["去", "北", "京", "，", "谢", "谢", "。"]),
        ("飞到LA吗", ["飞", "到", "LA", "吗"]),
        ("please, go; now!", ["please", ",", "go", ";", "now", "!"]),
        ("1,000 dollars", ["1,000", "dollars"]),
        ("leave Rome.", ["leave", "Rome", "."]),
        ("leave at 7.", ["leave", "at", "7", "."]),
        ("leave Rome.  ", ["leave", "Rome", "."]),
        ("Rome.", ["Rome", "."]),
        ("St. Louis at 7 p.m. today", ["St.", "Louis", "at", "7", "p.m.", "today"]),
        ("leave at 7 p.m.", ["leave", "at", "7", "p.m."]),
        ("to washington d.c.", ["to", "washington", "d.c."]),
        ("really?!", ["really", "?", "!"]),
        ("now!!! go", ["now", "!", "!", "!", "go"]),
        ("好！！！", ["好", "！", "！", "！"]),
        ("already , apart ?!", ["already", ",", "apart", "?", "!"]),
        ("tabs\tand\nlines,\t too", ["tabs", "and", "lines", ",", "too"]),
        ("", []),
        (" \t ", []),
        ("!", ["!"]),
        ("un café à 🎉, Łódź!", ["un", "café", "à", "🎉", ",", "Łódź", "!"]),
        ("what's o'clock", ["what's", "o'clock"]),
    ],
)
def test_punctuation_and_han_characters_become_tokens(sentence, tokens):
    assert tokens_of(sentence) == tokens


@pytest.mark.parametrize(
    "sentence", ["please, go now!!", "去北京 谢谢。", "leave Rome.", "a\tb  c", "", "  é 🎉 "]
)
def test_whitespace_tokenizer_splits_as_python_does(sentence):
    assert tokens_of(sentence, "whitespace") == sentence.split()


def test_sentences_of_a_batch_are_tokenized_independently():
    sentences = ["leave Rome.", "", "去北京!", "now!! go"]
    batch = tokenize(tf.constant(sentences)).to_list()
    assert [[t.decode() for t in row] for row in batch] == [tokens_of(s) for s in sentences]


@pytest.mark.parametrize(
    "sentences, tokenizer",
    [
        ([["to", "Rome", ",", "please", "."], ["去", "北", "京"], []], "words"),
        ([["to", "Rome,"]], "whitespace"),
        ([["北京", "好"]], "whitespace"),
        ([["now", "?!"]], "whitespace"),
        ([], "words"),
    ],
)
def test_the_finest_tokenizer_that_reproduces_the_data_is_chosen(sentences, tokenizer):
    assert choose_tokenizer(sentences) == tokenizer
    assert TextEncoder.fit(sentences).tokenizer == tokenizer


def test_only_the_sample_determines_the_tokenizer():
    sentences = [["to", "Rome"]] * 3 + [["to", "Rome,"]]
    assert choose_tokenizer(sentences, sample=3) == "words"
    assert choose_tokenizer(sentences, sample=4) == "whitespace"


def slices(word, sizes):
    """Letter n-grams of a word, in plain Python."""
    edged = f"#{word}#"
    return [edged[i : i + n] for n in sizes for i in range(len(edged) - n + 1)]


@pytest.mark.parametrize("sizes", [(3,), (1,), (2, 3), (4,)])
@pytest.mark.parametrize("word", ["rome", "a", "façade", "北京", "🎉é", "sesssss"])
def test_letter_ngrams_are_slices_of_the_word_between_edges(word, sizes):
    (grams,) = TextEncoder((), ngram_sizes=sizes).letter_ngrams(tf.constant([word])).to_list()
    assert [gram.decode() for gram in grams] == slices(word, sizes)


def test_vocabulary_is_the_sorted_set_of_training_words():
    encoder = TextEncoder.fit([["to", "Rome", "to"], ["from", "rome"]])
    assert encoder.words == ("from", "rome", "to")
    assert encoder.num_words == 3 + 2
    ids = encoder(tf.constant([["to", "ROME", "from", "Oslo", ""]]))["words"].numpy()
    assert ids.tolist() == [[4, 3, 2, OTHER, PADDING]]
    assert (PADDING, OTHER) == (0, 1)


def test_rare_words_are_encoded_as_other():
    sentences = [["to", "to", "Rome"], ["Rome", "to", "Oslo"]]
    counted = {n: TextEncoder.fit(sentences, minimum_count=n).words for n in (1, 2, 3, 4)}
    assert counted == {1: ("oslo", "rome", "to"), 2: ("rome", "to"), 3: ("to",), 4: ()}


def test_case_is_folded_beyond_ascii_or_kept():
    sentences = [["Évian", "ÅÄÖ"]]
    assert set(TextEncoder.fit(sentences).words) == {"évian", "åäö"}
    kept = TextEncoder.fit(sentences, lowercase=False)
    assert set(kept.words) == {"Évian", "ÅÄÖ"}
    assert kept(tf.constant([["évian"]]))["words"].numpy().tolist() == [[OTHER]]


def test_digits_are_folded_or_kept():
    sentences = [["1991", "2024", "7b"]]
    folded = TextEncoder.fit(sentences)
    assert folded.words == ("0000", "0b")
    assert folded(tf.constant([["1815", "9b", "12"]]))["words"].numpy().tolist() == [[2, 3, OTHER]]
    assert TextEncoder.fit(sentences, fold_digits=False).words == ("1991", "2024", "7b")


def test_ngrams_of_a_single_word_are_encoded_as_other():
    words = ["rome", "romania", "oslo", "aaaa"]
    encoder = TextEncoder.fit([words, words], ngram_sizes=(2, 3))
    every = {gram for word in words for gram in slices(word, (2, 3))}
    shared = {g for g in every if sum(g in slices(word, (2, 3)) for word in words) >= 2}
    assert "aa" in every - shared
    assert encoder.ngrams == tuple(sorted(shared))
    assert encoder.num_ngrams == len(shared) + 2


WORDS = ["rome", "romania", "oslo", "a", "lo"]
SIZES = (2, 4)


def encoded(encoder, rows):
    ids = encoder(tf.constant(rows))
    return ids["words"].numpy(), ids["ngrams"].numpy()


def test_ngram_ids_of_a_padded_batch_match_the_slices():
    encoder = TextEncoder.fit([WORDS], ngram_sizes=SIZES)
    assert encoder.ngrams
    number = {gram: k + 2 for k, gram in enumerate(encoder.ngrams)}
    rows = [["rome", "oslo", "unseen"], ["a", "", ""]]
    words, ngrams = encoded(encoder, rows)
    assert words.dtype == ngrams.dtype == np.int32
    longest = len(slices("unseen", SIZES))
    assert ngrams.shape == (2, 3, longest)
    for place in np.ndindex(2, 3):
        word = rows[place[0]][place[1]]
        expected = [number.get(gram, OTHER) for gram in slices(word, SIZES)] if word else []
        assert ngrams[place].tolist() == expected + [PADDING] * (longest - len(expected))


@pytest.mark.parametrize("rows", [[["a"]], [["a", "romania"]]])
def test_a_word_shorter_than_the_ngrams_has_the_ngram_other(rows):
    # "#a#" has three letters: no slice of four.
    assert slices("a", (4,)) == []
    encoder = TextEncoder.fit([WORDS], ngram_sizes=(4,))
    words, ngrams = encoded(encoder, rows)
    assert words[0, 0] >= OTHER
    assert ngrams[0, 0].tolist() == [OTHER] + [PADDING] * (ngrams.shape[2] - 1)


def test_ids_of_a_sentence_do_not_depend_on_its_batch():
    encoder = TextEncoder.fit([WORDS], ngram_sizes=SIZES)
    rows = [["romania", "oslo", "x"], ["a", "lo", ""], ["rome", "", ""]]
    words, ngrams = encoded(encoder, rows)
    for i, row in enumerate(rows):
        length = sum(token != "" for token in row)
        alone, grams = encoded(encoder, [row[:length]])
        assert words[i, :length].tolist() == alone[0].tolist()
        assert not words[i, length:].any()
        width = grams.shape[2]
        assert ngrams[i, :length, :width].tolist() == grams[0].tolist()
        assert not ngrams[i, length:].any()
        assert not ngrams[i, :, width:].any()


def test_config_rebuilds_the_encoder():
    encoder = TextEncoder(
        ["Rome", "é"], ["#R", "é#"], (2, 3), lowercase=False, fold_digits=False,
        tokenizer="whitespace",
    )  # fmt: skip
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    assert type(again) is TextEncoder
    assert again is not encoder
    assert again.get_config() == encoder.get_config()
    rows = tf.constant([["Rome", "é", "rome", "7", ""]])
    for name, ids in encoder(rows).items():
        np.testing.assert_array_equal(again(rows)[name], ids)
    assert again.tokenize(tf.constant(["a, b"])).to_list() == [[b"a,", b"b"]]


def test_an_unknown_tokenizer_is_rejected():
    with pytest.raises(ValueError, match=r"tokenizer must be one of .* not 'letters'"):
        TextEncoder((), tokenizer="letters")


def test_a_graph_with_unknown_shapes_matches_eager_mode():
    encoder = TextEncoder.fit([WORDS], ngram_sizes=SIZES)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def whole(sentences):
        return encoder(encoder.tokenize(sentences).to_tensor(""))

    for sentences in (["Rome, oslo!!", "a"], ["romania."], ["", "lo é 北京"], [""]):
        eager = encoder(encoder.tokenize(tf.constant(sentences)).to_tensor(""))
        graph = whole(tf.constant(sentences))
        for name in ("words", "ngrams"):
            np.testing.assert_array_equal(graph[name], eager[name])
    rome = encoder.words.index("rome") + 2
    assert whole(tf.constant(["rome"]))["words"].numpy().tolist() == [[rome]]


def test_a_batch_without_words_has_a_time_axis_of_length_zero():
    ids = TextEncoder.fit([WORDS])(tf.zeros((2, 0), tf.string))
    assert ids["words"].shape == (2, 0)
    assert ids["ngrams"].shape[:2] == (2, 0)


def test_unicode_spaces_separate_words():
    assert tokenize(tf.constant(["去\u3000Rome\u00a0now"])).to_list() == [
        ["去".encode(), b"Rome", b"now"]
    ]
