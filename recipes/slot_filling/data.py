"""Sentences of slot filling: built in or the user's own, and their arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dlrecipes.data.few_examples import few_per_class
from dlrecipes.data.generated.travel import NEW_FRACTION, travel_queries
from dlrecipes.data.parts import PARTS
from dlrecipes.data.reports import DataReport
from dlrecipes.data.reports.text import add_sentences
from dlrecipes.data.sources import BUILTIN, load_source, source_name
from dlrecipes.data.tagged import NO_INTENT, TaggedSentence
from dlrecipes.data.tagged_text import read_tagged
from dlrecipes.errors import DataError
from dlrecipes.recipe import Splits

from .config import Config

if TYPE_CHECKING:
    import numpy as np

    from dlrecipes.training import SequenceTagger

# All sentences are padded to the longest one, so a single long sentence costs as much as ATIS.
MAX_WORDS = 1000
# Validation sentences of the built-in data; the test split has twice as many.
MAX_VALIDATION = 1000
TEST_SET = (
    f"They are made from the templates of the training queries, {NEW_FRACTION:.0%} of them with a "
    "name that training does not have; only sentences of no intent have templates of their own. "
    "Customers type more varied sentences."
)


def load(config: Config, problems: list[DataError] | None = None) -> Splits:
    """Returns the sentences that `--data` names.

    Args:
        config: The settings.
        problems: List that receives what is wrong with the file of a part, which is then empty.
            Defaults to `None`: it is raised.

    Raises:
        DataError: If a file cannot be read; the message names file and line.
        UsageError: If `--data` names a TFDS dataset.
    """
    held_out = min(max(100, config.examples // 8), MAX_VALIDATION)
    sizes = (config.examples, held_out, 2 * held_out)
    notes: list[str] = []
    columns = config.word_column, config.tag_column
    parts = load_source(
        config.data,
        builtin=lambda: travel_queries(config.language, config.seed, sizes, config.other),
        folder=lambda path: read_tagged(
            path, config.seed, *columns, notes=notes, problems=problems
        ),
        recipe="slot_filling",
        expected="a folder with train, valid and test",
    )
    few = few_per_class(_slots(parts[0]), "spans", "slots", "expect most of theirs to be missed")
    name = f"built-in travel queries, {config.language}, seed {config.seed}"
    facts = _describe(source_name(config.data, name), parts)
    return Splits(
        *parts,
        description=facts,
        notes=notes,
        training_notes=few,
        test_set=TEST_SET if config.data == BUILTIN else "",
    )


def check(config: Config) -> DataReport:
    """Returns the report on the sentences that `--data` names.

    Raises:
        DataError: If nothing can be read.
    """
    problems: list[DataError] = []
    splits = load(config, problems)
    report = DataReport(str(splits.description["name"]), notes=list(splits.notes))
    for problem in problems:
        report.add_error(problem)
    parts = {part: getattr(splits, part) for part in PARTS}
    add_sentences(report, {part: own for part, own in parts.items() if own}, MAX_WORDS)
    return report


def to_arrays(
    model: SequenceTagger, sentences: Sequence[TaggedSentence]
) -> tuple[np.ndarray, Mapping[str, np.ndarray], np.ndarray, Mapping[str, np.ndarray]]:
    """Returns arrays of sentences, padded to the longest one.

    Each word is encoded once: the n-grams of all sentences would take many times the memory.

    Returns:
        The row of each word in the encodings, of shape `(sentences, words)`; the targets by name,
        in which a tag or intent that the model does not know has the first unused id; the lengths;
        and the encoding of each row by the name of the network's input.
    """
    import numpy as np

    lengths = np.array([len(s.tokens) for s in sentences], np.int32)
    if lengths.max() > MAX_WORDS:
        start = " ".join(sentences[int(lengths.argmax())].tokens[:5])
        raise DataError(
            f"The data has a sentence of {lengths.max():,} words, which begins with {start!r}; "
            f"expected at most {MAX_WORDS:,} words.",
            "Is an empty line between sentences missing?",
        )
    words = sorted({word for s in sentences for word in s.tokens})
    encoded = model.encoder(pad([["", *words]]))
    numbers = {word: number for number, word in enumerate(words, start=1)}
    ids = {name: number for number, name in enumerate(model.tag_names)}
    rows, tags = np.zeros((2, len(sentences), lengths.max()), np.int32)
    for row, sentence in enumerate(sentences):
        rows[row, : lengths[row]] = [numbers[word] for word in sentence.tokens]
        tags[row, : lengths[row]] = [ids.get(tag, len(ids)) for tag in sentence.tags]
    targets = {"tags": tags}
    if model.intent_names:
        known = {name: number for number, name in enumerate(model.intent_names)}
        intents = [known.get(str(s.intent), len(known)) for s in sentences]
        targets["intent"] = np.array(intents, np.int32)
    return rows, targets, lengths, {name: encoded[name].numpy()[0] for name in model.input_names}


def pad(tokens: Sequence[Sequence[str]]):
    """Returns tokens as a string tensor of shape `(batch, time)`, padded with `""`."""
    import tensorflow as tf

    return tf.ragged.constant([list(row) for row in tokens], tf.string).to_tensor("")


def tag_names(sentences: Sequence[TaggedSentence]) -> list[str]:
    """Returns the tags by id: `O`, then `B-` and `I-` of each slot in alphabetical order."""
    slots = sorted({tag[2:] for s in sentences for tag in s.tags if tag != "O"})
    seen = {tag for s in sentences for tag in s.tags}
    return ["O", *(t for slot in slots for t in (f"B-{slot}", f"I-{slot}") if t in seen)]


def intent_names(sentences: Sequence[TaggedSentence]) -> list[str]:
    """Returns the intents by id; empty if a sentence has no intent."""
    if any(s.intent is None for s in sentences):
        return []
    return sorted({str(s.intent) for s in sentences})


def none_has_slots(sentences: Sequence[TaggedSentence]) -> bool:
    """Returns whether sentences of no intent may have slots, because one has, or none is known."""
    if NO_INTENT not in intent_names(sentences):
        return True
    return any(set(s.tags) != {"O"} for s in sentences if s.intent == NO_INTENT)


def vocabularies(model: SequenceTagger) -> dict[str, str]:
    """Returns vocabulary files by name; line `k`, counted from 0, has id `k`."""
    encoder = model.encoder
    lists = {
        "words.txt": ["[padding]", "[other]", *encoder.words],
        "tags.txt": model.tag_names,
    }
    if "ngrams" in model.input_names:
        lists["ngrams.txt"] = ["[padding]", "[other]", *encoder.ngrams]
    if model.intent_names:
        lists["intents.txt"] = model.intent_names
    return {name: "\n".join(lines) + "\n" for name, lines in lists.items()}


def export_notes(model: SequenceTagger) -> str:
    """Returns the part of the model card that explains how a sentence becomes ids."""
    encoder = model.encoder
    steps = ["in lower case"] if encoder.lowercase else []
    steps += ["with every digit replaced by 0"] if encoder.fold_digits else []
    split = {
        "words": "Words are separated by white space. `, ; ! ?` at the end of a word, the full "
        "stop at the end of the sentence (not `p.m.`) and each Chinese character are words as "
        "well.",
        "whitespace": "Words are separated by white space only.",
    }[encoder.tokenizer]
    lines = [
        'Signature: `tokens` and `tags` are padded with `""`.',
        "`model.tflite` takes the ids of one sentence of any length and returns line numbers of "
        "`assets.extra/tags.txt`" + (" and `intents.txt`." if model.intent_names else "."),
        "- `words`: the line number of each word in `assets.extra/words.txt`, counted from 0; 1 "
        f"for an unknown word. {split} They are looked up {' and '.join(steps) or 'unchanged'}.",
    ]
    if model.intent_threshold:
        lines.append(
            f"The intent is {NO_INTENT} if no intent's probability is at least "
            f"{model.intent_threshold:.3f}, a threshold that was chosen on validation."
        )
    if not model.none_has_slots:
        lines.append(
            f"A sentence whose most probable intent is {NO_INTENT} has no slots, as in training."
        )
    if "ngrams" in model.input_names:
        sizes = ", ".join(map(str, encoder.ngram_sizes))
        lines.append(
            "- `ngrams`: for each word, written `#word#`, the line numbers of its runs of "
            f"{sizes} characters in `assets.extra/ngrams.txt`; 1 for an unknown run or a word "
            "that is too short; padded with 0."
        )
    return "\n\n".join(lines)


def _slots(sentences: Sequence[TaggedSentence]) -> Counter[str]:
    """Returns the number of spans of each slot."""
    return Counter(tag[2:] for s in sentences for tag in s.tags if tag.startswith("B-"))


def _describe(name: str, parts: Sequence[Sequence[TaggedSentence]]) -> dict[str, str]:
    train, validation, test = parts
    slots = _slots(train)
    intents = intent_names(train)
    facts = {
        "name": name,
        "sentences": f"{len(train):,} train, {len(validation):,} validation, {len(test):,} test",
        "slots": f"{len(slots)}: {', '.join(slot for slot, _ in slots.most_common(30))}",
    }
    if len(intents) > 1:
        facts["intents"] = f"{len(intents)}: {', '.join(intents[:30])}"
    return facts
