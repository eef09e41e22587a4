"""Predictions of slot filling: from sentences to slots."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import UsageError
from dlrecipes.metrics import tag_spans
from dlrecipes.recipe.prediction import check_texts

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

BATCH = 64
HAN = re.compile(r"[\u3400-\u9fff，。！？；、]")


def prepare(version: ModelVersion, sentences: Sequence[str], options: None = None) -> list[str]:
    """Returns sentences as they are, none of which is empty; does not load TensorFlow.

    Args:
        version: Published version.
        sentences: Raw sentences.
        options: No options. Defaults to `None`.

    Raises:
        UsageError: If a sentence is empty.
    """
    check_texts(sentences, "a sentence")
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            raise UsageError(f"Sentence {number} is empty.", "Give a sentence in quotes.")
    return list(sentences)


def predict(
    version: ModelVersion, sentences: Sequence[str], options: None = None
) -> list[dict[str, Any]]:
    """Returns tokens, tags, slots and intent of each sentence.

    Args:
        version: Published version.
        sentences: Raw sentences.
        options: No options. Defaults to `None`.

    Raises:
        UsageError: If a sentence is empty.
    """
    prepare(version, sentences)
    # Sentences of similar length share a batch, so that a long one does not pad many short ones.
    order = sorted(range(len(sentences)), key=lambda row: len(sentences[row]))
    predictions: dict[int, dict[str, Any]] = {}
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        outputs = version.call(sentences=[sentences[row] for row in rows])
        for number, row in enumerate(rows):
            predictions[row] = _prediction({name: x[number] for name, x in outputs.items()})
    return [predictions[row] for row in range(len(sentences))]


def _prediction(outputs: Mapping[str, Any]) -> dict[str, Any]:
    tokens = [token.decode() for token in outputs["tokens"] if token]
    tags = [tag.decode() for tag in outputs["tags"][: len(tokens)]]
    probabilities = outputs["probabilities"]
    slots = [
        {
            "slot": slot,
            "text": join(tokens[start:end]),
            "start": start,
            "end": end,
            # The probability of a span is the one of its least probable word.
            "probability": float(probabilities[start:end].min()),
        }
        for slot, start, end in tag_spans(tags)
    ]
    prediction: dict[str, Any] = {"tokens": tokens, "tags": tags, "slots": slots}
    if "intent" in outputs:
        prediction["intent"] = outputs["intent"].decode()
        prediction["intent_probability"] = float(outputs["intent_probability"])
    return prediction


def present(prediction: Mapping[str, Any]) -> str:
    """Returns a sentence with its slots marked, and one line per slot and for the intent."""
    tokens, pieces, end = prediction["tokens"], [], 0
    rows = []
    for slot in prediction["slots"]:
        pieces += [*tokens[end : slot["start"]], f"[{slot['text']}]({slot['slot']})"]
        end = slot["end"]
        rows.append((slot["slot"], slot["text"], slot["probability"]))
    pieces += tokens[end:]
    if "intent" in prediction:
        rows.append(("intent", prediction["intent"], prediction["intent_probability"]))
    width = max((len(name) for name, _, _ in rows), default=0)
    lines = [f"  {name:<{width}}  {value:.2f}  {text}" for name, text, value in rows]
    return "\n".join([join(pieces), *lines])


def join(tokens: Sequence[str]) -> str:
    """Returns tokens as a sentence: no space next to a Chinese character or before a comma."""
    text = ""
    for token in tokens:
        edge = text[-1:] + token[:1]
        close = HAN.search(edge) or re.match(r"[,;!?.]+$", token)
        text += token if not text or close else f" {token}"
    return text
