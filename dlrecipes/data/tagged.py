"""A sentence whose words carry tags, and whose whole may carry an intent."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """One example of a tagging task.

    Args:
        tokens: The words, as they are written; at least one.
        tags: One BIO tag a word: `"O"`, `"B-city"`, `"I-city"`.
        intent: What the whole sentence asks for, or `None` where the data does not say.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str | None = None
