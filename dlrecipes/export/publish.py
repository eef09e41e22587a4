"""Publishes a model as SavedModel, LiteRT, `.keras` and model card, after verifying the files."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrecipes._utils.files import fsync_tree
from dlrecipes._utils.memory import release_memory
from dlrecipes._utils.quiet import suppress_stderr
from dlrecipes._utils.stages import stage
from dlrecipes.errors import PublishError, RecipeError, UsageError, reason
from dlrecipes.export import fresh_process, keras_file, keras_import
from dlrecipes.export import onnx as onnx_file
from dlrecipes.export.formats_card import formats_card
from dlrecipes.export.keras_errors import plain
from dlrecipes.export.lite_version import PROCESSING_FILE
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.litert_files import LiteRT, without_omitted, write_if_possible
from dlrecipes.export.litert_metadata import Metadata
from dlrecipes.export.litert_support import layer_path
from dlrecipes.export.model_checks import check_deterministic, check_model, layer_names
from dlrecipes.export.new_version import rename_to_version, work_folder
from dlrecipes.export.precision import other_precisions
from dlrecipes.export.processing_check import check_processing
from dlrecipes.export.reference_outputs import assert_match, check_graph, compare, record
from dlrecipes.export.signatures import (
    Exports,
    Signature,
    exports_from_model,
    exports_from_signatures,
)
from dlrecipes.export.usage import plain_card, usage
from dlrecipes.export.verification import write_references
from dlrecipes.export.version import (
    EXTRAS,
    KERAS_FILE,
    LITERT_FILE,
    ONNX_FILE,
    ModelVersion,
    part_file,
)
from dlrecipes.export.warmup_requests import write_warmup_requests

# The weights are compared as well, so a few examples are enough.
KERAS_EXAMPLES = 20


def publish(
    model: keras.Model,
    directory: Path,
    signatures: Exports | Mapping[str, Signature] | None = None,
    card: str | Callable[[str], str] | None = None,
    rebuild: Callable[[keras.Model], Exports] | None = None,
    *,
    examples: Any = None,
    litert: LiteRT = "auto",
    onnx: bool = False,
    safe: bool = True,
    metadata: Metadata | None = None,
) -> Path:
    """Writes a new version of a model after comparing each of its files with the model.

    The version is written under a temporary name and renamed at the end. Readers of `directory`
    therefore see complete versions only, and processes that publish at the same time get
    different versions.

    Args:
        model: Trained model.
        directory: Folder of the model, in which versions are numbered from 1.
        signatures: `Exports`, or signatures by name, of which `serving_default` becomes the LiteRT
            file as well. Defaults to `None`: the model's own inputs and outputs.
        card: Model card in Markdown, or a function that returns it and takes the usage section
            that is generated from the signatures. Defaults to `None`: a plain card.
        rebuild: Function from a model to its exports. It is applied to the reloaded `.keras` file,
            whose outputs are then compared as well as its weights. Defaults to `None`, which
            means `exports_from_model` if there are no `signatures`.
        examples: Inputs of the model on which the files are compared with it, required if there
            are no `signatures`. Defaults to `None`.
        litert: Whether to publish LiteRT files. `"auto"` leaves them out if LiteRT cannot run the
            model; the reason is printed and stands in the card. `True` publishes nothing then,
            and `False` skips the conversion. Defaults to `"auto"`.
        onnx: Whether to publish the LiteRT function as `model.onnx` as well. It is compared with
            the model if ONNX Runtime is installed. Defaults to `False`.
        safe: Whether to refuse a model whose `.keras` file holds Python code, such as a `Lambda`
            layer with a lambda. Defaults to `True`.
        metadata: Metadata of the LiteRT files, with which MediaPipe Tasks loads them, such as
            `dlrecipes.export.litert_metadata.classifier(labels)`. Defaults to the exports' own.

    Returns:
        The folder of the new version.

    Raises:
        PublishError: If a file cannot be written, or does not match the model, or if a weight is
            NaN or infinite. Nothing is left in `directory` in this case.
        UsageError: If `model` is not a Keras model, signatures and examples are both missing, the
            examples do not fit the model, or ONNX is requested and its converter is not
            installed.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import keras
    >>> import numpy as np
    >>> from dlrecipes.export import publish
    >>> model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = publish(model, Path(folder) / "net", examples=np.ones((4, 3), "float32"))
    ...     sorted(path.name for path in version.glob("model.*"))
    ['model.keras', 'model.tflite']
    """
    directory = Path(directory)
    check_model(model)
    if isinstance(signatures, Exports):
        exports = signatures
    elif signatures is None:
        if examples is None:
            raise UsageError("publish: expected signatures, or examples of the inputs.")
        exports = exports_from_model(model, examples)
        rebuild = rebuild or (lambda loaded: exports_from_model(loaded, examples))
    else:
        exports = exports_from_signatures(signatures)
    exports = dataclasses.replace(exports, metadata=metadata or exports.metadata)
    if litert not in (True, False, "auto"):
        raise UsageError(f"publish: litert must be 'auto', True or False, got {litert!r}.")
    if onnx:
        onnx_file.check_installed()
    try:
        with work_folder(directory) as work:
            (work / EXTRAS).mkdir()
            with fresh_process.VerificationProcess() as process, suppress_stderr():
                with stage("publish") as done:
                    version = _write(work, model, exports, litert, safe, onnx)
                    done("Converted the model and wrote its files")
                release_memory()
                with stage("check") as done:
                    verify(work, model, version, process, rebuild, safe)
                    done("Loaded the files again and compared them with the model")
                sizes, left_out = formats_card(work, version.exports, model)
            for line in version.notes + left_out:
                print(f"Note: {line}", file=sys.stderr)
            shown = without_omitted(work, version.exports)
            text = write_card(card, model, directory.name, shown, version.functions, onnx)
            (work / "README.md").write_text(text + sizes, encoding="utf-8")
            write_warmup_requests(work, directory.name, version.exports)
            write_references(work, model, version.exports, version.functions)
            fsync_tree(work)
            return rename_to_version(work, directory)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"{directory}: {reason(error).rstrip('.')}.", "Nothing was published."
        ) from error


@dataclasses.dataclass(frozen=True)
class _Written:
    """The files of a version before they are verified.

    Args:
        exports: Exports as they are published.
        functions: Traced functions of the signatures and, by the names of the files, of LiteRT.
        reloaded: Traced function and signature that the reloaded `.keras` file must match.
        notes: Lines to print.
    """

    exports: Exports
    functions: Mapping[str, tf.types.experimental.ConcreteFunction]
    reloaded: tuple[Signature, tf.types.experimental.ConcreteFunction]
    notes: list[str]


def _write(
    work: Path, model: keras.Model, exports: Exports, litert: LiteRT, safe: bool, onnx: bool
) -> _Written:
    """Writes the files of a version, except for its card and references."""
    functions = {key: _traced(model, value) for key, value in exports.signatures.items()}
    tensors = _traced(model, exports.litert)
    layers = layer_names(model)
    check_deterministic(exports, functions, layers)
    notes = [keras_file.save(model, work, safe)]
    write_saved_model(model, work, functions)
    published = write_if_possible(work, exports, litert, layers)
    if litert == "auto" and published.without_litert:
        notes.append(f"there is no {LITERT_FILE}. {published.without_litert}")
    if onnx:
        (work / ONNX_FILE).write_bytes(onnx_file.convert(published.litert))
    for name, text in exports.files.items():
        (work / EXTRAS / name).write_text(text, encoding="utf-8")
    serving = functions.get("serving_default")
    if serving and {tf.bfloat16, tf.float16} & set(other_precisions(serving)):
        # The LiteRT file computes in float32, and does not give the same answers.
        published = dataclasses.replace(published, processing=None, check=None)
    if published.processing and not published.without_litert:
        path = work / EXTRAS / PROCESSING_FILE
        specs = {
            name: (own.inputs, own.traced.structured_outputs)
            for name, own in exports.signatures.items()
        }
        path.write_text(published.processing.text(specs), encoding="utf-8")
    again = tensors if published.litert is exports.litert else concrete_function(published.litert)
    parts = published.litert_parts.items()
    texts = [published.notes.strip(), keras_import.usage(model), notes[0]]
    published = dataclasses.replace(published, notes="\n\n".join(filter(None, texts)))
    every = {**functions, LITERT_FILE: again}
    every |= {part_file(name): _traced(model, signature) for name, signature in parts}
    return _Written(published, every, (exports.litert, tensors), [note for note in notes if note])


def _traced(model: keras.Model, signature: Signature) -> tf.types.experimental.ConcreteFunction:
    try:
        return concrete_function(signature)
    except RecipeError:
        raise
    except Exception as error:
        raise PublishError(
            f"{model.name}: the model cannot be called on its inputs: {plain(error)}",
            "It must work as model(inputs, training=False) does.",
        ) from error


def write_saved_model(
    model: keras.Model,
    folder: Path,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
) -> None:
    """Writes a SavedModel with the functions, and the model's variables and lookup tables.

    Args:
        model: Keras model.
        folder: Folder of the version.
        functions: Traced functions of the signatures by name.

    Raises:
        PublishError: If a function uses a resource that no layer holds.
    """
    # Not the model itself: TensorFlow would trace it once more, as it is called in training.
    archive = tf.__internal__.tracking.AutoTrackable()
    used = [v for function in functions.values() for v in function.graph.variables]
    kept = [getattr(variable, "_value", variable) for variable in model.variables]
    every = list({id(variable.handle): variable for variable in (*kept, *used)}.values())
    archive.variables = every
    archive.trainable_variables = [variable for variable in every if variable.trainable]
    archive.tables = list(_tables(model))
    # Without their gradients, functions may capture any tensor in their custom gradients.
    for gradients in (True, False):
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=gradients)
        try:
            tf.saved_model.save(archive, str(folder), signatures=dict(functions), options=options)
            return
        except (AssertionError, KeyError, ValueError) as error:
            if gradients and "custom gradients" in str(error):
                continue
            held = [variable.handle for variable in every]
            held += [table.resource_handle for table in archive.tables]
            raise _unsaved(model, functions, {id(handle) for handle in held}, error) from error


def _tables(model: tf.Module) -> Iterator[tf.saved_model.experimental.TrackableResource]:
    """Yields the lookup tables that a model's layers hold."""
    for layer in model._flatten_layers() if isinstance(model, keras.Model) else [model]:
        for part in tf.train.TrackableView(layer).descendants():
            if isinstance(part, tf.saved_model.experimental.TrackableResource):
                yield part


def _unsaved(
    model: keras.Model,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
    held: Collection[int],
    error: Exception,
) -> PublishError:
    """Returns an error that names the layer whose resource could not be saved."""
    captures = [pair for function in functions.values() for pair in function.graph.captures]
    for outer, inner in captures:
        if outer.dtype == tf.resource and id(outer) not in held:
            users = [layer_path(op.name, layer_names(model)) for op in inner.consumers()]
            where = f"the layer {users[0]}" if users and users[0] else "the model"
            return PublishError(
                f"The SavedModel cannot be written: {where} uses a lookup table or another "
                "resource that no layer holds.",
                "Assign it to an attribute of the layer: self.table = table.",
            )
    return PublishError(f"The SavedModel cannot be written: {plain(error)}")


def write_card(
    card: str | Callable[[str], str] | None,
    model: keras.Model,
    name: str,
    exports: Exports,
    functions: Mapping[str, tf.types.experimental.ConcreteFunction],
    onnx: bool = False,
) -> str:
    """Returns the model card with the usage section that is generated from the graphs.

    Args:
        card: Card, or a function from the usage section to the card; a plain card for `None`.
        model: The model.
        name: Name of the model.
        exports: Signatures, LiteRT function and formats of the version.
        functions: Traced functions of the signatures and, by the name `LITERT_FILE`, of LiteRT.
        onnx: Whether `model.onnx` is published. Defaults to `False`.
    """
    if isinstance(card, str):
        return card
    text = usage(name, exports, exports.notes, functions=functions, onnx=onnx)
    return card(text) if card else plain_card(name, model, text, not exports.without_litert)


def verify(
    folder: Path,
    model: keras.Model,
    version: _Written,
    process: fresh_process.VerificationProcess,
    rebuild: Callable[[keras.Model], Exports] | None = None,
    safe: bool = True,
) -> None:
    """Loads each file of a version in a fresh process and compares it with the model.

    The `.keras` file is loaded in this process as well: only this process has the classes that
    the user defined, and only here can `rebuild` be applied.

    Args:
        folder: Folder of the version.
        model: Model that the files must match.
        version: The written files.
        process: Process that loads the files.
        rebuild: Function from a model to its exports. Defaults to `None`: only the weights of the
            `.keras` file are compared.
        safe: Whether to refuse Python code in the `.keras` file. Defaults to `True`.

    Raises:
        PublishError: At the first file that does not match.
    """
    functions, exports = version.functions, version.exports
    for key, one in exports.signatures.items():
        check_graph(f"signature {key}", one, functions[key])
    expected: dict[str, Any] = {
        "signatures": {key: record(one, functions[key]) for key, one in exports.signatures.items()},
        "weights": fresh_process.weights_of(model, safe and not keras_file.unsafe_is_enabled()),
    }
    if not exports.without_litert or (folder / ONNX_FILE).is_file():
        expected["litert"] = record(exports.litert, functions[LITERT_FILE])
    expected["parts"] = {
        part_file(name): record(signature, functions[part_file(name)])
        for name, signature in exports.litert_parts.items()
    }
    process.check(folder, expected)
    if exports.processing and not exports.without_litert:
        check_processing(folder, exports.processing, exports.signatures)
    if exports.check and not exports.without_litert:
        exports.check(ModelVersion(folder))
    loaded = keras_file.load(folder, safe)
    if len(loaded.weights) != len(model.weights):
        raise PublishError(
            f"{KERAS_FILE}: has {len(loaded.weights)} weights, the model {len(model.weights)}."
        )
    for path, weight, copy in fresh_process.weight_pairs(model, loaded):
        assert_match(KERAS_FILE, {path: np.asarray(weight)}, {path: np.asarray(copy)})
    if rebuild is not None:
        signature, function = version.reloaded
        first = dataclasses.replace(signature, examples=signature.examples[:KERAS_EXAMPLES])
        copy_ = rebuild(loaded).litert
        rebuilt = concrete_function(copy_)
        names = [spec.name for spec in copy_.inputs]
        _check_inputs(names, [spec.name for spec in first.inputs])
        compare(
            KERAS_FILE,
            record(first, function),
            # By name: the loaded model may have its inputs in another order.
            lambda **tensors: rebuilt(*(tensors[name] for name in names)),
        )


def _check_inputs(names: list[str], expected: list[str]) -> None:
    if sorted(names) != sorted(expected):
        raise PublishError(
            f"{KERAS_FILE}: its inputs are {', '.join(names)}, the model's {', '.join(expected)}."
        )
