"""A rehearsal of a run: one step on few examples, published and asked in a temporary folder."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.parts import PARTS
from dlrecipes.errors import RecipeError, nearest
from dlrecipes.export.signatures import Exports
from dlrecipes.recipe.base import Splits, batches_and_steps
from dlrecipes.recipe.config import RecipeConfig
from dlrecipes.recipe.example_files import StandardInput
from dlrecipes.recipe.guard import definition, describe, explain, guard
from dlrecipes.recipe.options import Options
from dlrecipes.recipe.registry import Source
from dlrecipes.runner.model_card import flatten_metrics
from dlrecipes.runner.run import Result
from dlrecipes.runner.run import run as run_recipe

# Examples of each part; a part of a text is used whole.
EXAMPLES = 100


def rehearse(source: Source, config: RecipeConfig, notes: list[str] | None = None) -> list[str]:
    """Returns what is wrong with a recipe's code, found by a run of a single step.

    The model is built for all data. Then everything that a run does is done with the first hundred
    examples of each part: batches, a training step, metrics, figures, a version that is published
    and verified, and a prediction. All files are in a temporary folder.

    Args:
        source: The recipe.
        config: Its settings.
        notes: List that receives what could not be tried. Defaults to `None`.

    Returns:
        Lines with file and line of the recipe; none if it runs.
    """
    try:
        rehearsal = _Rehearsal(source, config)
        problems = rehearsal.try_out(few=True)
        if problems and rehearsal.shortened:
            # Perhaps only because of the few examples: such as full batches alone.
            problems = rehearsal.try_out(few=False)
    except RecipeError as error:
        return [error.message]
    if notes is not None:
        notes += rehearsal.notes
    return problems


class _Rehearsal:
    def __init__(self, source: Source, config: RecipeConfig):
        self.source = source
        # A recipe of one's own is guarded by its source.
        self.recipe = source.make(config.model_copy(update={"epochs": 1}))
        if source.is_built_in:
            guard(self.recipe, source.folder)
        # The methods of the class are replaced for this object.
        self.own = {
            name: getattr(self.recipe, name)
            for name in ("load_data", "build", "dataset", "figures", "signatures")
        }
        self.whole: Splits = self.own["load_data"]()
        self.splits = self.whole
        self.exports: Exports | None = None
        self.figure_errors: list[str] = []
        self.notes: list[str] = []

    @property
    def shortened(self) -> bool:
        """Whether the last rehearsal used only a part of the examples."""
        return self.splits is not self.whole

    def try_out(self, few: bool) -> list[str]:
        """Returns what went wrong in a run of one step."""
        self.splits = self._few() if few else self.whole
        self.figure_errors, self.notes = [], []
        recipe: Any = self.recipe
        recipe.load_data = lambda: dataclasses.replace(self.splits, notes=(), training_notes=())
        # Vocabularies and classes come from all training examples.
        recipe.build = lambda splits: self.own["build"](self.whole)
        recipe.dataset, recipe.figures = self._one_step, self._figures
        recipe.signatures = self._signatures
        with tempfile.TemporaryDirectory(prefix="dlrecipes-") as place:
            folder = Path(place) / "run"
            folder.mkdir()
            try:
                with _silent():
                    result = run_recipe(recipe, folder, Path(place) / "models")
                    with _working_directory(Path(place)):
                        self._predict(result)
            except RecipeError as error:
                return [error.message, *self.figure_errors]
            except Exception as error:
                explained = explain(error, self.source.folder)
                where = self.source.folder / "recipe.py"
                return [explained.message if explained else f"{where}: {describe(error)}"]
            return [*self.figure_errors, *self._objective(result)]

    def _few(self) -> Splits:
        size = max(EXAMPLES, 2 * self.recipe.config.batch_size)

        def shorten(examples: Any) -> Any:
            if isinstance(examples, str) or len(examples) <= size:
                return examples
            first = examples[:size]
            # A slice may lack what the examples' class adds.
            return first if type(first) is type(examples) else examples

        parts = {name: shorten(getattr(self.whole, name)) for name in PARTS}
        if all(part is getattr(self.whole, name) for name, part in parts.items()):
            return self.whole
        return dataclasses.replace(self.whole, **parts)

    def _one_step(self, model: Any, examples: Any, start_epoch: int | None = None) -> Any:
        returned = self.own["dataset"](model, examples, start_epoch)
        if start_epoch is None:
            return returned
        batches, _ = batches_and_steps(returned)
        self._check_values(next(iter(batches)))
        return batches, 1

    def _check_values(self, batch: Any) -> None:
        for tensor in tf.nest.flatten(batch):
            values = np.asarray(tensor)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                where = definition(self.recipe, "dataset")
                raise RecipeError(f"{where}: the first batch has values that are NaN or infinite.")

    def _figures(self, model: Any, splits: Splits) -> Iterator[Any]:
        try:
            yield from self.own["figures"](model, splits)
        except RecipeError as error:
            self.figure_errors.append(error.message)
            raise

    def _signatures(self, model: Any, splits: Splits) -> Exports:
        exports = self.own["signatures"](model, splits)
        self.exports = self.exports or exports
        return exports

    def _predict(self, result: Result) -> None:
        # A failure here would only be noted by a run.
        self.recipe.example_inputs(self.splits)
        if not result.examples:
            where = self.source.folder
            self.notes.append(f"{where}: predict was not tried: there are no example inputs.")
            return
        inputs = [text for part in result.examples[0] for text in _typed(part)]
        # A placeholder for a file of the user's.
        missing = [t for t in inputs if Path(t).suffix and " " not in t and not Path(t).exists()]
        if missing:
            self.notes.append(
                f"{self.source.folder}: predict was not tried: there is no file {missing[0]}."
            )
            return
        options = self.source.predict_options()
        parsed: Options | None = options() if options else None
        predictions = self.recipe.predict(result.version, inputs, parsed)
        for prediction in predictions[:1]:
            self.recipe.present(prediction)

    def _objective(self, result: Any) -> list[str]:
        """Returns a line if the metric that `dlrecipes tune` optimizes is not measured."""
        name = self.recipe.objective[0]
        header = (result.folder / "history.csv").read_text(encoding="utf-8").splitlines()[0]
        measured = result.metrics["validation"]
        names = {*measured, *flatten_metrics(measured, tuple(measured)), *header.split(",")[1:]}
        if name in names:
            return []
        where = definition(self.recipe, "evaluate", "build")
        known = nearest(name, names) or f"There are {', '.join(sorted(names))}."
        return [f"{where}: the objective {name!r} is neither logged nor returned. {known}"]


def _typed(part: str | Path | StandardInput) -> list[str]:
    """Returns an argument of a suggested command as the inputs that a user would give."""
    if isinstance(part, StandardInput):
        return part.path.read_text(encoding="utf-8").splitlines()
    return [str(part)]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _working_directory(folder: Path) -> Iterator[None]:
    """Works in a folder, because predictions may be written as files."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
