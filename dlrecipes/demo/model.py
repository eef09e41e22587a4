"""A published model as the page's tabs ask it: by its SavedModel alone."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from dlrecipes.errors import PublishError, reason
from dlrecipes.export.version import EXTRAS, version_folders
from dlrecipes.serving.servable import DEFAULT, Servable
from dlrecipes.serving.status import RequestError


class Model:
    """A published model.

    Args:
        folder: The model's folder, with its versions; the latest that loads is asked.

    Raises:
        PublishError: If it cannot be loaded.
    """

    def __init__(self, folder: Path):
        self.name = folder.name
        problem = f"{folder}: there is no version"
        for number, place in sorted(version_folders(folder).items(), reverse=True):
            try:
                self.servable = Servable(self.name, number, place)
            except Exception as error:
                problem = f"{place}: it cannot be loaded: {reason(error)}"
                print(f"Note: {problem}", file=sys.stderr)
            else:
                self.version, self.folder = number, place
                return
        raise PublishError(problem)

    def takes(self, signature: str, inputs: Collection[str], outputs: Collection[str]) -> bool:
        """Returns whether a signature takes these inputs and returns at least these outputs."""
        found = self.servable.signatures.get(signature or DEFAULT)
        return (
            found is not None
            and set(found.inputs) == set(inputs)
            and set(found.function.structured_outputs) >= set(outputs)
        )

    def ask(self, signature: str = "", **inputs: Any) -> dict[str, np.ndarray]:
        """Returns what a signature answers; inputs become arrays of its types.

        Raises:
            gr.Error: With the line that says why there is no answer.
        """
        try:
            found = self.servable.signature(signature)
            arrays = {
                name: np.asarray(inputs[name], spec.dtype.as_numpy_dtype)
                for name, spec in found.inputs.items()
            }
            found.check(arrays)
            return found.run(arrays)
        except RequestError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def extra(self, name: str) -> str:
        """Returns a text file that was published beside the model, or nothing."""
        path = self.folder / EXTRAS / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def given(value: Any, otherwise: Any) -> Any:
    """Returns what a field of the page holds; one that was never touched may be None."""
    return otherwise if value is None else value


def words(array: np.ndarray) -> list[str]:
    """Returns an array of strings as a list."""
    return [value.decode("utf-8", "replace") for value in array.reshape(-1).tolist()]
