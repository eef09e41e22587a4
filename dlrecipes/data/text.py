"""Text encoding inside the graph: tokens, word ids and letter n-gram ids."""

from collections import Counter
from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

PADDING, OTHER = 0, 1
TOKENIZERS = ("words", "whitespace")
WORD_EDGE = "#"
PUNCTUATION = "[,;!?，。！？；、]"


def tokenize(sentences: tf.Tensor, tokenizer: str = "words") -> tf.RaggedTensor:
    """Splits sentences into tokens, using only TensorFlow graph operations.

    `"words"` makes each Han character a token, and detaches punctuation at the end of words
    and the full stop of the sentence (but not those of `p.m.` and `St.`). `"whitespace"`
    splits only at white space.

    Args:
        sentences: String tensor of shape `(batch,)`, UTF-8.
        tokenizer: `"words"` or `"whitespace"`. Defaults to `"words"`.

    Returns:
        Ragged string tensor of shape `(batch, None)`. An empty sentence has no tokens.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.text import tokenize
    >>> tokenize(tf.constant(["Leave Rome at 7 p.m., please."])).to_list()
    [[b'Leave', b'Rome', b'at', b'7', b'p.m.', b',', b'please', b'.']]
    """
    if tokenizer == "whitespace":
        return tf.strings.split(sentences)
    # All Unicode spaces count: Chinese is typed with U+3000.
    sentences = tf.strings.regex_replace(sentences, r"\p{Zs}", " ")
    sentences = tf.strings.regex_replace(sentences, r"(\p{Han})", r" \1 ")
    sentences = tf.strings.regex_replace(sentences, rf"({PUNCTUATION}+)(\s|$)", r" \1 ")
    sentences = tf.strings.regex_replace(sentences, r"(^|\s)([^\s.]{2,}|\d)\.\s*$", r"\1\2 . ")
    tokens = tf.strings.split(sentences)
    # Every mark of a run ("really?!") is split off; RE2 has no lookahead to do so above.
    runs = tf.strings.regex_full_match(tokens.values, rf"{PUNCTUATION}+")
    apart = tf.strings.regex_replace(tokens.values, f"({PUNCTUATION})", r"\1 ")
    tokens = tokens.with_values(tf.where(runs, apart, tokens.values))
    return tf.strings.split(tokens).merge_dims(1, 2)


def choose_tokenizer(sentences: Iterable[Sequence[str]], sample: int = 2000) -> str:
    """Returns the finest tokenizer that reproduces the tokens of the data.

    Args:
        sentences: Token sequences of the training data.
        sample: Number of sentences to check. Defaults to 2000.

    Returns:
        `"words"` or `"whitespace"`.

    Example:

    >>> from dlrecipes.data.text import choose_tokenizer
    >>> choose_tokenizer([["what", "'s", "up", "?"]])
    'words'
    >>> choose_tokenizer([["what's", "up?"]])
    'whitespace'
    """
    checked = [list(tokens) for _, tokens in zip(range(sample), sentences, strict=False)]
    joined = tf.constant([" ".join(tokens) for tokens in checked], tf.string)
    again = [[t.decode() for t in row] for row in tokenize(joined, "words").to_list()]
    return "words" if again == checked else "whitespace"


@keras.saving.register_keras_serializable(package="dlrecipes")
class TextEncoder(tf.Module):
    """Encodes tokens as word ids and letter n-gram ids, in training and in an exported graph.

    Id 0 is padding and id 1 is 'other': a word or n-gram that is not in the vocabulary. The
    n-grams of a word are taken from the word between two `#` (Huang et al., 2013).

    Args:
        words: Known words, normalised; word `k` has id `k + 2`.
        ngrams: Known letter n-grams; n-gram `k` has id `k + 2`. Defaults to `()`.
        ngram_sizes: Lengths of the n-grams in letters, each at least 1. Defaults to `(3,)`.
        lowercase: Whether to convert words to lower case. Defaults to `True`.
        fold_digits: Whether to replace every digit by 0 (`1991` becomes `0000`). Defaults to
            `True`.
        tokenizer: Tokenizer of raw sentences, `"words"` or `"whitespace"`; see `tokenize`.
            Defaults to `"words"`.

    Raises:
        ValueError: If the tokenizer is unknown.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.text import TextEncoder
    >>> encoder = TextEncoder.fit([["fly", "to", "Rome"]], ngram_sizes=(3,))
    >>> encoder(tf.constant([["fly", "to", "Oslo", ""]]))["words"].numpy().tolist()
    [[2, 4, 1, 0]]

    Reference:
        Huang, He, Gao, Deng, Acero and Heck, 2013, "Learning deep structured semantic
        models for web search using clickthrough data", section 3.2 (word hashing),
        https://doi.org/10.1145/2505515.2505665.
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
        """Number of word ids, including padding and 'other'."""
        return len(self.words) + 2

    @property
    def num_ngrams(self) -> int:
        """Number of n-gram ids, including padding and 'other'."""
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
        """Returns an encoder with the vocabulary of `sentences`.

        An n-gram that occurs in a single word adds nothing to that word. It is encoded as
        'other', so that 'other' is trained.

        Args:
            sentences: Token sequences of the training data.
            ngram_sizes: Lengths of the n-grams in letters, each at least 1. Defaults to `(3,)`.
            lowercase: Whether to convert words to lower case. Defaults to `True`.
            fold_digits: Whether to replace every digit by 0. Defaults to `True`.
            minimum_count: Minimum number of occurrences of a known word. Defaults to 1.

        Returns:
            Encoder whose tokenizer is `choose_tokenizer(sentences)`.
        """
        sentences = [list(tokens) for tokens in sentences]
        plain = cls((), (), ngram_sizes, lowercase, fold_digits, choose_tokenizer(sentences))
        flat = plain.normalize(tf.constant([t for tokens in sentences for t in tokens], tf.string))
        counts = Counter(word.decode() for word in flat.numpy())
        words = sorted(word for word, count in counts.items() if count >= minimum_count)
        grams_of_words = plain.letter_ngrams(tf.constant(words, tf.string)).to_list()
        in_words = Counter(gram.decode() for grams in grams_of_words for gram in set(grams))
        ngrams = sorted(gram for gram, count in in_words.items() if count >= 2)
        return cls(words, ngrams, ngram_sizes, lowercase, fold_digits, plain.tokenizer)

    def normalize(self, tokens: tf.Tensor) -> tf.Tensor:
        """Returns tokens in the case and with the digits of the vocabulary."""
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
        """Splits raw sentences, shape `(batch,)`, with the encoder's tokenizer."""
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
        grams = self.letter_ngrams(tf.reshape(tokens, [-1])).to_tensor("", shape=[None, None])
        # A word too short for n-grams gets the n-gram 'other': only padding has none.
        grams = tf.pad(grams, [[0, 0], [0, tf.cast(tf.shape(grams)[1] == 0, tf.int32)]])
        ids = self._ngram_table.lookup(grams)
        ids = tf.concat([tf.maximum(ids[:, :1], OTHER), ids[:, 1:]], axis=1)
        ids = tf.reshape(ids, tf.concat([tf.shape(tokens), [tf.shape(grams)[1]]], axis=0))
        ids = tf.where((words == PADDING)[..., None], PADDING, ids)
        return {"words": words, "ngrams": ids}

    def get_config(self) -> dict:
        names = ("words", "ngrams", "ngram_sizes", "lowercase", "fold_digits", "tokenizer")
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in names
        }

    @classmethod
    def from_config(cls, config: dict) -> "TextEncoder":
        """Returns the encoder with the constructor arguments in `config`."""
        return cls(**config)


def _table(entries: Sequence[str]) -> tf.lookup.StaticHashTable:
    keys = tf.constant(["", *entries])
    ids = tf.concat([[PADDING], tf.range(OTHER + 1, OTHER + 1 + len(entries))], axis=0)
    initializer = tf.lookup.KeyValueTensorInitializer(keys, ids)
    return tf.lookup.StaticHashTable(initializer, default_value=OTHER)
