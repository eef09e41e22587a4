"""What slot filling shows: marked sentences, figures, and how its files are used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes import figures
from dlrecipes.data.tagged import TaggedSentence
from dlrecipes.errors import UsageError
from dlrecipes.metrics import tag_spans
from dlrecipes.training import SequenceTagger

PREDICTION_BATCH = 64
HAN = re.compile(r"[\u3400-\u9fff，。！？；、]")


def predictions(function: Any, inputs: Sequence[str]) -> list[str]:
    """Returns each sentence with its slots marked, and a line for each slot and the intent.

    Raises:
        UsageError: If a sentence is empty.
    """
    for number, sentence in enumerate(inputs, start=1):
        if not sentence.strip():
            raise UsageError(f"Sentence {number} is empty.", "Type some words in quotes.")
    # In batches of about one length: one long sentence must not blow up a thousand short ones.
    order = sorted(range(len(inputs)), key=lambda row: len(inputs[row]))
    marked = {}
    for start in range(0, len(order), PREDICTION_BATCH):
        rows = order[start : start + PREDICTION_BATCH]
        found = function(sentences=tf.constant([inputs[row] for row in rows]))
        found = {name: value.numpy() for name, value in found.items()}
        for place, row in enumerate(rows):
            marked[row] = _marked({name: value[place] for name, value in found.items()})
    return [marked[row] for row in range(len(inputs))]


def _marked(found: dict[str, Any]) -> str:
    tokens = [t.decode() for t in found["tokens"] if t]
    tags = [t.decode() for t in found["tags"][: len(tokens)]]
    spans = tag_spans(tags)
    pieces, done = [], 0
    rows = []
    for slot, start, end in spans:
        text = join(tokens[start:end])
        # Of several words the least certain one is what the whole stands on.
        rows.append((slot, text, float(np.min(found["probabilities"][start:end]))))
        pieces += [*tokens[done:start], f"[{text}]({slot})"]
        done = end
    pieces += tokens[done:]
    if "intent" in found:
        rows.append(("intent", found["intent"].decode(), float(found["intent_probability"])))
    width = max((len(name) for name, _, _ in rows), default=0)
    lines = [f"  {name:<{width}}  {chance:.2f}  {text}" for name, text, chance in rows]
    return "\n".join([join(pieces), *lines])


def join(tokens: Sequence[str]) -> str:
    """Returns tokens as a sentence: no space beside a Chinese character or before a comma."""
    text = ""
    for token in tokens:
        edge = text[-1:] + token[:1]
        close = HAN.search(edge) or re.match(r"[,;!?.]+$", token)
        text += token if not text or close else f" {token}"
    return text


def slot_confusion(
    gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], most: int = 20
) -> tuple[list[str], np.ndarray]:
    """Returns the slots most often confused, and how often each word of one was taken for another.

    Args:
        gold: Tags of each sentence.
        found: The predicted tags.
        most: Number of slots at the most; the others count as one, `(other)`.
    """
    pairs = Counter(
        (a.partition("-")[2] or "O", b.partition("-")[2] or "O")
        for truth, guess in zip(gold, found, strict=True)
        for a, b in zip(truth, guess, strict=True)
    )
    weight = Counter()
    for (a, b), count in pairs.items():
        for slot in (a, b):
            weight[slot] += (a != b) * 1000 * count + count
    names = sorted(slot for slot, _ in weight.most_common(most))
    names += ["(other)"] if len(weight) > most else []
    place = {name: row for row, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), int)
    for (a, b), count in pairs.items():
        counts[place.get(a, len(names) - 1), place.get(b, len(names) - 1)] += count
    return names, counts


def tagged_sentences(
    examples: Sequence[TaggedSentence], found: Sequence[Sequence[str]], most: int = 12
) -> Figure:
    """Draws sentences with their slots, the wrong ones first; a wrong tag has its truth below."""
    right = [list(e.tags) == list(f) for e, f in zip(examples, found, strict=True)]
    # Short ones fit the page.
    order = sorted(range(len(right)), key=lambda i: (right[i], len(examples[i].tokens) > 18))
    wrong = right.count(False)
    rows = order[: min(most // 2, wrong)]
    rows += order[wrong : wrong + most - len(rows)]
    title = f"Test sentences: {wrong} of {len(examples)} have a wrong tag (orange: the truth)"
    if not all(figures.has_font(token) for row in rows for token in examples[row].tokens):
        title += "\nNo installed font has Chinese: install one, such as Noto Sans CJK."
    lines = [_laid_out(examples[row], found[row]) for row in rows]
    width = max(x for line in lines for x, *_ in line) + 12
    figure = Figure(figsize=(max(0.1 * width, 6), 0.6 * len(rows) + 0.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, width), ylim=(-len(rows), 0.5), title=title)
    axis.axis("off")
    for y, line in enumerate(lines):
        for x, token, tag, truth in line:
            weight = "bold" if tag != "O" else "normal"
            font = figures.text_font(token)
            axis.text(x, -y, token, fontsize=9, weight=weight, **font)
            axis.text(x, -y - 0.3, "" if tag == "O" else tag, fontsize=6, color=figures.BLUE)
            if truth != tag:
                axis.text(x, -y - 0.55, truth, fontsize=6, color=figures.ORANGE)
    return figure


def _laid_out(
    example: TaggedSentence, found: Sequence[str], widest: float = 140
) -> list[tuple[float, str, str, str]]:
    """Returns where each word stands (in tenths of an inch), with its tag and the true one."""
    placed, x = [], 0.0
    for token, truth, tag in zip(example.tokens, example.tags, found, strict=True):
        if x > widest:
            return [*placed, (x, "…", "O", "O")]
        placed.append((x, token, tag, truth))
        bold = 1.08 if tag != "O" else 1
        letters = len(token) * (1.4 if HAN.search(token) else 0.78) * bold
        tags = [name for name in {tag, truth} if name != "O"]
        x += 0.9 + max(letters, *(0.52 * len(name) for name in tags), 0)
    return placed


def files(model: SequenceTagger) -> dict[str, str]:
    """Returns the vocabularies, one entry a line; line `k` (from 0) has id `k`."""
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


def usage(model: SequenceTagger, name: str) -> str:
    """Returns how the published files are called, in Markdown."""
    encoder = model.encoder
    steps = ["in lower case"] if encoder.lowercase else []
    steps += ["with every digit as 0"] if encoder.fold_digits else []
    split = {
        "words": "Words are split at white space; `, ; ! ?` at a word's end and the full stop that "
        "ends the sentence (not `p.m.`) are words, and so is each Chinese character.",
        "whitespace": "Words are split at white space and nowhere else.",
    }[encoder.tokenizer]
    intent = ", `intent` and `intent_probability`" if model.intent_names else ""
    lines = [
        "Raw sentences to the SavedModel, as TensorFlow Serving takes them, or from this folder:",
        '```\ncurl -d \'{"inputs": ["leave Beijing on November 2nd"]}\' '
        f"localhost:8501/v1/models/{name}:predict\n```",
        "```python\nimport tensorflow as tf\n"
        'tag = tf.saved_model.load(".").signatures["serving_default"]\n'
        'tag(sentences=tf.constant(["arrive Beijing at 7 p.m."]))["tags"]\n```',
        f'It returns `tokens` and `tags` (padded with ""), the tags\' `probabilities`{intent}.',
        "`model.tflite` takes the ids of one sentence of any length:",
        "```python\nfrom ai_edge_litert.interpreter import Interpreter\n"
        'tag = Interpreter("model.tflite").get_signature_runner("serving_default")\n'
        f"tag({', '.join(f'{one}={one}' for one in model.input_names)})\n```",
        f"- `words`, int32 `(1, time)`: each word's line number, from 0, in "
        f"`assets.extra/words.txt`; 1 where it is not there. {split} "
        f"They are looked up {' and '.join(steps) or 'as they are'}.",
    ]
    if "ngrams" in model.input_names:
        sizes = ", ".join(map(str, encoder.ngram_sizes))
        lines.append(
            "- `ngrams`, int32 `(1, time, any)`: for each word, written `#word#`, the line numbers "
            f"in `assets.extra/ngrams.txt` of its runs of {sizes} characters; 1 where one is not "
            "there, or where the word is too short to have any; filled up with 0."
        )
    lines.append(
        "It returns `tags`, line numbers in `assets.extra/tags.txt`, and their `probabilities`"
        + (", and `intent`, a line number in `assets.extra/intents.txt`." if intent else ".")
    )
    return "\n\n".join(lines)
