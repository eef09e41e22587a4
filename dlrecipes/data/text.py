"""Text to integers, inside the graph: tokens, word ids with 'other', letter n-gram ids."""

from collections import Counter
from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

PADDING, OTHER = 0, 1
TOKENIZERS = ("words", "whitespace")
WORD_EDGE = "#"
PUNCTUATION = "[,;!?，。！？；、]"


def tokenize(sentences: tf.Tensor, tokenizer: str = "words") -> tf.RaggedTensor:
    """Splits sentences into tokens, with TensorFlow's graph operations alone.

    `"words"` makes each Han character a token, detaches punctuation that ends a
    word, and the full stop that ends the sentence (but not the one of `p.m.` or
    `St.`). `"whitespace"` splits at white space and nowhere else.

    Args:
        sentences: String tensor of shape `(batch,)`, UTF-8.
        tokenizer: `"words"` or `"whitespace"`.

    Returns:
        Ragged string tensor of shape `(batch, None)`. An empty sentence has no tokens.

    Example:

    >>> tokenize(tf.constant(["Leave Rome at 7 p.m., please."])).to_list()
    [[b'Leave', b'Rome', b'at', b'7', b'p.m.', b',', b'please', b'.']]
    """
    if tokenizer == "whitespace":
        return tf.strings.split(sentences)
    # Unicode's spaces too: Chinese is typed with U+3000.
    sentences = tf.strings.regex_replace(sentences, r"\p{Zs}", " ")
    sentences = tf.strings.regex_replace(sentences, r"(\p{Han})", r" \1 ")
    sentences = tf.strings.regex_replace(sentences, rf"({PUNCTUATION}+)(\s|$)", r" \1 ")
    sentences = tf.strings.regex_replace(sentences, r"(^|\s)([^\s.]{2,}|\d)\.\s*$", r"\1\2 . ")
    tokens = tf.strings.split(sentences)
    # Each mark of a run ("really?!") is a token; RE2 cannot look ahead to split it before.
    runs = tf.strings.regex_full_match(tokens.values, rf"{PUNCTUATION}+")
    apart = tf.strings.regex_replace(tokens.values, f"({PUNCTUATION})", r"\1 ")
    tokens = tokens.with_values(tf.where(runs, apart, tokens.values))
    return tf.strings.split(tokens).merge_dims(1, 2)


def choose_tokenizer(sentences: Iterable[Sequence[str]], sample: int = 2000) -> str:
    """Returns the finest tokenizer that gives back the data's own tokens.

    Args:
        sentences: Token sequences of the training data.
        sample: How many of them are looked at.

    Example:

    >>> choose_tokenizer([["what", "'s", "up", "?"]])
    'words'
    >>> choose_tokenizer([["what's", "up?"]])
    'whitespace'
    """
    some = [list(tokens) for _, tokens in zip(range(sample), sentences, strict=False)]
    joined = tf.constant([" ".join(tokens) for tokens in some], tf.string)
    again = [[t.decode() for t in row] for row in tokenize(joined, "words").to_list()]
    return "words" if again == some else "whitespace"


@keras.saving.register_keras_serializable(package="dlrecipes")
class TextEncoder(tf.Module):
    """Tokens to word ids and letter n-gram ids, the same in training and in an exported graph.

    Id 0 is padding and id 1 is 'other': a word (or n-gram) that the vocabulary does not
    hold. A word's n-grams are those of the word between two `#` (Huang et al. 2013).

    Args:
        words: The known words, normalised; word `k` has id `k + 2`.
        ngrams: The known letter n-grams; likewise.
        ngram_sizes: Lengths of the n-grams, in letters, at least 1.
        lowercase: Whether upper and lower case are one.
        fold_digits: Whether all digits are one (`1991` is `0000`).
        tokenizer: How raw sentences are split; see `tokenize`.

    Example:

    >>> encoder = TextEncoder.fit([["fly", "to", "Rome"]], ngram_sizes=(3,))
    >>> encoder(tf.constant([["fly", "to", "Oslo", ""]]))["words"].numpy().tolist()
    [[2, 4, 1, 0]]

    Reference:
        Huang, He, Gao, Deng, Acero and Heck, 2013, "Learning deep structured semantic
        models for web search using clickthrough data", section 3.2 (word hashing).
    """

    def __init__(
        self,
        words: Sequence[str],
        ngrams: Sequence[str] = (),
        ngram_sizes: Sequence[int] = (3,),
        lowercase: bool = True,
        fold_digits: bool = True,
        tokenizer: str = "words",
    ):
        super().__init__()
        if tokenizer not in TOKENIZERS:
            raise ValueError(f"tokenizer must be one of {TOKENIZERS}, not {tokenizer!r}.")
        self.words = tuple(words)
        self.ngrams = tuple(ngrams)
        self.ngram_sizes = tuple(ngram_sizes)
        self.lowercase = lowercase
        self.fold_digits = fold_digits
        self.tokenizer = tokenizer
        self._word_table = _table(self.words)
        self._ngram_table = _table(self.ngrams)

    @property
    def num_words(self) -> int:
        """Number of word ids, padding and 'other' included."""
        return len(self.words) + 2

    @property
    def num_ngrams(self) -> int:
        """Number of n-gram ids, padding and 'other' included."""
        return len(self.ngrams) + 2

    @classmethod
    def fit(
        cls,
        sentences: Iterable[Sequence[str]],
        ngram_sizes: Sequence[int] = (3,),
        lowercase: bool = True,
        fold_digits: bool = True,
        minimum_count: int = 1,
    ) -> "TextEncoder":
        """Returns the encoder whose vocabulary is that of `sentences`.

        An n-gram that stands in one word alone says no more than the word: it is left to
        'other', which thereby is trained.

        Args:
            sentences: Token sequences of the training data.
            ngram_sizes: Lengths of the n-grams.
            lowercase: Whether upper and lower case are one.
            fold_digits: Whether all digits are one.
            minimum_count: How often a word must occur to be known.
        """
        sentences = [list(tokens) for tokens in sentences]
        plain = cls((), (), ngram_sizes, lowercase, fold_digits, choose_tokenizer(sentences))
        flat = plain.normalize(tf.constant([t for tokens in sentences for t in tokens], tf.string))
        counts = Counter(word.decode() for word in flat.numpy())
        words = sorted(word for word, count in counts.items() if count >= minimum_count)
        found = plain.letter_ngrams(tf.constant(words, tf.string)).to_list()
        in_words = Counter(gram.decode() for grams in found for gram in set(grams))
        ngrams = sorted(gram for gram, count in in_words.items() if count >= 2)
        return cls(words, ngrams, ngram_sizes, lowercase, fold_digits, plain.tokenizer)

    def normalize(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the tokens as the vocabulary writes them."""
        if self.lowercase:
            tokens = tf.strings.lower(tokens, encoding="utf-8")
        if self.fold_digits:
            tokens = tf.strings.regex_replace(tokens, "[0-9]", "0")
        return tokens

    def letter_ngrams(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the letter n-grams of each word; shape `(words,)` gives `(words, None)`."""
        edged = tf.strings.join([WORD_EDGE, words, WORD_EDGE])
        letters = tf.strings.unicode_split(edged, "UTF-8", errors="replace")
        return tf.strings.ngrams(letters, self.ngram_sizes, separator="")

    def tokenize(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        """Splits raw sentences, shape `(batch,)`, as the training data was split."""
        return tokenize(sentences, self.tokenizer)

    def __call__(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the ids of tokens.

        Args:
            tokens: String tensor of shape `(batch, time)`, padded with `""`.

        Returns:
            `words`, int32 of shape `(batch, time)`, and `ngrams`, int32 of shape
            `(batch, time, ngrams_of_the_longest_word)`.
        """
        tokens = self.normalize(tokens)
        words = self._word_table.lookup(tokens)
        found = self.letter_ngrams(tf.reshape(tokens, [-1])).to_tensor("", shape=[None, None])
        # A word too short for an n-gram still has one, 'other': no n-gram at all is padding.
        found = tf.pad(found, [[0, 0], [0, tf.cast(tf.shape(found)[1] == 0, tf.int32)]])
        ids = self._ngram_table.lookup(found)
        ids = tf.concat([tf.maximum(ids[:, :1], OTHER), ids[:, 1:]], axis=1)
        ids = tf.reshape(ids, tf.concat([tf.shape(tokens), [tf.shape(found)[1]]], axis=0))
        ids = tf.where((words == PADDING)[..., None], PADDING, ids)
        return {"words": words, "ngrams": ids}

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        names = ("words", "ngrams", "ngram_sizes", "lowercase", "fold_digits", "tokenizer")
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in names
        }

    @classmethod
    def from_config(cls, config: dict) -> "TextEncoder":
        """Returns the encoder that `get_config` described."""
        return cls(**config)


def _table(entries: Sequence[str]) -> tf.lookup.StaticHashTable:
    keys = tf.constant(["", *entries])
    ids = tf.concat([[PADDING], tf.range(OTHER + 1, OTHER + 1 + len(entries))], axis=0)
    initializer = tf.lookup.KeyValueTensorInitializer(keys, ids)
    return tf.lookup.StaticHashTable(initializer, default_value=OTHER)
