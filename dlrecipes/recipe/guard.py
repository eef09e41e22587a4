"""Mistakes in a recipe of one's own: one line with the file and line where each can be mended."""

from __future__ import annotations

import ast
import contextlib
import errno
import functools
import inspect
import os
import re
import shlex
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrecipes.distribute import is_worker_failure
from dlrecipes.errors import PublishError, RecipeCodeError, RecipeError, UsageError, reason
from dlrecipes.recipe.base import Recipe
from dlrecipes.recipe.contract import CHECKS, ContractError

# Methods that every recipe writes, and those of them that others rest on by default.
_BASIS = {"evaluate": ("build", "dataset"), "signatures": ("build", "dataset")}
_ENVIRONMENT = "DLRECIPES_TRACEBACK"
# Attribute of a guarded recipe: the folder of its code.
_FOLDER = "_guarded_folder"


def guard(recipe: Recipe, folder: Path) -> Recipe:
    """Makes each method of a recipe name its file and line when something is wrong in it.

    The methods' results are checked against the contract (`dlrecipes.recipe.contract`). Errors
    that are meant for the user, such as `DataError`, remain as they are, and so do all errors if
    the environment has `DLRECIPES_TRACEBACK`.

    Args:
        recipe: The recipe; its methods are replaced.
        folder: Folder of its code.

    Returns:
        The same recipe.
    """
    setattr(recipe, _FOLDER, folder)
    for name in CHECKS:
        setattr(recipe, name, _guarded(recipe, name))
    return recipe


@dataclass(frozen=True)
class Predictions:
    """How a recipe predicts, and shows predictions.

    Args:
        predict: Function from a version, inputs and options to a list of predictions.
        present: Function from one prediction to text.
        independent_inputs: As `Recipe.independent_inputs`. Defaults to `True`.
    """

    predict: Callable[..., list[Any]]
    present: Callable[[Any], str]
    independent_inputs: bool = True


def guard_predictions(functions: Predictions, folder: Path) -> Predictions:
    """Returns the functions of a `predict.py` that name file and line when something is wrong.

    Args:
        functions: The functions.
        folder: Folder of the recipe's code.
    """
    return Predictions(
        _checked(functions.predict, "predict", folder),
        _checked(functions.present, "present", folder),
        functions.independent_inputs,
    )


def _checked(function: Callable[..., Any], name: str, folder: Path) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        try:
            return CHECKS[name](function(*args))
        except ContractError as error:
            raise RecipeCodeError(f"{_returned(function)}: {error}", _hint(folder)) from None
        except RecipeError:
            raise
        except Exception as error:
            if _is_raised_whole(error):
                raise
            raise _explained(error, folder, function) from error

    return call


@contextlib.contextmanager
def blame(recipe: Recipe, *methods: str) -> Iterator[None]:
    """Names the methods of a guarded recipe that can mend an error outside its own code.

    Args:
        recipe: Any recipe; nothing changes for one that is not guarded, such as a built-in one.
        *methods: Names of methods, the likeliest first.
    """
    folder = getattr(recipe, _FOLDER, None)
    if folder is None:
        yield
        return
    try:
        yield
    except (PublishError, UsageError) as error:
        if isinstance(error.__cause__, OSError) or _names_file(error.message):
            raise
        where = _place(error, folder) or _definition(_own(recipe, methods))
        raise type(error)(f"{where}: {error.message}", error.hint) from error
    except (RecipeError, OSError):
        raise
    except Exception as error:
        if _is_raised_whole(error):
            raise
        raise _explained(error, folder, _own(recipe, methods)) from error


def explain(error: Exception, folder: Path) -> RecipeCodeError | None:
    """Returns an error as one line if it was raised in a recipe's folder, else `None`.

    Args:
        error: Any error.
        folder: Folder of the recipe.
    """
    return _explained(error, folder, None) if _place(error, folder) else None


def definition(recipe: Recipe, *methods: str) -> str:
    """Returns file, line and name of the first of some methods that a recipe defines itself.

    Args:
        recipe: Any recipe.
        *methods: Names of methods.
    """
    return _definition(_own(recipe, methods))


def describe(error: Exception) -> str:
    """Returns the class and the message of an error in one line.

    Args:
        error: Any error.
    """
    kind, why = type(error).__name__, reason(error).rstrip(".")
    if isinstance(error, OSError) and error.filename:
        why = f"{error.filename}: {why}"
    return f"{kind}." if why == kind else f"{kind}: {why}."


def _guarded(recipe: Recipe, name: str) -> Callable[..., Any]:
    method, check = getattr(recipe, name), CHECKS[name]

    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        with _located(recipe, name):
            result = check(method(*args, **options), *args)
        # A generator raises its errors later.
        return _steps(recipe, name, result) if inspect.isgenerator(result) else result

    return call


def _steps(recipe: Recipe, name: str, generator: Iterator[Any]) -> Iterator[Any]:
    while True:
        with _located(recipe, name):
            try:
                value = next(generator)
            except StopIteration:
                return
        yield value


@contextlib.contextmanager
def _located(recipe: Recipe, name: str) -> Iterator[None]:
    folder = getattr(recipe, _FOLDER)
    try:
        yield
    except ContractError as error:
        function = _own(recipe, (error.method or name, *_BASIS.get(name, ())))
        place = _returned(function) if not error.method else _definition(function)
        raise RecipeCodeError(f"{place}: {error}", _hint(folder)) from None
    except RecipeError:
        raise
    except Exception as error:
        if _is_raised_whole(error):
            raise
        function = _own(recipe, (name, *_BASIS.get(name, ())))
        if function is None and not _place(error, folder):
            raise
        raise _explained(error, folder, function) from error


def _is_raised_whole(error: Exception) -> bool:
    """Returns whether an error is not the recipe's, or the user asked for the traceback."""
    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    lost_worker = "TF_CONFIG" in os.environ and is_worker_failure(error)
    return is_full or lost_worker or bool(os.environ.get(_ENVIRONMENT))


def _explained(error: Exception, folder: Path, function: Any) -> RecipeCodeError:
    where = _place(error, folder) or _definition(function)
    return RecipeCodeError(
        f"{where}: {describe(error)}", f"{_hint(folder)} {_ENVIRONMENT}=1 shows the traceback."
    )


def _hint(folder: Path) -> str:
    return f"Fix it; dlrecipes validate {shlex.quote(str(folder))} checks it."


def _own(recipe: Recipe, names: Sequence[str]) -> Any:
    """Returns the first of some methods that the recipe itself defines, or `None`."""
    for name in names:
        function = getattr(type(recipe), name, None)
        if function is not None and function is not getattr(Recipe, name, None):
            return inspect.unwrap(function)
    return None


def _definition(function: Any) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return "recipe.py"
    return f"{code.co_filename}:{code.co_firstlineno} ({function.__name__})"


def _returned(function: Any) -> str:
    """Returns the place of a function's only `return`, or of its definition."""
    code = getattr(function, "__code__", None)
    try:
        lines, first = inspect.getsourcelines(function)
        (tree,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return _definition(function)
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if len(returns) != 1 or code is None:
        return _definition(function)
    return f"{code.co_filename}:{first + returns[0].lineno - 1} ({function.__name__})"


def _place(error: BaseException, folder: Path) -> str:
    """Returns the innermost line of an error's origin in a folder, or `""`."""
    # TensorFlow's own code around the user's is in the message, not in the traceback.
    quoted = rf'File "({re.escape(str(folder))}{re.escape(os.sep)}[^"]+)", line (\d+)'
    if matches := re.findall(quoted, str(error)):
        return ":".join(matches[-1])
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        inside = [f for f in frames if Path(f.filename).is_relative_to(folder)]
        if inside:
            return f"{inside[-1].filename}:{inside[-1].lineno}"
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return ""


def _names_file(message: str) -> bool:
    return re.search(r"\.py:\d+", message) is not None
