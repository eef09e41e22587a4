"""A published model as the page's tabs ask it: by its SavedModel alone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from dlrecipes.errors import PublishError, reason
from dlrecipes.published import EXTRAS, versions
from dlrecipes.serving.servable import DEFAULT, Servable
from dlrecipes.serving.status import RequestError


class Model:
    """The latest version of a published model.

    Args:
        folder: The model's folder, with its versions.

    Raises:
        PublishError: If it cannot be loaded.
    """

    def __init__(self, folder: Path):
        self.name = folder.name
        self.version = max(versions(folder))
        self.folder = folder / str(self.version)
        try:
            self.servable = Servable(self.name, self.version, self.folder)
        except Exception as error:
            raise PublishError(f"{self.folder}: it cannot be loaded: {reason(error)}") from error

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
            raise gr.Error(str(error)) from error

    def extra(self, name: str) -> str:
        """Returns a text file that was published beside the model, or nothing."""
        path = self.folder / EXTRAS / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def words(array: np.ndarray) -> list[str]:
    """Returns an array of strings as a list."""
    return [value.decode("utf-8", "replace") for value in array.reshape(-1).tolist()]
