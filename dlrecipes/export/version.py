"""ModelVersion models: found by name and version, and loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import DataError, PublishError, UsageError, reason

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlrecipes.export.litert import LiteRTModel

KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"
ONNX_FILE = "model.onnx"
EXTRAS = "assets.extra"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
LITERT_FORMATS_FILE = "litert.json"
# What a version holds, for its card.
FILES = """| file | what it is |
|---|---|
| `saved_model.pb`, `variables/` | SavedModel, by the signatures below |
| `model.tflite` | LiteRT: tensors in and out, built-in ops only; smaller forms beside it |
| `model.keras` | Keras model, to go on training or to import |
| `assets.extra/` | examples with answers, checksums, and what else belongs to it |
"""


def litert_file(kind: str) -> str:
    """Returns the name of a version's LiteRT file of a format: `"float32"` is the plain one."""
    return LITERT_FILE if kind == "float32" else LITERT_FILE.replace(".", f".{kind}.")


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of a signature's input.

    Args:
        dtype: Name of the type, such as `"float32"` or `"string"`.
        shape: Sizes, `None` where any size fits; or `None` for any shape.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


class RejectedInput(DataError):  # noqa: N818
    """Raised where a published model fails on an input, such as bytes that are not an image."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a published model.

    What is loaded of it is kept: the second call of `function`, `litert` or `call` is quick.

    Args:
        folder: The version's folder.
    """

    folder: Path
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def file(self, name: str) -> Path:
        """Returns a file of the version.

        Args:
            name: Path of the file within the version's folder.

        Raises:
            PublishError: If the file is missing or empty.
        """
        path = self.folder / name
        if not path.is_file() or path.stat().st_size == 0:
            raise PublishError(
                f"{self.folder}: {name} is missing or empty; this version is damaged.",
                "Delete its folder and run the recipe again, or choose another --model-version.",
            )
        return path

    def function(self, signature: str = "serving_default") -> Callable[..., dict[str, Any]]:
        """Returns a function of the SavedModel: tensors by name in, tensors by name out.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.

        Raises:
            PublishError: If the SavedModel cannot be loaded.
            UsageError: If it has no such signature.
        """
        signatures = self._saved_model().signatures
        if signature not in signatures:
            raise UsageError(
                f"{self.folder}: the SavedModel has no signature {signature!r}.",
                f"It has {', '.join(sorted(signatures))}.",
            )
        return signatures[signature]

    def inputs(self, signature: str = "serving_default") -> dict[str, TensorInfo]:
        """Returns type and shape of a signature's inputs by name."""
        _, named = self.function(signature).structured_input_signature
        return {
            name: TensorInfo(
                spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape)
            )
            for name, spec in sorted(named.items())
        }

    def call(self, signature: str = "serving_default", /, **inputs: Any) -> dict[str, np.ndarray]:
        """Returns a signature's outputs for NumPy arrays, as NumPy arrays by name.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
            **inputs: Arrays, or nested lists, by input name.

        Raises:
            RejectedInput: If the model fails on these inputs.
        """
        import tensorflow as tf

        function = self.function(signature)
        _, specs = function.structured_input_signature
        tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        try:
            return {name: value.numpy() for name, value in function(**tensors).items()}
        except tf.errors.OpError as error:
            raise RejectedInput(f"{self.folder}: {reason(error)}") from error

    def keras_model(self, compile: bool = True) -> keras.Model:
        """Returns the Keras model.

        Args:
            compile: Whether to restore optimizer, losses and metrics. Defaults to `True`.

        Raises:
            PublishError: If the file cannot be loaded.
        """
        import keras

        import dlrecipes.training  # noqa: F401  (registers what the file names)

        path = self.file(KERAS_FILE)
        with _DamageInOneLine(self.folder):
            return keras.saving.load_model(path, compile=compile)

    def litert(self, threads: int = 1) -> LiteRTModel:
        """Returns the LiteRT model: called with NumPy arrays by input name.

        Args:
            threads: Threads of the interpreter. Defaults to 1.

        Raises:
            PublishError: If there is no LiteRT file, or it cannot be loaded.
        """
        from dlrecipes.export.litert import LiteRTModel

        path = self.file(LITERT_FILE)
        with _DamageInOneLine(self.folder):
            return LiteRTModel(path, threads)

    @property
    def config_file(self) -> Path:
        """The configuration that the model was trained with."""
        return self.file(f"{EXTRAS}/{CONFIG_FILE}")

    def _saved_model(self) -> Any:
        if "saved_model" not in self._loaded:
            import tensorflow as tf

            self.file("saved_model.pb")
            self.file("variables/variables.index")
            self.file("variables/variables.data-00000-of-00001")
            with _DamageInOneLine(self.folder):
                # Kept, since a function alone does not keep tables and variables alive.
                self._loaded["saved_model"] = tf.saved_model.load(str(self.folder))
        return self._loaded["saved_model"]


class _DamageInOneLine:
    """Turns whatever a loader raises on a broken file into one line."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if error is not None and isinstance(error, Exception):
            raise PublishError(
                f"{self.folder}: this version cannot be loaded: {reason(error)}",
                "Delete its folder and run the recipe again, or choose another --model-version.",
            ) from error


def version_folders(directory: Path) -> dict[int, Path]:
    """Returns the folders of a model's versions, oldest first; of what cannot be read none.

    A name is read as a number, as TensorFlow Serving does: `00000123` is version 123, unless
    there is a folder `123`, too.
    """
    try:
        there = [path for path in directory.iterdir() if path.is_dir()]
    except OSError:
        return {}
    numbered = [path for path in there if path.name.isascii() and path.name.isdigit()]
    numbered.sort(key=lambda path: (int(path.name), -len(path.name)))
    return {int(path.name): path for path in numbered}


def versions(directory: Path) -> list[int]:
    """Returns the published versions of a model, oldest first."""
    return list(version_folders(directory))


def find_version(
    models: Path, name: str, version: int | None = None, typed: str | None = None
) -> ModelVersion:
    """Returns a published version, the latest where none is asked for.

    Args:
        models: The folder of published models.
        name: The recipe's name.
        version: The version, or `None`.
        typed: The recipe as the user typed it, for the hint.

    Raises:
        UsageError: If there is no such version.
    """
    there = version_folders(models / name)
    if not there:
        raise UsageError(
            f"{models / name}: no model is published there.",
            f"Make one: dlrecipes run {typed or name}",
        )
    if version is not None and version not in there:
        listed = ", ".join(map(str, there))
        raise UsageError(
            f"{models / name}: there is no version {version}.", f"There are: {listed}."
        )
    return ModelVersion(there[version if version is not None else max(there)])
