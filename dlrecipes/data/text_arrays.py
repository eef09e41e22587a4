"""Text encoding with Python and NumPy, equal to the graph's; does not load TensorFlow.

`dlrecipes.data.text` does the same inside a graph. Publishing compares the two on test sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# As in `dlrecipes.data.text`, which loads TensorFlow; a test compares them.
PADDING, OTHER = 0, 1
WORD_EDGE = "#"
PUNCTUATION = "[,;!?，。！？；、]"
# TensorFlow's expressions take ASCII white space alone for `\s`, and without the vertical tab.
_SPACE = r"[\t\n\f\r ]"
_UNICODE_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# The script Han, of Unicode 15, in runs of code points: TensorFlow's \p{Han}.
_HAN = re.compile(
    "([\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufa6d\ufa70-\ufad9\U00016fe2\U00016fe3\U00016ff0\U00016ff1"
    "\U00020000-\U0002a6df\U0002a700-\U0002b739\U0002b740-\U0002b81d\U0002b820-\U0002cea1"
    "\U0002ceb0-\U0002ebe0\U0002f800-\U0002fa1d\U00030000-\U0003134a\U00031350-\U000323af])"
)
# Capitals of Unicode 14 to 16: TensorFlow 2.21 does not know their small letters, Python may.
_NEW_CAPITALS = re.compile(
    "([\u2c2f\ua7c0\ua7cb\ua7cc\ua7d0\ua7d6\ua7d8\ua7da\ua7dc\U00010570-\U00010595"
    "\U00010d50-\U00010d65])"
)
_LAST_MARKS = re.compile(rf"({PUNCTUATION}+)({_SPACE}|\Z)")
_FULL_STOP = re.compile(rf"(^|{_SPACE})([^\t\n\f\r .]{{2,}}|[0-9])\.{_SPACE}*\Z")
_MARKS = re.compile(rf"{PUNCTUATION}+\Z")
_DIGIT = re.compile("[0-9]")


def tokenize(sentence: str, tokenizer: str = "words") -> list[str]:
    """Returns the tokens of a sentence, as `dlrecipes.data.text.tokenize` splits it.

    Args:
        sentence: Any text.
        tokenizer: `"words"` or `"whitespace"`. Defaults to `"words"`.

    Example:

    >>> from dlrecipes.data.text_arrays import tokenize
    >>> tokenize("Leave Rome at 7 p.m., please.")
    ['Leave', 'Rome', 'at', '7', 'p.m.', ',', 'please', '.']
    """
    if tokenizer == "whitespace":
        return _split(sentence)
    sentence = _UNICODE_SPACES.sub(" ", sentence)
    sentence = _HAN.sub(r" \1 ", sentence)
    sentence = _LAST_MARKS.sub(r" \1 ", sentence)
    sentence = _FULL_STOP.sub(r"\1\2 . ", sentence)
    tokens = []
    for token in _split(sentence):
        tokens += list(token) if _MARKS.match(token) else [token]
    return tokens


def _split(text: str) -> list[str]:
    # `str.split` takes other characters for white space as well.
    return [token.decode() for token in text.encode().split()]


class ArrayEncoder:
    """Encodes tokens as word ids and letter n-gram ids, as `dlrecipes.data.text.TextEncoder` does.

    Args:
        words: Known words, normalised; word `k` has id `k + 2`.
        ngrams: Known letter n-grams; n-gram `k` has id `k + 2`. Defaults to `()`.
        ngram_sizes: Lengths of the n-grams in letters. Defaults to `(3,)`.
        lowercase: Whether to convert words to lower case. Defaults to `True`.
        fold_digits: Whether to replace every digit by 0. Defaults to `True`.

    Example:

    >>> from dlrecipes.data.text_arrays import ArrayEncoder
    >>> encoder = ArrayEncoder(["fly", "rome", "to"])
    >>> encoder(["fly", "to", "Oslo"])["words"].tolist()
    [[2, 4, 1]]
    """

    def __init__(
        self,
        words: Sequence[str],
        ngrams: Sequence[str] = (),
        ngram_sizes: Sequence[int] = (3,),
        lowercase: bool = True,
        fold_digits: bool = True,
    ):
        self.ngram_sizes = tuple(ngram_sizes)
        self.lowercase, self.fold_digits = lowercase, fold_digits
        self._words, self._ngrams = _ids(words), _ids(ngrams)

    def __call__(self, tokens: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the ids of one sentence.

        Args:
            tokens: Tokens; `""` is padding.

        Returns:
            `words`, int32 of shape `(1, time)`, and `ngrams`, int32 of shape
            `(1, time, ngrams_of_the_longest_word)`.
        """
        tokens = [self.normalize(token) for token in tokens]
        words = [self._words.get(token, OTHER) for token in tokens]
        rows = [
            [self._ngrams.get(gram, OTHER) for gram in self.letter_ngrams(token)] or [OTHER]
            for token in tokens
        ]
        ngrams = np.zeros((1, len(tokens), max(map(len, rows), default=1)), np.int32)
        for place, (word, row) in enumerate(zip(words, rows, strict=True)):
            if word != PADDING:
                ngrams[0, place, : len(row)] = row
        return {"words": np.array([words], np.int32).reshape(1, len(tokens)), "ngrams": ngrams}

    def normalize(self, token: str) -> str:
        """Returns a token in the case and with the digits of the vocabulary."""
        token = _lower(token) if self.lowercase else token
        return _DIGIT.sub("0", token) if self.fold_digits else token

    def letter_ngrams(self, word: str) -> list[str]:
        """Returns the letter n-grams of a word, between two `#`."""
        edged = f"{WORD_EDGE}{word}{WORD_EDGE}"
        return [
            edged[start : start + size]
            for size in self.ngram_sizes
            for start in range(len(edged) - size + 1)
        ]


def _lower(token: str) -> str:
    parts = _NEW_CAPITALS.split(token)
    return "".join(part if number % 2 else part.lower() for number, part in enumerate(parts))


def _ids(entries: Sequence[str]) -> dict[str, int]:
    return {"": PADDING, **{entry: number for number, entry in enumerate(entries, OTHER + 1)}}
