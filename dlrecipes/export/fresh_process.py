"""A fresh process that loads what is to be published, and compares it with the model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlrecipes._utils import processes
from dlrecipes.errors import PublishError, RecipeError, reason

# Packages whose classes another process has by importing them.
IMPORTABLE = ("keras", "dlrecipes")


class VerificationProcess:
    """A process that loads TensorFlow while files are written, and then checks them.

    It sees files and what the model answered, and nothing else of this process. Used as a
    context, at whose end it is gone.

    Example:

    >>> with VerificationProcess() as process:
    ...     process.check(Path("nowhere"), {"signatures": {}, "litert": []})
    Traceback (most recent call last):
    dlrecipes.errors.PublishError: nowhere: the SavedModel cannot be loaded: ...
    """

    def __enter__(self) -> VerificationProcess:
        """Starts the process."""
        self._place = tempfile.TemporaryDirectory(prefix="dlrecipes-")
        self._report = Path(self._place.name) / "report.json"
        theirs, self._pipe = os.pipe()
        chatter = None if os.environ.get("DLRECIPES_TRACEBACK") else subprocess.DEVNULL
        self._child = processes.spawn(
            "export.fresh_process",
            {"wanted": theirs, "report": str(self._report)},
            pass_fds=(theirs,),
            stdout=subprocess.DEVNULL,
            stderr=chatter,
            # This process may have taken all of a device's memory.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        os.close(theirs)
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the process, whatever it does."""
        if self._pipe is not None:
            os.close(self._pipe)
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._place.cleanup()

    def check(self, folder: Path, wanted: Mapping[str, Any]) -> None:
        """Has the files of a folder loaded and compared; once.

        Args:
            folder: What is to be published.
            wanted: `signatures` and `litert`, examples with answers; perhaps `weights`.

        Raises:
            PublishError: What does not agree, or that the process ended.
        """
        pipe, self._pipe = self._pipe, None
        # A process that has ended already tells by its code.
        with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "w") as file:
            json.dump({**wanted, "folder": str(folder)}, file)
        code = self._child.wait()
        found = processes.read_report(self._report)
        if "error" in found:
            raise PublishError(found["error"], found["hint"])
        if code or not found:
            raise PublishError(f"{folder}: the process that loads it again ended with code {code}.")


def weights_of(model: Any) -> dict[str, Any] | None:
    """Returns by what another process knows a model's weights, if it can load the model.

    Args:
        model: A Keras model.
    """
    parts = [model, *model._flatten_layers(include_self=False)]
    modules = sorted({type(part).__module__ for part in parts})
    if any(name.split(".")[0] not in IMPORTABLE for name in modules):
        return None
    return {"modules": modules, "sums": _sums(model)}


def _sums(model: Any) -> list[str]:
    import numpy as np

    return [hashlib.sha256(np.asarray(one).tobytes()).hexdigest() for one in model.weights]


def main() -> None:
    """Does what `VerificationProcess.check` asks for."""
    task = json.loads(sys.argv[1])
    processes.exit_with_parent()
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow()
    from dlrecipes.export import verification

    with os.fdopen(task["wanted"]) as file:
        text = file.read()
    if not text:
        return  # Nothing came to be checked.
    wanted = json.loads(text)
    folder = Path(wanted["folder"])
    try:
        for _ in verification.check_answers(folder, wanted):
            pass
        if wanted.get("weights"):
            _check_weights(folder, **wanted["weights"])
        found = {"checked": True}
    except RecipeError as error:
        found = {"error": error.message, "hint": error.hint}
    except Exception as error:
        found = {"error": f"{folder}: {type(error).__name__}: {reason(error)}", "hint": ""}
    Path(task["report"]).write_text(json.dumps(found))


def _check_weights(folder: Path, modules: list[str], sums: list[str]) -> None:
    import keras

    from dlrecipes.export.version import KERAS_FILE

    for name in modules:
        importlib.import_module(name)
    # Losses and optimizers of anybody's are no part of what is compared.
    if _sums(keras.saving.load_model(folder / KERAS_FILE, compile=False)) != sums:
        raise PublishError(f"{KERAS_FILE}: its weights are not the model's.")
