"""A grammar that draws tagged sentences at random.

A symbol's text has one rule a line. In a rule a plain word stands for itself, and

    <name>        is any rule of the symbol `name`, or any phrase of the word list `name`;
    <name:key>    is the same with every `$` of those rules read as `key`;
    {slot:name}   is `<name>`, with what it yields tagged as one value of `slot`;
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
    """A word list of which some phrases are kept from the training split.

    Args:
        known: Phrases separated by commas; every split draws from them.
        new: Phrases separated by commas that only the later splits draw from.
    """

    known: str
    new: str = ""


@dataclass(slots=True)
class Draft:
    """A sentence while it is drawn.

    Args:
        rng: The source of chance.
        new: The held-out phrases that may be drawn, by the name of their word list.
    """

    rng: random.Random
    new: Mapping[str, Sequence[Phrase]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    slot: str = ""
    used_new: bool = False

    def write(self, phrase: Phrase) -> None:
        """Appends words, tagged with the slot that is open."""
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
    """Rules and word lists, read once and drawn from many times.

    Args:
        rules: The text of each symbol.
        words: The word lists, under names that no symbol has.
        split: Cuts one written word of a rule or of a word list into tokens.

    Raises:
        ValueError: A rule names a symbol that is not there, or its brackets do not match.

    Example:

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
        """Returns `draft` with one expansion of `symbol` appended to it."""
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
            raise ValueError(f"There is no symbol or word list {name!r}.")
        lines = [line for line in self.rules[name].replace("$", key).split("\n") if line.strip()]
        stack = _PIECE.findall(" | ".join(lines))[::-1]
        node = self._choice(stack)
        if stack:
            raise ValueError(f"Symbol {name!r} has a bracket too many.")
        return node

    def _choice(self, stack: list[str], closing: str = "") -> _Node:
        options = [self._shuffle(stack)]
        while stack and stack[-1] == "|":
            stack.pop()
            options.append(self._shuffle(stack))
        if closing and (not stack or stack.pop() != closing):
            raise ValueError(f"A rule lacks its {closing!r}.")
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
        # Rarely two in a sentence: the words around an unknown one are what it is told by.
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
    """Drops the commas that begin or end a sentence or stand before another stop.

    Clauses bring their own commas, so that two of them may meet.
    """
    tokens, tags = [], []
    for token, tag, after in zip(draft.tokens, draft.tags, [*draft.tokens[1:], comma], strict=True):
        if token != comma or (tokens and after not in stops):
            tokens.append(token)
            tags.append(tag)
    draft.tokens, draft.tags = tokens, tags
    return draft


def sentence(draft: Draft, intent: str) -> TaggedSentence:
    """Returns what was drawn as an example."""
    return TaggedSentence(tuple(draft.tokens), tuple(draft.tags), intent)
