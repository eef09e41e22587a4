"""Names of a published model's inputs and outputs: valid in every format, and unique."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TypeVar

from dlrecipes.errors import PublishError

T = TypeVar("T")

# The name of an input without a name of its own.
UNNAMED = "input"


def input_names(names: Iterable[str]) -> list[str]:
    """Returns names of inputs that SavedModel, LiteRT and ONNX files keep unchanged.

    TensorFlow passes the inputs of a signature as arguments of a function. It replaces some
    characters of their names in the SavedModel, and rejects other names. The rule here is
    TensorFlow's, completed: ASCII letters, digits and `_` are kept, letters lose their accents,
    and other characters become `_`; `arg_` is put before a name that does not begin with a letter,
    and `_` after a reserved word of Python. A name without ASCII letters and digits is `input`.
    Names that differ only in case are the same to TensorFlow; later ones get a number.

    Args:
        names: Names in the order of the inputs.

    Example:

    >>> from dlrecipes.export.names import input_names
    >>> input_names(["User-ID", "1st", "class", "prénom", "User_ID"])
    ['User_ID_1', 'arg_1st', 'class_', 'prenom', 'User_ID']
    """
    given = list(names)
    valid = [_valid(name) for name in given]
    # Valid names keep their form, even if the form of another name is the same.
    first = [k for k, name in enumerate(given) if valid[k] == name]
    order = first + [k for k in range(len(given)) if k not in first]
    numbered = unique_names((valid[k] for k in order), ignore_case=True)
    by_position = dict(zip(order, numbered, strict=True))
    return [by_position[k] for k in range(len(given))]


def unique_names(names: Iterable[str], *, ignore_case: bool = False) -> list[str]:
    """Returns the names in the same order; each repeated one gets a number, as in Keras.

    Args:
        names: Names in order.
        ignore_case: Whether names that differ only in case are repeated. Defaults to `False`.

    Example:

    >>> from dlrecipes.export.names import unique_names
    >>> unique_names(["lstm", "lstm", "lstm_1", "lstm"])
    ['lstm', 'lstm_2', 'lstm_1', 'lstm_3']
    """
    given = list(names)
    fold = str.casefold if ignore_case else str
    taken: set[str] = set()
    reserved = {fold(name) for name in given}
    unique = []
    for name in given:
        proposal, number = name, 0
        while fold(proposal) in taken or (number and fold(proposal) in reserved):
            number += 1
            proposal = f"{name}_{number}"
        taken.add(fold(proposal))
        unique.append(proposal)
    return unique


def by_name(what: str, names: Sequence[str], values: Sequence[T]) -> dict[str, T]:
    """Returns values by name, without losing one whose name is repeated.

    Args:
        what: File or model with the names, for the error message.
        names: Names.
        values: Values in the same order.

    Raises:
        PublishError: If a name is repeated, or the numbers of names and values differ.
    """
    if len(names) != len(values):
        raise PublishError(f"{what}: {len(values)} values for {len(names)} names.")
    named = dict(zip(names, values, strict=True))
    if len(named) < len(values):
        repeated = next(name for name in names if list(names).count(name) > 1)
        raise PublishError(f"{what}: several tensors are named {repeated}.")
    return named


def _valid(name: str) -> str:
    plain = "".join(_plain(character) for character in name)
    if not plain.strip("_"):
        return UNNAMED
    if not plain[0].isalpha():
        plain = f"arg_{plain}"
    # TensorFlow's own functions have an argument `self`.
    return f"{plain}_" if keyword.iskeyword(plain) or plain == "self" else plain


def _plain(character: str) -> str:
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if part.isascii() and part.isalnum()) or "_"
