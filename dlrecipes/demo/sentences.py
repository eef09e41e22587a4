"""A tab with a sentence, for models that tag its words."""

from __future__ import annotations

import gradio as gr
import numpy as np

from dlrecipes.demo.limits import MAX_TEXT, check_text
from dlrecipes.demo.model import Model, value_or, words
from dlrecipes.metrics import tag_spans

# Test sentences to choose from.
EXAMPLES = 6
SENTENCE = "leave Beijing on November 2nd"


def fits(model: Model) -> bool:
    """Returns whether a model tags the words of sentences."""
    return model.takes("", ["sentences"], ["tokens", "tags"])


def build(model: Model) -> None:
    """Lays out the tab."""
    sentence = gr.Textbox(SENTENCE, label="Sentence", submit_btn="Tag", max_length=MAX_TEXT)
    stored = words(np.array(model.stored_example("", "sentences")[:EXAMPLES], object))
    if stored:
        gr.Examples([[text] for text in stored if text], [sentence], label="Test sentences")
    slots = gr.HighlightedText(label="Slots", show_inline_category=True, combine_adjacent=False)
    intent = gr.Textbox(label="Intent", interactive=False)
    sentence.submit(
        lambda text: tag(model, text), sentence, [slots, intent], show_progress="minimal"
    )


def tag(model: Model, sentence: str | None) -> tuple[list[tuple[str, str | None]], str]:
    """Returns the pieces of a sentence with their slots, and its intent."""
    outputs = model.ask(sentences=[check_text(value_or(sentence, SENTENCE)).encode()])
    tokens, tags = words(outputs["tokens"][0]), words(outputs["tags"][0])
    tokens = [token for token in tokens if token]
    gap = "" if tokens and all(len(token) == 1 for token in tokens) else " "
    pieces: list[tuple[str, str | None]] = []
    position = 0
    for slot, start, end in tag_spans(tags[: len(tokens)]):
        pieces += [(token + gap, None) for token in tokens[position:start]]
        pieces.append((gap.join(tokens[start:end]), slot))
        position = end
    pieces += [(token + gap, None) for token in tokens[position:]]
    return pieces, words(outputs["intent"])[0] if "intent" in outputs else ""
