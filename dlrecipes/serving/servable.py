"""A loaded version of a model and its signatures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrecipes.serving.status import RequestError, to_request_error
from dlrecipes.serving.tensors import as_array
from dlrecipes.serving.version_files import SAVED_MODEL_FILE, check_files

if TYPE_CHECKING:
    from tensorflow.core.protobuf import meta_graph_pb2

DEFAULT = "serving_default"
# Prefix of the signatures that SavedModels use internally.
_PRIVATE = "__saved_model_"


@dataclass(frozen=True)
class Signature:
    """A signature of a SavedModel.

    Args:
        name: Name of the signature.
        function: Concrete function that computes the outputs.
        inputs: Specifications of the inputs by name, `tf.TensorSpec` or `litert_servable.Spec`.
        outputs: Names of the outputs.
        by_example: Whether the first axis of all inputs and outputs is a batch axis of variable
            size, so that requests can be batched.
    """

    name: str
    function: Any
    inputs: Mapping[str, Any]
    outputs: Collection[str]
    by_example: bool

    def check_names(self, names: Iterable[str]) -> None:
        """Refuses names of inputs that are not exactly those of the signature.

        Raises:
            RequestError: If an input is missing, or there is another one.
        """
        sent, expected = set(names), set(self.inputs)
        if sent != expected:
            raise RequestError(
                f"input size does not match signature: {len(sent)}!={len(expected)} "
                f"len({_names(sent)}) != len({_names(expected)}). "
                f"Sent extra: {_names(sent - expected)}. "
                f"Missing but required: {_names(expected - sent)}."
            )

    def misfit(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Returns which array's shape differs from the declared one, or an empty text.

        As in TensorFlow Serving, such arrays are not refused: the function may accept them.

        Args:
            arrays: Inputs by name.
        """
        for name, spec in self.inputs.items():
            if not spec.shape.is_compatible_with(arrays[name].shape):
                return (
                    f"input {name} must have shape {_shape(spec.shape)}, not "
                    f"{_shape(arrays[name].shape)}."
                )
        return ""

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs for the inputs by name.

        Args:
            arrays: Inputs by name.

        Raises:
            RequestError: If the outputs cannot be computed.
        """
        import tensorflow as tf

        try:
            tensors = {
                name: tf.constant(arrays[name], spec.dtype) for name, spec in self.inputs.items()
            }
            outputs = self.function(**tensors)
            return {name: as_array(output.numpy()) for name, output in outputs.items()}
        except Exception as error:
            if problem := self.misfit(arrays):
                raise RequestError(problem) from error
            raise to_request_error(error) from error


class Servable:
    """A loaded version of a model.

    Args:
        name: Name of the model.
        version: Number of the version.
        folder: Folder of the version, which is a SavedModel.

    Raises:
        OSError, ValueError, tf.errors.OpError: If the SavedModel cannot be loaded.
    """

    def __init__(self, name: str, version: int, folder: Path):
        import tensorflow as tf

        check_files(folder)
        self.name = name
        self.version = version
        self.definitions = _definitions(folder)
        # Keeps the variables and tables of the signatures alive.
        self.loaded = tf.saved_model.load(str(folder))
        self.signatures = {
            key: _signature(key, function) for key, function in self.loaded.signatures.items()
        }

    def signature(self, name: str = "") -> Signature:
        """Returns a signature by name; an empty name means the default signature.

        Raises:
            RequestError: If there is no such signature.
        """
        name = name or DEFAULT
        if name not in self.signatures:
            raise RequestError(f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name]

    def metadata(self) -> dict[str, Any]:
        """Returns the signatures in the form of TensorFlow Serving's metadata."""
        from google.protobuf import json_format
        from tensorflow.core.protobuf import meta_graph_pb2

        graph = meta_graph_pb2.MetaGraphDef()
        for key, definition in self.definitions.items():
            graph.signature_def[key].CopyFrom(definition)
        fields = json_format.MessageToDict(
            graph,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        signatures = fields["signature_def"]
        for signature in signatures.values():
            for side in ("inputs", "outputs"):
                for tensor in signature[side].values():
                    tensor.setdefault("tensor_shape", {}).setdefault("dim", [])
        return {"signature_def": {"signature_def": signatures}}


def _definitions(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / SAVED_MODEL_FILE).read_bytes())
    for graph in saved_model.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            definitions = graph.signature_def.items()
            return {key: value for key, value in definitions if not key.startswith(_PRIVATE)}
    raise ValueError("no graph of the SavedModel is tagged 'serve'")


def _signature(name: str, function: Any) -> Signature:
    specs = function.structured_input_signature[1]
    inputs = {key: specs[key] for key in sorted(specs)}
    outputs = function.structured_outputs
    shapes = [spec.shape for spec in (*inputs.values(), *outputs.values())]
    by_example = bool(inputs) and all(
        shape.rank is not None and shape.rank > 0 and shape[0] is None for shape in shapes
    )
    return Signature(name, function, inputs, tuple(sorted(outputs)), by_example)


def _names(names: Iterable[str]) -> str:
    return f"{{{','.join(sorted(names))}}}"


def _shape(shape: Any) -> str:
    if getattr(shape, "rank", 0) is None:
        return "of any rank"
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
