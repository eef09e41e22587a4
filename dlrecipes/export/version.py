"""Published versions of a model: their files, and how they are found and loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes._utils.quiet import load_tensorflow
from dlrecipes.errors import DataError, PublishError, UsageError, nearest, reason
from dlrecipes.export.version_folders import subfolders, version_folders, version_number

if TYPE_CHECKING:
    import keras
    import numpy as np

    from dlrecipes.export.litert_interpreter import LiteRTModel

KERAS_FILE = "model.keras"
LITERT_FILE = "model.tflite"
ONNX_FILE = "model.onnx"
EXTRAS = "assets.extra"
# TensorFlow Serving's name for the requests that warm a new version.
WARMUP_FILE = "tf_serving_warmup_requests"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
LITERT_FORMATS_FILE = "litert.json"
# The files of a version, for its card.
FILES = """| file | contents |
|---|---|
| `saved_model.pb`, `variables/` | SavedModel with the signatures below |
| `model.tflite` | LiteRT: tensors in and out, built-in ops only; `model.*.tflite` are smaller |
| `model.keras` | Keras model, for further training or import |
| `assets.extra/` | examples with outputs, warm-up requests, checksums, vocabularies |
"""


def files_table(litert: bool = True) -> str:
    """Returns the table of a version's files, for its card.

    Args:
        litert: Whether there are LiteRT files. Defaults to `True`.
    """
    rows = [line for line in FILES.splitlines() if litert or LITERT_FILE not in line]
    return "\n".join(rows)


def litert_file(kind: str) -> str:
    """Returns the file name of a LiteRT format; `"float32"` is `model.tflite`."""
    return LITERT_FILE if kind == "float32" else LITERT_FILE.replace(".", f".{kind}.")


def part_file(name: str) -> str:
    """Returns the file name of a further LiteRT function, such as `encoder.tflite`."""
    return f"{name}.tflite"


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of a signature's input.

    Args:
        dtype: Name of the type, such as `"float32"` or `"string"`.
        shape: Sizes, each `None` if any size is accepted; or `None` if any shape is accepted.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


class RejectedInput(DataError):  # noqa: N818
    """A published model failed on an input, such as bytes that are not an image."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a published model.

    The SavedModel is loaded on the first use of `function`, `inputs` or `call`, and kept.

    Args:
        folder: Folder of the version.
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
        """Returns a signature of the SavedModel, a function from tensors to tensors by name.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.

        Raises:
            PublishError: If the SavedModel cannot be loaded.
            UsageError: If it does not have the signature.
        """
        signatures = self._saved_model().signatures
        if signature not in signatures:
            raise UsageError(
                f"{self.folder}: the SavedModel has no signature {signature!r}.",
                f"It has {', '.join(sorted(signatures))}.",
            )
        return signatures[signature]

    def inputs(self, signature: str = "serving_default") -> dict[str, TensorInfo]:
        """Returns type and shape of a signature's inputs by name.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
        """
        function: Any = self.function(signature)
        _, named = function.structured_input_signature
        return {
            name: TensorInfo(
                spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape)
            )
            for name, spec in sorted(named.items())
        }

    def call(self, signature: str = "serving_default", /, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature with NumPy arrays and returns its outputs as NumPy arrays by name.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
            **inputs: Arrays, or nested lists, by input name.

        Raises:
            UsageError: If the names are not those of the signature's inputs.
            RejectedInput: If the model fails on these inputs.
        """
        import numpy as np

        function: Any = self.function(signature)
        import tensorflow as tf

        _, specs = function.structured_input_signature
        if set(inputs) != set(specs):
            raise UsageError(
                f"{self.folder}: the signature {signature} has the inputs "
                f"{', '.join(sorted(specs)) or 'none'}, got {', '.join(inputs) or 'none'}."
            )
        tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        try:
            # `numpy()` returns a scalar string as bytes.
            return {name: np.asarray(value) for name, value in function(**tensors).items()}
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

        import dlrecipes.training  # noqa: F401  (registers the classes in the file)
        from dlrecipes.export import keras_errors

        path = self.file(KERAS_FILE)
        try:
            return keras.saving.load_model(path, compile=compile)
        except Exception as error:
            why = keras_errors.needs_user(error)
            if not why:
                raise _load_error(self.folder, error) from error
            raise PublishError(
                f"{self.folder}: {KERAS_FILE} has {why}: {keras_errors.plain(error)}.",
                keras_errors.how_to_load(error, compile),
            ) from error

    def litert(self, threads: int = 1, name: str = LITERT_FILE) -> LiteRTModel:
        """Returns the LiteRT model, which is called with NumPy arrays by input name.

        Args:
            threads: Number of threads of the interpreter. Defaults to 1.
            name: Name of the LiteRT file. Defaults to `"model.tflite"`.

        Raises:
            PublishError: If the LiteRT file is missing or cannot be loaded.
        """
        from dlrecipes.export.litert_interpreter import LiteRTModel

        if not (self.folder / LITERT_FILE).exists() and self._was_published_without(LITERT_FILE):
            raise PublishError(
                f"{self.folder}: this version has no LiteRT file.",
                "Its README.md says why; call the SavedModel instead.",
            )
        path = self.file(name)
        with _load_errors(self.folder):
            return LiteRTModel(path, threads)

    def read_image(self, path: str) -> Any:
        """Returns an image file of any format that is read as an element of `image_bytes`.

        Args:
            path: Image file.

        Raises:
            UsageError: If the file does not exist.
            DataError: If it is not an image.
        """
        from dlrecipes.data.image_files import read_image_bytes

        return read_image_bytes(path)

    @property
    def config_file(self) -> Path:
        """The file with the configuration that the model was trained with."""
        return self.file(f"{EXTRAS}/{CONFIG_FILE}")

    def _was_published_with(self, name: str) -> bool:
        path = self.folder / EXTRAS / "checksums.json"
        return path.is_file() and f'"{name}"' in path.read_text(encoding="utf-8")

    def _was_published_without(self, name: str) -> bool:
        path = self.folder / EXTRAS / "checksums.json"
        return path.is_file() and f'"{name}"' not in path.read_text(encoding="utf-8")

    def _require_tensorflow(self) -> None:
        try:
            load_tensorflow()
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self.folder}: this needs the SavedModel, and {error.name} is not installed.",
                "Type: pip install dlrecipes",
            ) from error

    def _saved_model(self) -> Any:
        if "saved_model" not in self._loaded:
            self._require_tensorflow()
            import tensorflow as tf

            self.file("saved_model.pb")
            self.file("variables/variables.index")
            self.file("variables/variables.data-00000-of-00001")
            with _load_errors(self.folder):
                # Kept, because a function alone does not keep lookup tables and variables alive.
                self._loaded["saved_model"] = tf.saved_model.load(str(self.folder))
        return self._loaded["saved_model"]


@contextlib.contextmanager
def _load_errors(folder: Path) -> Iterator[None]:
    """Turns any exception that a loader raises into a one-line `PublishError`."""
    try:
        yield
    except Exception as error:
        raise _load_error(folder, error) from error


def _load_error(folder: Path, error: Exception) -> PublishError:
    return PublishError(
        f"{folder}: this version cannot be loaded: {reason(error)}",
        "Delete its folder and run the recipe again, or choose another --model-version.",
    )


def find_version(
    models: Path, name: str, version: int | None = None, recipe: str | None = None
) -> ModelVersion:
    """Returns a published version of a model.

    Args:
        models: Folder of published models.
        name: Name of the model.
        version: Number of the version. Defaults to `None`: the latest.
        recipe: Recipe that publishes under this name, as the user typed it, for the hint. Defaults
            to `None`: there is none.

    Raises:
        UsageError: If the version does not exist.
    """
    folders = version_folders(models / name)
    if not folders:
        message = f"{models / name}: no model is published there."
        raise UsageError(message, _hint(models, name, recipe))
    if version is not None and version not in folders:
        listed = ", ".join(map(str, folders))
        raise UsageError(
            f"{models / name}: there is no version {version}.", f"Published versions: {listed}."
        )
    return ModelVersion(folders[max(folders) if version is None else version])


def _hint(models: Path, name: str, recipe: str | None) -> str:
    """Returns the command that publishes a missing model, or else the names of published ones."""
    published = [path.name for path in subfolders(models) if version_folders(path)]
    if recipe is not None:
        others = [other for other in published if other.startswith(f"{name}-")]
        listed = f" On other data there is: {', '.join(others)}." if others else ""
        return f"Make one: dlrecipes run {recipe}{listed}"
    if not published:
        return f"No models are published in {models}."
    return nearest(name, published) or f"Published models: {', '.join(published)}."


def locate_version(
    model: str | Path, models: Path, version: int | None = None, recipes: Collection[str] = ()
) -> ModelVersion:
    """Returns the version that a name or a path stands for.

    Args:
        model: Folder of a version or of a model, folder of a recipe, or name of a model.
        models: Folder of published models, for names.
        version: Number of the version. Defaults to `None`: the latest.
        recipes: Names of recipes, for the hint. Defaults to none.

    Raises:
        UsageError: If there is none.
    """
    path = Path(model).expanduser()
    if (path / "saved_model.pb").is_file():
        if version is not None and str(version) != path.name:
            raise UsageError(f"{path}: this is one version.", f"Leave out version={version!r}.")
        return ModelVersion(path)
    is_path = isinstance(model, Path) or path.is_absolute() or len(path.parts) > 1
    number = version_number(path.name)
    if is_path and version is None and number is not None and not version_folders(path):
        # The path of a version: the folder before it is the model's.
        path, version = path.parent, number
    elif is_path and (path / "recipe.py").is_file():
        return find_version(models, path.resolve().name, version, str(model))
    models, name = (path.parent, path.name) if is_path else (models, str(model))
    return find_version(models, name, version, name if name in recipes else None)
