"""What a user can mend, as one line that says what is wrong and a hint that says what to do."""

import difflib
from collections.abc import Iterable

# What a shell reports of a process that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130
_BESIDE = ("Graph execution error", "Detected at node", "<stack traces", "[[", "File ")


class RecipeError(Exception):
    """A mistake or a failure that the user is told in one line, never as a traceback.

    Args:
        message: What is wrong, and where (the file and line where there is one).
        hint: What would be right, or what to type next.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(RecipeError):
    """A wrong name, option or value: exit code 2."""

    exit_code = 2


class DataError(RecipeError):
    """Data that cannot be read as it is: names the file, and the line where there is one."""


class TrainingDiverged(RecipeError):  # noqa: N818
    """The loss became NaN or infinite."""


class PublishError(RecipeError):
    """An export that failed, or that does not agree with the model it was made from."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Returns `"Did you mean 'x'?"` for the choice that is spelt most like `name`, else `""`.

    Example:

    >>> nearest("learning_rat", ["units", "learning_rate"])
    "Did you mean 'learning_rate'?"
    """
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {found[0]!r}?" if found else ""


def reason(error: Exception) -> str:
    """Returns in a line why something failed, of Python's errors and of TensorFlow's."""
    text = getattr(error, "strerror", None) or str(error)
    if "No space left" in text:
        return "the disk is full"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Beside the reason TensorFlow tells of places in the graph, of no use to whoever reads it.
    told = [line for line in lines if not line.startswith(_BESIDE)]
    return (told or lines or [type(error).__name__])[0][:200]
