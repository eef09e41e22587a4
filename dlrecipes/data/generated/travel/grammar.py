"""A grammar that generates random tagged sentences.

A symbol's text has one rule per line. In a rule, plain words are kept, and

    <name>        is any rule of the symbol `name`, or any phrase of the word list `name`;
    <name:key>    is the same with every `$` of those rules read as `key`;
    {slot:name}   is `<name>`, with its expansion tagged as one value of `slot`;
    (a b|c)       is one of its alternatives; `[a b]` is `(a b|)`;
    a b & c & d   is its parts in any order.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dlrecipes.data.tagged import TaggedSentence

Phrase = tuple[str, ...]
_PIECE = re.compile(r"<\w+(?::\w+)?>|\{\w+:\w+\}|[()|\[\]&]|[^\s()|\[\]&<>{}]+")


@dataclass(frozen=True, slots=True)
class Words:
    """A word list with phrases that are held out from the training split.

    Args:
        known: Comma-separated phrases that every split uses.
        new: Comma-separated phrases that only validation and test use. Defaults to `""`.
    """

    known: str
    new: str = ""


@dataclass(slots=True)
class Draft:
    """A sentence while it is generated.

    Args:
        rng: Random number generator.
        new: Held-out phrases that may be used, by the name of their word list. Defaults to none.
        tokens: Tokens so far. Defaults to none.
        tags: BIO tags of the tokens. Defaults to none.
        slot: Tag of the next token inside a slot, or `""` outside. Defaults to `""`.
        used_new: Whether a held-out phrase was used. Defaults to `False`.
    """

    rng: random.Random
    new: Mapping[str, Sequence[Phrase]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    slot: str = ""
    used_new: bool = False

    def write(self, phrase: Phrase) -> None:
        """Appends words, tagged with the current slot."""
        for token in phrase:
            if not self.slot:
                tag = "O"
            else:
                tag = self.slot
                self.slot = "I-" + self.slot[2:]
            self.tokens.append(token)
            self.tags.append(tag)


_Node = Callable[[Draft], None]


class Grammar:
    """Rules and word lists that are parsed once and expanded many times.

    Args:
        rules: Text of each symbol, by name.
        words: Word lists by name; the names differ from those of symbols.
        split: Function that splits a written word of a rule or word list into tokens.

    Raises:
        ValueError: If a rule names an unknown symbol, or its brackets do not match.

    Example:

    >>> import random
    >>> from dlrecipes.data.generated.travel.grammar import Draft, Grammar, Words
    >>> rules = {"ask": "[please] leave {from:city}"}
    >>> grammar = Grammar(rules, {"city": Words("New York")}, lambda word: [word])
    >>> grammar.draw("ask", Draft(random.Random(1))).tags[-2:]
    ['B-from', 'I-from']
    """

    def __init__(
        self,
        rules: Mapping[str, str],
        words: Mapping[str, Words],
        split: Callable[[str], Sequence[str]],
    ):
        self.rules = rules
        self.split = split
        self.known = {name: self._phrases(entry.known) for name, entry in words.items()}
        self.new = {name: self._phrases(entry.new) for name, entry in words.items() if entry.new}
        self._nodes: dict[tuple[str, str], _Node] = {}
        for name, text in rules.items():
            if "$" not in text:
                self._symbol(name, "")

    def draw(self, symbol: str, draft: Draft) -> Draft:
        """Returns `draft` with a random expansion of `symbol` appended."""
        self._symbol(symbol, "")(draft)
        return draft

    def _phrases(self, text: str) -> list[Phrase]:
        return [self._tokens(phrase) for phrase in text.split(",") if phrase.strip()]

    def _tokens(self, text: str) -> Phrase:
        return tuple(token for word in text.split() for token in self.split(word))

    def _symbol(self, name: str, key: str) -> _Node:
        if (name, key) not in self._nodes:
            self._nodes[name, key] = self._read(name, key)
        return self._nodes[name, key]

    def _read(self, name: str, key: str) -> _Node:
        if name in self.known:
            return _word_list(name, self.known[name])
        if name not in self.rules:
            raise ValueError(f"Unknown symbol or word list {name!r}.")
        lines = [line for line in self.rules[name].replace("$", key).split("\n") if line.strip()]
        stack = _PIECE.findall(" | ".join(lines))[::-1]
        node = self._choice(stack)
        if stack:
            raise ValueError(f"Symbol {name!r} has an unmatched closing bracket.")
        return node

    def _choice(self, stack: list[str], closing: str = "") -> _Node:
        options = [self._shuffle(stack)]
        while stack and stack[-1] == "|":
            stack.pop()
            options.append(self._shuffle(stack))
        if closing and (not stack or stack.pop() != closing):
            raise ValueError(f"A rule lacks its closing {closing!r}.")
        if closing == "]":
            options.append(_nothing)
        return options[0] if len(options) == 1 else _one_of(options)

    def _shuffle(self, stack: list[str]) -> _Node:
        parts = [self._sequence(stack)]
        while stack and stack[-1] == "&":
            stack.pop()
            parts.append(self._sequence(stack))
        return parts[0] if len(parts) == 1 else _any_order(parts)

    def _sequence(self, stack: list[str]) -> _Node:
        items = []
        while stack and stack[-1] not in "|&)]":
            items.append(self._item(stack))
        return items[0] if len(items) == 1 else _all_of(items)

    def _item(self, stack: list[str]) -> _Node:
        piece = stack.pop()
        if piece in ("(", "["):
            return self._choice(stack, ")" if piece == "(" else "]")
        first, _, second = piece[1:-1].partition(":")
        if piece.startswith("<"):
            return self._symbol(first, second)
        if piece.startswith("{"):
            return _value(first, self._symbol(second, ""))
        phrase = self._tokens(piece)
        return lambda draft: draft.write(phrase)


def _nothing(draft: Draft) -> None:
    del draft


def _word_list(name: str, known: Sequence[Phrase]) -> _Node:
    def node(draft: Draft) -> None:
        new = draft.new.get(name)
        # Rarely two per sentence: an unknown word is recognized by the known words around it.
        if new and draft.rng.random() < 0.25:
            draft.used_new = True
            draft.write(draft.rng.choice(new))
        else:
            draft.write(draft.rng.choice(known))

    return node


def _value(slot: str, inner: _Node) -> _Node:
    def node(draft: Draft) -> None:
        draft.slot = "B-" + slot
        inner(draft)
        draft.slot = ""

    return node


def _one_of(options: Sequence[_Node]) -> _Node:
    return lambda draft: draft.rng.choice(options)(draft)


def _all_of(items: Sequence[_Node]) -> _Node:
    def node(draft: Draft) -> None:
        for item in items:
            item(draft)

    return node


def _any_order(parts: Sequence[_Node]) -> _Node:
    def node(draft: Draft) -> None:
        for part in draft.rng.sample(parts, len(parts)):
            part(draft)

    return node


def without_stray(draft: Draft, comma: str, stops: str) -> Draft:
    """Removes commas at the ends of a sentence or before another punctuation mark.

    Such commas occur because clauses bring their own.
    """
    tokens: list[str] = []
    tags: list[str] = []
    for token, tag, after in zip(draft.tokens, draft.tags, [*draft.tokens[1:], comma], strict=True):
        if token != comma or (tokens and after not in stops):
            tokens.append(token)
            tags.append(tag)
    draft.tokens, draft.tags = tokens, tags
    return draft


def sentence(draft: Draft, intent: str) -> TaggedSentence:
    """Returns the example that a finished draft holds."""
    return TaggedSentence(tuple(draft.tokens), tuple(draft.tags), intent)
