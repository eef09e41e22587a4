"""A sentence with a tag for each word and, optionally, an intent."""

from dataclasses import dataclass

# The intent of sentences that have none of the others.
NO_INTENT = "none"


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """One example of a tagging task.

    Args:
        tokens: Words as written; at least one.
        tags: One BIO tag per word: `"O"`, `"B-city"`, `"I-city"`.
        intent: Intent of the whole sentence. Defaults to `None`: the data has no intents.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    intent: str | None = None
