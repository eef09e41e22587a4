"""The `.keras` file of a version: what it can hold, and readable errors when it is loaded."""

from __future__ import annotations

import builtins
import contextlib
import dis
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from dlrecipes.errors import PublishError
from dlrecipes.export import keras_import
from dlrecipes.export.keras_errors import DECORATOR, OF_KERAS, PACKAGES, plain
from dlrecipes.export.version import KERAS_FILE

# Keras' own functions are looked up here by their names alone.
FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")

SAVING_ERRORS = (TypeError, ValueError, NotImplementedError, AttributeError)
NOT_SAVED = "is saved without loss, metrics and optimizer."


def save(model: keras.Model, folder: Path, safe: bool = True) -> str:
    """Writes `model.keras`.

    Args:
        model: Keras model.
        folder: Folder of the version.
        safe: Whether the file must load without `safe_mode=False`. Defaults to `True`.

    Returns:
        A note on the losses and metrics that the file cannot restore, or `""`.

    Raises:
        PublishError: If the file could not be written, or could not be loaded again.
    """
    note = _compile_note(model)
    with _without_loss(model) if note.endswith(NOT_SAVED) else contextlib.nullcontext():
        # The layers inside a layer come after it, and name the place more exactly.
        for layer in reversed(list(model._flatten_layers())):
            _check_layer(layer, safe and not unsafe_is_enabled())
        try:
            model.save(folder / KERAS_FILE)
            keras_import.name_import(folder / KERAS_FILE)
        except SAVING_ERRORS as error:
            raise PublishError(f"{KERAS_FILE} cannot be written: {plain(error)}") from error
    return note


def load(folder: Path, safe: bool = True) -> keras.Model:
    """Returns the model of a version's `.keras` file without its losses and its optimizer.

    Args:
        folder: Folder of the version.
        safe: Whether to refuse Python code in the file. Defaults to `True`.

    Raises:
        PublishError: If the file cannot be loaded.
    """
    try:
        # Without the losses, which may be the user's own functions.
        return keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=safe)
    except Exception as error:
        why = plain(error)
        hint = "Publish a model without this layer." if why.endswith(OF_KERAS) else ""
        raise PublishError(f"{KERAS_FILE} cannot be loaded again: {why}", hint) from error


def kept_weights(model: keras.Model) -> list[Any]:
    """Returns the weights that have the same values in a `.keras` file.

    Keras adds LoRA's matrices to the kernel when it saves a layer, and starts with new ones when
    it loads the layer: other weights, but the same outputs.

    Args:
        model: Keras model.
    """
    layers = [layer for layer in model._flatten_layers() if getattr(layer, "lora_enabled", False)]
    merged = {id(weight) for layer in layers for weight in layer.weights}
    return [weight for weight in model.weights if id(weight) not in merged]


def unsafe_is_enabled() -> bool:
    """Returns whether `keras.config.enable_unsafe_deserialization` was called."""
    from keras.src.saving.serialization_lib import in_safe_mode  # Keras has no public getter.

    return in_safe_mode() is False


def _check_layer(layer: keras.Layer, safe: bool) -> None:
    """Raises `PublishError` if a layer could not be loaded from a `.keras` file."""
    kind, what = type(layer).__name__, "model" if isinstance(layer, keras.Model) else "layer"
    try:
        config = keras.saving.serialize_keras_object(layer)
    except SAVING_ERRORS as error:
        if type(layer).__module__.split(".")[0] in PACKAGES:
            raise PublishError(f"{what} {layer.name} ({kind}): {plain(error)}") from error
        raise PublishError(
            f"{KERAS_FILE}: the {what} {layer.name} ({kind}, {_place(type(layer).__module__)}) "
            "cannot be saved, because its constructor takes objects that are not plain values.",
            f"Give {kind} a get_config that returns them, and a from_config.",
        ) from error
    _check_functions(layer)
    for entry in _objects(config):
        if entry["class_name"] == "__lambda__" and safe:
            raise PublishError(
                f"{KERAS_FILE}: the {what} {layer.name} ({kind}) holds Python code (a lambda), "
                "which Keras does not load by default.",
                "Allow it with publish(..., safe=False) or "
                "keras.config.enable_unsafe_deserialization(), or use a registered layer.",
            )
        if not _is_known(entry):
            raise _unregistered(f"the {what} {layer.name}", _with_module(entry, layer))


def _check_functions(layer: keras.Layer) -> None:
    """Raises `PublishError` if a layer has a lambda that a file cannot hold."""
    for name, value in vars(layer).items():
        if name.endswith("activation") and getattr(value, "__name__", "") == "<lambda>":
            raise PublishError(
                f"{KERAS_FILE}: the {name} of the layer {layer.name} is a lambda, which Keras "
                "cannot save.",
                f"Give the layer a function instead, with {DECORATOR} above it.",
            )
    if not isinstance(layer, keras.layers.Lambda):
        return
    code = getattr(layer.function, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return
    instructions = dis.get_instructions(code)
    names = {str(one.argval) for one in instructions if one.opname.startswith("LOAD_GLOBAL")}
    missing = sorted(names - set(dir(builtins)))
    if missing:
        raise PublishError(
            f"{KERAS_FILE}: the layer {layer.name} (Lambda) uses {', '.join(missing)} of your "
            "module, and the file holds only the code of the lambda itself.",
            f"Give the layer a function instead, with {DECORATOR} above it.",
        )


def _unregistered(where: str, entry: Mapping[str, Any]) -> PublishError:
    keyword, name = _named(entry)
    return PublishError(
        f"{KERAS_FILE}: {where} uses the {keyword} {name} ({_place(entry['module'])}), which is "
        "not registered, so that the file could not be loaded.",
        f"Write {DECORATOR} above {'def' if keyword == 'function' else 'class'} {name}; for this "
        f"model, {DECORATOR[1:]}({name}) before it is published is enough.",
    )


def _with_module(entry: Mapping[str, Any], layer: keras.Layer) -> Mapping[str, Any]:
    """Returns an entry with its module, which Keras does not note for a function."""
    _, name = _named(entry)
    for value in vars(layer).values():
        if callable(value) and getattr(value, "__name__", "") == name:
            return {**entry, "module": value.__module__}
    return entry


def _named(entry: Mapping[str, Any]) -> tuple[str, str]:
    if entry["class_name"] == "function":
        return "function", str(entry["config"])
    return "class", entry["class_name"]


def _place(module: str | None) -> str:
    if module in (None, "__main__", "builtins"):
        return "in your script or notebook, __main__"
    return f"in the module {module}"


def _is_known(entry: Mapping[str, Any]) -> bool:
    """Returns whether Keras can find a class or function by its entry in a configuration."""
    if "module" not in entry or entry["class_name"].startswith("__"):
        return True
    keyword, name = _named(entry)
    registered = entry.get("registered_name")
    names = (name, registered) if keyword == "function" else (registered,)
    if any(key and keras.saving.get_registered_object(key) for key in names):
        return True
    if keyword == "function" and entry["module"] == "builtins":
        return any(hasattr(getattr(keras, module), name) for module in FUNCTIONS)
    return (entry["module"] or "").split(".")[0] in (*PACKAGES, "builtins")


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the serialized objects in a configuration, the innermost first."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            # Losses, metrics and optimizers are not needed to load the model.
            if key != "compile_config":
                yield from _objects(value)
        if isinstance(config.get("class_name"), str) and "config" in config:
            yield config
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _objects(value)


def _compile_note(model: keras.Model) -> str:
    """Returns a note if losses, metrics or the optimizer could not be restored."""
    if not model.compiled:
        return ""
    try:
        config = keras.saving.serialize_keras_object(model.get_compile_config())
    except SAVING_ERRORS as error:
        return f"{KERAS_FILE}: {plain(error).rstrip('.')}. The file {NOT_SAVED}"
    names = dict.fromkeys(
        "that is a lambda" if entry["class_name"] == "__lambda__" else _named(entry)[1]
        for entry in _objects(config)
        if entry["class_name"] == "__lambda__" or not _is_known(entry)
    )
    if not names:
        return ""
    where = "each definition" if len(names) > 1 else "its definition"
    return (
        f"{KERAS_FILE} cannot restore the loss, metric or optimizer {', '.join(names)}: load it "
        f"with compile=False, or write {DECORATOR} above {where} and publish again."
    )


@contextlib.contextmanager
def _without_loss(model: keras.Model) -> Iterator[None]:
    model.compiled = False
    try:
        yield
    finally:
        model.compiled = True
