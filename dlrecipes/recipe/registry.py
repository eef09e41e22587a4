"""Finds recipes: built in, installed by other packages (entry points), or in a folder."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import traceback
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from dlrecipes._utils.quiet import load_tensorflow
from dlrecipes.errors import RecipeError, UsageError, nearest
from dlrecipes.recipe.base import Recipe
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.guard import Predictions, explain, guard, guard_predictions
from dlrecipes.recipe.options import Options

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

BUILT_IN = "dlrecipes.recipes"
ENTRY_POINTS = "dlrecipes.recipes"
# Folders of recipes that are not built in, of which modules were imported.
_OWN_FOLDERS: set[Path] = set()
FILES = ("__init__.py", "config.py", "data.py", "recipe.py", "README.md", "results.csv")


@dataclass(frozen=True)
class Source:
    """A recipe's location; its modules are imported when they are used.

    Args:
        name: Name of the recipe.
        package: Package that it is imported as.
        folder: Folder of its files.
    """

    name: str
    package: str
    folder: Path

    @property
    def summary(self) -> str:
        """The first line of the package's docstring, read without importing it."""
        try:
            tree = ast.parse((self.folder / "__init__.py").read_text(encoding="utf-8"))
        except (OSError, SyntaxError, UnicodeDecodeError):
            return ""
        return (ast.get_docstring(tree) or "").split("\n", 1)[0]

    def config(self) -> type[RecipeConfig]:
        """Returns the recipe's configuration class, without loading TensorFlow."""
        return _only(self._module("config"), RecipeConfig)

    def predict_options(self) -> type[Options] | None:
        """Returns the recipe's `PredictOptions`; `None` if it declares none."""
        return getattr(self._module("config"), "PredictOptions", None)

    def prepare(
        self, version: ModelVersion, inputs: Sequence[str], options: Options | None
    ) -> list[str]:
        """Returns the inputs of a prediction after the checks that need no TensorFlow.

        These are the function `prepare` of the recipe's `predict.py`, if it has one; it may also
        replace a folder by its files.

        Args:
            version: Published version.
            inputs: Inputs as the user typed them.
            options: Validated `PredictOptions`; `None` for a recipe without that class.

        Raises:
            RecipeError: If an input is missing or does not fit.
        """
        if not (self.folder / "predict.py").is_file():
            return list(inputs)
        prepare = getattr(self._module("predict"), "prepare", None)
        return list(inputs) if prepare is None else prepare(version, inputs, options)

    def predictions(self, config: RecipeConfig) -> Predictions:
        """Returns the functions `predict` and `present` of a recipe.

        They are those of `predict.py`, which needs no TensorFlow, if it has both; else the methods
        of the recipe's class.

        Args:
            config: The settings of the published version.
        """
        if (self.folder / "predict.py").is_file():
            module = self._module("predict")
            if hasattr(module, "predict") and hasattr(module, "present"):
                independent = getattr(module, "INDEPENDENT_INPUTS", True)
                functions = Predictions(module.predict, module.present, independent)
                return functions if self.is_built_in else guard_predictions(functions, self.folder)
        recipe = self.make(config)
        return Predictions(recipe.predict, recipe.present, recipe.independent_inputs)

    def recipe(self) -> type[Recipe]:
        """Returns the recipe's class."""
        return _only(self._module("recipe"), Recipe)

    def make(self, config: RecipeConfig) -> Recipe:
        """Returns the recipe with its settings; loads TensorFlow, without its messages."""
        load_tensorflow()
        make = self.recipe()
        if self.is_built_in:
            return make(config, self.name)
        with _explained(self.folder):
            return guard(make(config, self.name), self.folder)

    @property
    def argument(self) -> str:
        """The recipe as it is typed on the command line: a name, or a folder."""
        return self.name if self.is_built_in else str(self.folder)

    @property
    def is_built_in(self) -> bool:
        """Whether the recipe is part of this package."""
        return self.package.startswith(f"{BUILT_IN}.")

    def _module(self, name: str) -> ModuleType:
        try:
            if self.package not in sys.modules and not self.package.startswith(BUILT_IN):
                _register(self.package, self.folder)
            return importlib.import_module(f"{self.package}.{name}")
        except Exception as error:
            if os.environ.get("DLRECIPES_TRACEBACK"):
                raise
            raise UsageError(
                f"{_place(error, self.folder, name)}: {type(error).__name__}: {_first(error)}.",
                f"Fix it, then type: dlrecipes validate {self.folder}",
            ) from error


def sources() -> list[Source]:
    """Returns the recipes that are known by name, sorted by name."""
    recipes = {}
    spec = importlib.util.find_spec(BUILT_IN)
    for root in (spec.submodule_search_locations if spec else None) or ():
        for folder in Path(root).iterdir():
            if (folder / "recipe.py").is_file():
                recipes[folder.name] = Source(folder.name, f"{BUILT_IN}.{folder.name}", folder)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            spec = importlib.util.find_spec(entry.module)
        except Exception:  # one broken package must not hide the others
            continue
        for root in (spec.submodule_search_locations or ()) if spec else ():
            recipes[entry.name] = Source(entry.name, entry.value, Path(root))
    return [recipes[name] for name in sorted(recipes)]


def find(name: str) -> Source:
    """Returns the recipe of a name or in a folder.

    Args:
        name: Name that `dlrecipes list` prints, or path of a folder.

    Raises:
        UsageError: If there is none; the message suggests the nearest name.
    """
    known = {source.name: source for source in sources()}
    if name in known:
        return known[name]
    try:
        folder = Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"{name}: there is no such home folder.") from None
    if name and folder.is_dir():
        return _in_folder(folder)
    if "/" in name or name.startswith("."):
        raise UsageError(f"{name}: there is no such folder.", _here(folder))
    hint = nearest(name, known) or "'dlrecipes list' shows them."
    raise UsageError(f"Unknown recipe {name!r}.", hint)


def _in_folder(folder: Path) -> Source:
    folder = folder.resolve()
    missing = [
        file for file in ("__init__.py", "config.py", "recipe.py") if not (folder / file).is_file()
    ]
    if missing:
        raise UsageError(
            f"{folder}: not a recipe: it has no {', no '.join(missing)}.",
            "'dlrecipes new FOLDER' writes one.",
        )
    plain = "".join(c if c.isalnum() else "_" for c in folder.name)
    # Two folders with the same name are different packages.
    package = f"dlrecipes_folder_{plain}_{zlib.crc32(os.fsencode(folder)):08x}"
    return Source(folder.name, package, folder)


def _here(folder: Path) -> str:
    near = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
    return nearest(folder.name, near)


def explain_own_code(error: Exception) -> RecipeError | None:
    """Returns an error as one line if it was raised in a recipe of the user's, else `None`.

    Args:
        error: Any error.
    """
    for folder in sorted(_OWN_FOLDERS):
        if explained := explain(error, folder):
            return explained
    return None


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except RecipeError:
        raise
    except Exception as error:
        if os.environ.get("DLRECIPES_TRACEBACK"):
            raise
        raise explain(error, folder) or error from error


def _register(package: str, folder: Path) -> None:
    _OWN_FOLDERS.add(folder)
    if importlib.util.find_spec(package) is not None:
        return
    spec = importlib.util.spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[package]
        raise


def _only(module: ModuleType, base: type) -> type:
    own = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member is not base and member.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(c.__name__ for c in own) or "none"
        raise UsageError(
            f"{module.__file__}: expected one class derived from {base.__name__}, got {names}."
        )
    return own[0]


def _place(error: Exception, folder: Path, name: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if Path(f.filename).is_relative_to(folder)]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else str(folder / f"{name}.py")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")
