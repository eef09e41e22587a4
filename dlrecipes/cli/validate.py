"""`dlrecipes validate RECIPE|FOLDER`: whether a recipe follows the contract."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from dlrecipes.cli.run import RESERVED
from dlrecipes.errors import RecipeError
from dlrecipes.recipe import Recipe
from dlrecipes.recipe.options import settings
from dlrecipes.recipe.registry import FILES, Source, find

METHODS = ("load_data", "build", "dataset")
SECTIONS = (
    "Task",
    "Data",
    "Run",
    "Results",
    "Export and serve",
    "Differences from the paper",
)


@click.command(name="validate")
@click.argument("recipe")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="YAML file of settings to check as well.",
)
def command(recipe: str, config_file: Path | None) -> None:
    """Check a recipe (a name, or a folder of your own): files, settings, code.

    If files, settings and class are right, the recipe is tried out: the model is
    built, trained for one step on a hundred examples, published to a temporary
    folder and asked for a prediction. Each problem is a line with its file and line.
    """
    source = find(recipe)
    problems = list(_problems(source))
    notes: list[str] = []
    settings: dict[str, Any] = {}
    if config_file is not None:
        try:
            config = source.config()
            settings = config.from_yaml(config_file)
            config.parse(settings, str(config_file))
        except RecipeError as error:
            problems.append(str(error))
    if not problems:
        from dlrecipes.runner.rehearsal import rehearse

        problems = rehearse(source, source.config().parse(settings).located(), notes)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise SystemExit(1)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{source.folder}: {source.name} follows the contract.")


def _problems(source: Source) -> Iterator[str]:
    # Only built-in recipes document themselves and keep their results.
    files = FILES if source.is_built_in else ()
    missing = [name for name in files if not (source.folder / name).is_file()]
    yield from (f"{source.folder / name}: this file is missing." for name in missing)
    checks = [_modules, _settings, _class]
    if source.is_built_in and not {"README.md", "results.csv"} & set(missing):
        checks.append(_readme)
    lines = set()
    for check in checks:
        for problem in _report(check, source):
            # A line that cannot be parsed fails every later check: report it once.
            line = re.match(r".*?:\d+: ", problem)
            if line is None or line[0] not in lines:
                yield problem
            lines |= {line[0]} if line else set()


def _report(check: Callable[[Source], Iterator[str]], source: Source) -> Iterator[str]:
    try:
        yield from check(source)
    except RecipeError as error:
        yield error.message


def _modules(source: Source) -> Iterator[str]:
    for path in sorted(source.folder.glob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}."
            continue
        except ValueError:
            yield f"{path}: not UTF-8."
            continue
        if path.name == "__init__.py" and not ast.get_docstring(tree):
            yield f"{path}: expected a docstring; 'dlrecipes list' prints its first line."
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            line = getattr(node, "lineno", 0)
            for name in names:
                if name.split(".")[0] == "recipes" or name.startswith("dlrecipes.recipes"):
                    yield (f"{path}:{line}: imports {name}; inside a recipe write 'from . import'.")


def _settings(source: Source) -> Iterator[str]:
    config = source.config()
    for about in settings(config):
        if about.name in (*RESERVED, "config", "help"):
            yield f"{source.folder / 'config.py'}: {about.name} is an option of 'run' itself."
        if not about.help:
            yield f"{source.folder / 'config.py'}: {about.name} has no line of help."
    config.parse({}, str(source.folder / "config.py"))


def _class(source: Source) -> Iterator[str]:
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    recipe: type[Recipe] = source.recipe()
    for name in METHODS:
        if getattr(getattr(recipe, name), "__isabstractmethod__", False):
            yield f"{source.folder / 'recipe.py'}: {recipe.__name__} has no {name}()."
    if getattr(recipe, "Config", None) is not source.config():
        yield f"{source.folder / 'recipe.py'}: {recipe.__name__}.Config is not config.py's class."


def _readme(source: Source) -> Iterator[str]:
    from dlrecipes.recipe.readme import updated

    path = source.folder / "README.md"
    text = path.read_text(encoding="utf-8", errors="replace")
    for section in SECTIONS:
        if f"## {section}\n" not in text:
            yield f"{path}: the section '## {section}' is missing."
    if updated(source.folder) != text:
        yield (
            f"{path}: its tables are not those of config.py and results.csv; "
            f"type: python -m tools.readme {shlex.quote(str(source.folder))}"
        )
