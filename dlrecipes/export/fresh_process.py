"""A fresh process that loads a version's files and compares them with the model."""

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

# Another process can load classes of these packages by importing their modules.
IMPORTABLE = ("keras", "dlrecipes")


class VerificationProcess:
    """A process that verifies a version before it is published.

    It imports TensorFlow while this process writes the files. It receives only the files and the
    model's outputs, so it shares no state with this process. Used as a context manager, which
    ends the process on exit.

    Example:

    >>> from pathlib import Path
    >>> from dlrecipes.export.fresh_process import VerificationProcess
    >>> with VerificationProcess() as process:
    ...     process.check(Path("nowhere"), {"signatures": {}, "litert": []})
    Traceback (most recent call last):
    dlrecipes.errors.PublishError: nowhere: the SavedModel cannot be loaded: ...
    """

    def __enter__(self) -> VerificationProcess:
        """Starts the process."""
        self._folder = tempfile.TemporaryDirectory(prefix="dlrecipes-")
        self._report = Path(self._folder.name) / "report.json"
        self._used = False
        stderr = None if os.environ.get("DLRECIPES_TRACEBACK") else subprocess.DEVNULL
        self._child = processes.spawn(
            "export.fresh_process",
            {"report": str(self._report)},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            # This process may have allocated all of a GPU's memory.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        assert self._child.stdin is not None
        self._stdin = self._child.stdin
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the process, even if it is still running."""
        self._child.kill()
        self._child.wait()
        # The pipe of a process that ended early cannot be flushed.
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._folder.cleanup()

    def check(self, folder: Path, expected: Mapping[str, Any]) -> None:
        """Loads the files of a folder in the process and compares them; may be called once.

        Args:
            folder: Folder with the files.
            expected: References by signature name in `signatures`, those of LiteRT in `litert`,
                and optionally the result of `weights_of` in `weights`.

        Raises:
            PublishError: If a file does not match the model, or the process ended early.
        """
        if self._used:
            raise ValueError("VerificationProcess.check may be called once.")
        self._used = True
        # If the process has ended already, its exit code says so.
        with contextlib.suppress(OSError):
            self._stdin.write(json.dumps({**expected, "folder": str(folder)}).encode() + b"\n")
            self._stdin.flush()
        code = self._child.wait()
        report = processes.read_report(self._report)
        if "error" in report:
            raise PublishError(report["error"], report["hint"])
        if code or not report:
            raise PublishError(f"{folder}: the verification process ended with code {code}.")


def weights_of(model: Any, safe: bool = True) -> dict[str, Any] | None:
    """Returns checksums of a model's weights, with the modules that another process must import.

    The result is `None` if the model has classes that another process cannot import.

    Args:
        model: Keras model.
        safe: Whether to refuse Python code in the file. Defaults to `True`.
    """
    layers = [model, *model._flatten_layers(include_self=False)]
    modules = sorted({type(layer).__module__ for layer in layers})
    if any(name.split(".")[0] not in IMPORTABLE for name in modules):
        return None
    return {"modules": modules, "sums": _sums(model), "safe": safe}


def weight_pairs(model: Any, loaded: Any) -> list[tuple[str, Any, Any]]:
    """Returns the weights of a model and of its copy in pairs, with their paths.

    They are paired by path if all paths are the same, and in their order otherwise: the layers
    within a custom layer may get new names, and a quantized layer may list its weights in another
    order.

    Args:
        model: Keras model.
        loaded: Model with as many weights.
    """
    from dlrecipes.export.keras_file import kept_weights

    weights, others = kept_weights(model), kept_weights(loaded)
    copies = {_path(loaded, weight): weight for weight in others}
    paths = [_path(model, weight) for weight in weights]
    by_path = set(copies) == set(paths) and len(copies) == len(paths)
    others = [copies[path] for path in paths] if by_path else others
    return list(zip(paths, weights, others, strict=True))


def _path(model: Any, weight: Any) -> str:
    # A model that is loaded does not put its own name first.
    return weight.path.removeprefix(f"{model.name}/")


def _sums(model: Any) -> list[tuple[str, str]]:
    import numpy as np

    from dlrecipes.export.keras_file import kept_weights

    return [
        (_path(model, weight), hashlib.sha256(np.asarray(weight).tobytes()).hexdigest())
        for weight in kept_weights(model)
    ]


def main() -> None:
    """Runs in the fresh process: waits for `VerificationProcess.check` and reports the result."""
    task = json.loads(sys.argv[1])
    from dlrecipes._utils.quiet import load_tensorflow

    load_tensorflow(only=True)
    from dlrecipes.export import verification

    line = sys.stdin.buffer.readline()
    if not line:
        return  # The parent did not call `check`.
    processes.exit_with_parent()
    expected = json.loads(line)
    folder = Path(expected["folder"])
    try:
        for _ in verification.check_answers(folder, expected):
            pass
        if expected.get("weights"):
            _check_weights(folder, **expected["weights"])
        report: dict[str, Any] = {"checked": True}
    except RecipeError as error:
        report = {"error": error.message, "hint": error.hint}
    except Exception as error:
        report = {"error": f"{folder}: {type(error).__name__}: {reason(error)}", "hint": ""}
    Path(task["report"]).write_text(json.dumps(report))


def _check_weights(folder: Path, modules: list[str], sums: list[list[str]], safe: bool) -> None:
    from dlrecipes.export import keras_file
    from dlrecipes.export.version import KERAS_FILE

    for name in modules:
        importlib.import_module(name)
    loaded = _sums(keras_file.load(folder, safe))
    # As `weight_pairs` does: by path, or in their order.
    in_order = [digest for _, digest in loaded] == [digest for _, digest in sums]
    if not in_order and sorted(loaded) != sorted(map(tuple, sums)):
        raise PublishError(f"{KERAS_FILE}: its weights differ from the model's.")
