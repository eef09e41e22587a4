"""The line of code that a `.keras` file needs before Keras can load it, in the file itself."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import keras

PREFIX = "dlrecipes>"
LINE = "import dlrecipes"
# Keras ignores this key, and prints it in the error about a class that it does not know.
KEY = "load_after"
CONFIG = "config.json"


def usage(model: keras.Model) -> str:
    """Returns how Keras loads the file, for the card; `""` for a model of Keras' classes alone.

    Args:
        model: Keras model.
    """
    names = (keras.saving.get_registered_name(type(layer)) for layer in model._flatten_layers())
    if not any(name.startswith(PREFIX) for name in names):
        return ""
    return (
        f"`model.keras` has layers of this package. `{LINE}` is enough for Keras to find them:\n\n"
        f"```python\nimport keras\n\n{LINE}\n\n"
        'model = keras.saving.load_model("model.keras", compile=False)\n```'
    )


def name_import(path: Path) -> None:
    """Writes the import into a `.keras` file, next to each class of this package.

    Keras' error about an unknown class prints its entry, and so names the line that is missing.

    Args:
        path: The file; it is replaced if it holds such classes.
    """
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read(CONFIG))
        if not _mark(config):
            return
        part = path.with_name(f"{path.name}.part")
        with zipfile.ZipFile(part, "w") as marked:
            for entry in file.infolist():
                if entry.filename == CONFIG:
                    marked.writestr(entry, json.dumps(config))
                    continue
                with file.open(entry) as source, marked.open(entry, "w", force_zip64=True) as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
    part.replace(path)


def _mark(config: Any) -> bool:
    """Adds the line to all entries of this package's classes; returns whether there are any."""
    if isinstance(config, list):
        return sum(_mark(value) for value in config) > 0
    if not isinstance(config, dict):
        return False
    found = sum(_mark(value) for value in config.values()) > 0
    if not str(config.get("registered_name", "")).startswith(PREFIX):
        return found
    entries = dict(config)
    config.clear()
    # First, because the entry of a large model is long.
    config.update({KEY: LINE, **entries})
    return True
