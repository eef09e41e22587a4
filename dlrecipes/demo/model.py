"""A published model as the page uses it, which is its SavedModel."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from dlrecipes._utils.terminal import escape_control_characters
from dlrecipes.errors import PublishError, reason
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.export.version_folders import version_folders
from dlrecipes.recipe.published import facts
from dlrecipes.serving.example_requests import stored_example
from dlrecipes.serving.log import note
from dlrecipes.serving.servable import DEFAULT, Servable
from dlrecipes.serving.status import RequestError


class Model:
    """The latest version of a published model that can be loaded.

    Args:
        folder: Folder of the model, which contains one folder per version.

    Raises:
        PublishError: If none of the versions can be loaded.
    """

    def __init__(self, folder: Path):
        self.name = folder.name
        problem = f"{folder} contains no version"
        for number, version_folder in sorted(version_folders(folder).items(), reverse=True):
            try:
                self.servable = Servable(self.name, number, version_folder)
            except Exception as error:
                problem = f"{version_folder} cannot be loaded: {reason(error)}"
                note(problem)
            else:
                self.version, self.folder = number, version_folder
                return
        raise PublishError(problem)

    def takes(self, signature: str, inputs: Collection[str], outputs: Collection[str]) -> bool:
        """Returns whether a signature has exactly these inputs and at least these outputs.

        Args:
            signature: Name of the signature; an empty name means the default signature.
            inputs: Names of the inputs.
            outputs: Names of the outputs.
        """
        entry = self.servable.signatures.get(signature or DEFAULT)
        return (
            entry is not None
            and set(entry.inputs) == set(inputs)
            and set(entry.function.structured_outputs) >= set(outputs)
        )

    def ask(self, signature: str = "", **inputs: Any) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature.

        Args:
            signature: Name of the signature. Defaults to the default signature.
            **inputs: Values of the inputs, which are converted to the signature's types. Values
                for other names are ignored.

        Raises:
            gr.Error: If the signature refuses the inputs; the message is the reason.
        """
        try:
            entry = self.servable.signature(signature)
            arrays = {
                name: np.asarray(inputs[name], spec.dtype.as_numpy_dtype)
                for name, spec in entry.inputs.items()
            }
            return entry.run(arrays)
        except RequestError as error:
            raise gr.Error(str(error), print_exception=False) from error

    @property
    def about(self) -> str:
        """Data, date and test score of the model, in one line."""
        return escape_control_characters(str(facts(ModelVersion(self.folder))))

    def stored_example(self, signature: str, name: str) -> list[Any]:
        """Returns the values of an input in the first example that is stored with the version.

        Args:
            signature: Name of the signature; an empty name means the default signature.
            name: Name of the input.

        Returns:
            One value per row; nothing if no example is stored.
        """
        entry = self.servable.signatures.get(signature or DEFAULT)
        arrays = stored_example(self.folder, entry) if entry else None
        return list(arrays[name]) if arrays and name in arrays else []

    def extra(self, name: str) -> str:
        """Returns the text of a file in the version's `assets.extra`, or an empty string."""
        path = self.folder / EXTRAS / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def value_or(value: Any, otherwise: Any) -> Any:
    """Returns the value of a field, or `otherwise` if it is None, as for an untouched field."""
    return otherwise if value is None else value


def words(array: np.ndarray) -> list[str]:
    """Returns an array of strings as a list."""
    return [value.decode("utf-8", "replace") for value in array.reshape(-1).tolist()]
