"""User-facing errors: one line that says what is wrong, and a hint that says what to do."""

import difflib
import re
from collections.abc import Iterable

# The exit status that a shell reports for a process ended by Ctrl-C: 128 + SIGINT.
INTERRUPTED = 130
# TensorFlow and Keras surround the reason with positions, which do not help the reader.
_POSITIONS = (
    "Graph execution error",
    "Detected at node",
    "<stack traces",
    "[[",
    "File ",
)
_KERAS_HEADING = "Exception encountered when calling"
# The error under the lines of code that led to it.
_IN_USER_CODE = re.compile(r"^in user code:.*?\n\s*\w+: (?=\S)", re.DOTALL)
# Colours of a terminal, and the name of a function in the graph.
_DECORATION = re.compile(r"\x1b\[\d*m|\{\{.*?\}\} ?")
# The message of one of TensorFlow's assertions.
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\](?: \[|$)")


class RecipeError(Exception):
    """A mistake or failure that is reported to the user in one line, never as a traceback.

    Args:
        message: The problem and its place: the file and the line, if known.
        hint: The correct form, or the command to type next. Defaults to no hint.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint
        # All problems of the kind, if several were found at once: `dlrecipes run --check` lists
        # them.
        self.problems: tuple[RecipeError, ...] = (self,)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(RecipeError):
    """A wrong name, option or value; the exit code is 2."""

    exit_code = 2


class DataError(RecipeError):
    """Data that cannot be read as given; the message names the file and, if known, the line."""


class TrainingDiverged(RecipeError):  # noqa: N818
    """The loss became NaN or infinite."""


class RecipeCodeError(RecipeError):
    """A mistake in the code of a user's recipe; the message names the file and the line."""


class PublishError(RecipeError):
    """An export that failed, or whose outputs differ from those of its model."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Returns `"Did you mean 'x'?"` for the choice that is spelt most like `name`, or `""`.

    Args:
        name: The name that was typed.
        choices: The valid names.

    Example:

    >>> from dlrecipes.errors import nearest
    >>> nearest("learning_rat", ["units", "learning_rate"])
    "Did you mean 'learning_rate'?"
    """
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def raise_first(problems: Iterable[RecipeError]) -> None:
    """Raises the first of the problems, if any, with the number of others that share its hint.

    Args:
        problems: Errors of one class.
    """
    problems = list(problems)
    if not problems:
        return
    first = problems[0]
    others = sum(problem.hint == first.hint for problem in problems) - 1
    more = f" (and {others} more like it)." if others else "."
    error = type(first)(first.message.removesuffix(".") + more, first.hint)
    error.problems = tuple(each for problem in problems for each in problem.problems)
    raise error


def reason(error: Exception) -> str:
    """Returns in one line why something failed, for Python's and for TensorFlow's errors.

    Args:
        error: The error that was raised.
    """
    key = isinstance(error, KeyError) and len(error.args) == 1 and str(error.args[0])
    text = getattr(error, "strerror", None) or key or str(error)
    if _KERAS_HEADING in text:
        # The text of a KeyError has its line breaks escaped.
        text = text.replace("\\n", "\n").replace("\\x1b", "\x1b")
    text = _IN_USER_CODE.sub("", _DECORATION.sub("", text))
    if "No space left" in text:
        return "the disk is full"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [
        line for line in lines if not line.startswith(_POSITIONS) and _KERAS_HEADING not in line
    ]
    first = (reasons or lines or [type(error).__name__])[0]
    assertion = _ASSERTION.search(first)
    line = (assertion[1] if assertion else first)[:200]
    return f"there is no {line!r}" if key and len(line.split()) == 1 else line
