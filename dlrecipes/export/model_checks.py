"""Checks of a model before it is published: its type, its weights and its outputs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from dlrecipes.errors import PublishError, UsageError
from dlrecipes.export.litert_support import layer_path
from dlrecipes.export.names import input_names
from dlrecipes.export.precision import graph_nodes
from dlrecipes.export.reference_outputs import compare, record
from dlrecipes.export.signatures import Exports

__all__ = ["check_deterministic", "check_finite", "check_model", "layer_names"]

KERAS_2 = ("tf_keras", "keras.src.engine", "keras.engine", "tensorflow.python.keras")
# Names of scopes that TensorFlow accepts in a graph.
SCOPE = re.compile(r"[A-Za-z0-9_.\\/>-]*")
ROOT_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
OTHER_LIBRARIES = {"torch": "PyTorch", "sklearn": "scikit-learn", "jax": "JAX", "flax": "Flax"}


def check_model(model: Any) -> None:
    """Checks that an object is a Keras model that can be published, with finite weights.

    Args:
        model: Object that was passed as the model.

    Raises:
        UsageError: If it is not a Keras 3 model on the TensorFlow backend.
        PublishError: If a weight is NaN or infinite.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(*_not_a_model(model))
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"publish: Keras computes with {backend}, and a SavedModel needs TensorFlow.",
            "Save the model with model.save('model.keras'), set KERAS_BACKEND=tensorflow, and "
            "publish keras.saving.load_model('model.keras').",
        )
    _check_names(model)
    check_finite(model)


def _check_names(model: keras.Model) -> None:
    """Raises `UsageError` if a layer's name cannot be a scope of a graph."""
    for layer in model._flatten_layers():
        # Inputs open no scope. The model's own scope is the outermost, which has stricter rules.
        pattern = ROOT_SCOPE if layer is model else SCOPE
        if isinstance(layer, keras.layers.InputLayer) or pattern.fullmatch(layer.name):
            continue
        what = "model" if layer is model else "layer"
        raise UsageError(
            f"publish: the name {layer.name!r} of the {what} is not valid in a TensorFlow graph.",
            f"Build the {what} with name={input_names([layer.name])[0]!r}, and load the weights.",
        )


def _not_a_model(thing: Any) -> tuple[str, str]:
    """Returns message and hint for an object that is not a Keras model."""
    if isinstance(thing, type):
        return f"publish: expected a Keras model, got the class {thing.__name__}.", (
            "Create the model first, and build it."
        )
    name = type(thing).__name__
    modules = [cls.__module__ for cls in type(thing).__mro__]
    if any(module.startswith(KERAS_2) for module in modules):
        return f"publish: expected a model of Keras 3, got {name} of tf_keras (Keras 2).", (
            "Save it with model.save('model.h5'), unset TF_USE_LEGACY_KERAS, and publish "
            "keras.saving.load_model('model.h5')."
        )
    if isinstance(thing, keras.Layer):
        return f"publish: expected a Keras model, got the layer {name}.", (
            "Make a model of it: keras.Sequential([keras.Input(shape), layer])."
        )
    libraries = {module.split(".")[0] for module in modules} & set(OTHER_LIBRARIES)
    if libraries:
        library = OTHER_LIBRARIES[min(libraries)]
        return f"publish: expected a Keras model, got {name} of {library}.", (
            "Only Keras models can be published."
        )
    hint = "Create it with keras.Sequential or keras.Model."
    if isinstance(thing, str) or hasattr(thing, "__fspath__"):
        hint = "Load the model first: keras.saving.load_model(path)."
    return f"publish: expected a Keras model, got {name}.", hint


def layer_names(model: keras.Model) -> set[str]:
    """Returns the names of a model's layers, including the model itself."""
    return {layer.name for layer in model._flatten_layers()}


def check_finite(model: keras.Model) -> None:
    """Raises `PublishError` if a weight of the model is NaN or infinite.

    Args:
        model: Keras model.
    """
    broken = []
    for weight in model.weights:
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        values = np.asarray(weight).astype(np.float64, copy=False)
        if not np.all(np.isfinite(values)):
            broken.append((weight.path, np.isnan(values).sum(), np.isinf(values).sum(), weight))
    if not broken:
        return
    path, nans, infinities, weight = broken[0]
    counts = [f"{n} {what}" for n, what in ((nans, "NaN"), (infinities, "infinite")) if n]
    others = len(broken) - 1
    more = f" So {'have' if others > 1 else 'has'} {others} more." if others else ""
    raise PublishError(
        f"publish: the weight {path} has {' and '.join(counts)} among its "
        f"{int(np.prod(weight.shape)):,} values.{more}",
        "Restore an earlier checkpoint, or train again with a lower learning rate.",
    )


def check_deterministic(
    exports: Exports, functions: Mapping[str, Any], layers: Collection[str]
) -> None:
    """Raises `PublishError` if a signature's outputs are random.

    Args:
        exports: Signatures with examples.
        functions: Traced functions of the signatures by name.
        layers: Names of the model's layers.
    """
    for key, signature in exports.signatures.items():
        nodes = graph_nodes(functions[key].graph.as_graph_def())
        random = [node.name for node in nodes if "Random" in node.op or "Multinomial" in node.op]
        if not signature.examples or not random:
            continue
        first = dataclasses.replace(signature, examples=signature.examples[:1])
        try:
            references = record(first, functions[key])
            compare(key, references, lambda f=functions[key], **x: f(*x.values()))
        except PublishError as error:
            paths = dict.fromkeys(layer_path(name, layers) for name in random)
            where = f" (random numbers: layer {', '.join(filter(None, paths))})" if layers else ""
            raise PublishError(
                f"publish: the outputs of the signature {key} are random{where}: two calls with "
                "the same inputs differ, so that no file can be compared with the model.",
                "Use random numbers in training only, or take them as an input.",
            ) from error
