"""Vocabulary, arrays and associations of quatrains and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from dlrecipes.data.associations import associations
from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.encoding import OTHER, QuatrainEncoder

if TYPE_CHECKING:
    from dlrecipes.training import CharacterLanguageModel

SPECIAL = ("[start]", "[other]")


def vocabulary(texts: Iterable[str], minimum_count: int) -> list[str]:
    """Returns the start, 'other', and the characters that occur often enough, sorted."""
    counts = Counter(character for text in texts for character in text)
    return [*SPECIAL, *sorted(c for c, count in counts.items() if count >= minimum_count)]


# The encoder of a vocabulary, a tuple; its arrays are computed once.
encoder_for = cache(QuatrainEncoder)


def text_ids(model: CharacterLanguageModel, text: str) -> np.ndarray:
    """Returns the ids of a text, int32 of shape `(characters,)`."""
    ids = {character: number for number, character in enumerate(model.vocabulary)}
    return np.array([ids.get(character, OTHER) for character in text], "int32")


def encode(model: CharacterLanguageModel, examples: Sequence[Poem] | str) -> dict[str, np.ndarray]:
    """Returns the network's inputs and `targets` for poems, or for a text as one sequence."""
    if isinstance(examples, str):
        ids = text_ids(model, examples)[None]
        return {"characters": ids, "targets": np.pad(ids[:, 1:], ((0, 0), (0, 1)))}
    return encoder_for(tuple(model.vocabulary)).encode(examples)


def associate(
    poems: Sequence[Poem], vocabulary: Sequence[str], theme_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the characters that share poems with each character and theme: ids and strengths.

    Args:
        poems: Training poems.
        vocabulary: Characters by id.
        theme_names: Names of the themes, whose rows follow those of the characters.
    """
    rows = {name: row for row, name in enumerate([*vocabulary, *theme_names])}
    documents = [
        {rows[name] for name in (*"".join(poem.lines), poem.theme) if name in rows}
        for poem in poems
    ]
    return associations(documents, len(rows), len(vocabulary))
