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

HAN = re.compile(r"[\u3400-\u9fff，。！？；、]")


def predictions(function: Any, inputs: Sequence[str]) -> list[str]:
    """Returns each sentence with its slots marked, and a line for each slot and the intent.

    Raises:
        UsageError: If a sentence is empty.
    """
    for number, sentence in enumerate(inputs, start=1):
        if not sentence.strip():
            raise UsageError(f"Sentence {number} is empty.", "Type some words in quotes.")
    found = {k: v.numpy() for k, v in function(sentences=tf.constant(list(inputs))).items()}
    return [
        _marked({name: value[row] for name, value in found.items()}) for row in range(len(inputs))
    ]


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
    figure = Figure(figsize=(15, 0.75 * len(rows) + 0.6), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(0, 150), ylim=(-len(rows), 0.5))
    axis.axis("off")
    title = f"Test sentences: {wrong} of {len(examples)} have a wrong tag (orange: the truth)"
    if not all(figures.has_font(token) for row in rows for token in examples[row].tokens):
        title += "\nNo installed font has Chinese: install one, such as Noto Sans CJK."
    axis.set_title(title)
    for line, row in enumerate(rows):
        _draw_sentence(axis, -line, examples[row], found[row])
    return figure


def _draw_sentence(axis, y: float, example: TaggedSentence, found: Sequence[str]) -> None:
    x = 0.0
    for token, truth, tag in zip(example.tokens, example.tags, found, strict=True):
        names = [tag] if truth == tag else [tag, truth]
        letters = len(token) * (1.6 if HAN.search(token) else 0.85)
        width = 1 + max(letters, *(0.52 * len(name) for name in names if name != "O"), 0)
        if x + width > 150:
            axis.text(x, y, "…", fontsize=9)
            return
        font = figures.text_font(token)
        axis.text(x, y, token, fontsize=9, weight="bold" if tag != "O" else "normal", **font)
        axis.text(x, y - 0.28, "" if tag == "O" else tag, fontsize=6, color=figures.BLUE)
        if truth != tag:
            axis.text(x, y - 0.5, truth, fontsize=6, color=figures.ORANGE)
        x += width


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
    steps = ["lower case"] if encoder.lowercase else []
    steps += ["every digit as 0"] if encoder.fold_digits else []
    ngrams = (
        f"\n- `ngrams`, int32 `(1, time, any)`: ids (`assets.extra/ngrams.txt`) of each word's "
        f"letter n-grams of length {', '.join(map(str, encoder.ngram_sizes))}, the word between "
        "two `#`; filled up with 0. The first id of a word is at least 1."
        if "ngrams" in model.input_names
        else ""
    )
    return f"""Raw sentences to the SavedModel, as TensorFlow Serving takes them:

```
curl -d '{{"inputs": ["leave Beijing on November 2nd"]}}' localhost:8501/v1/models/{name}:predict
```

```python
import tensorflow as tf
tag = tf.saved_model.load("saved_models/{name}/VERSION").signatures["serving_default"]
tag(sentences=tf.constant(["leave Beijing on November 2nd"]))["tags"]
```

Outputs: `tokens` and `tags` (padded with ""), `probabilities` of each tag{
        ", `intent` and `intent_probability`" if model.intent_names else ""
    }.

`model.tflite` takes one sentence of any length, signature `serving_default`:

- `words`, int32 `(1, time)`: line numbers, from 0, in `assets.extra/words.txt`; an unknown word
  is 1. Words are looked up {"in " + " and with ".join(steps) if steps else "as they are"}.{ngrams}

It returns `tags`, int32 `(1, time)`, line numbers in `assets.extra/tags.txt`, and their
`probabilities`."""
