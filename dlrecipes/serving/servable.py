"""A loaded version of a model and its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from dlrecipes.serving.status import RequestError, to_request_error
from dlrecipes.serving.version_files import SAVED_MODEL_FILE, check_files

DEFAULT = "serving_default"
PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)
# Prefix of the signatures that SavedModels use internally.
_PRIVATE = "__saved_model_"


@dataclass(frozen=True)
class Signature:
    """A signature of a SavedModel.

    Args:
        name: Name of the signature.
        function: Concrete function that computes the outputs.
        inputs: Specifications of the inputs, by name.
        method: TensorFlow Serving's method name: `PREDICT`, `CLASSIFY` or `REGRESS`.
        by_example: Whether the first axis of all inputs and outputs is a batch axis of variable
            size, so that requests can be batched.
    """

    name: str
    function: Any
    inputs: Mapping[str, tf.TensorSpec]
    method: str
    by_example: bool

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuses arrays whose shapes do not match the signature.

        Raises:
            RequestError: For the first input whose shape does not match.
        """
        for name, spec in self.inputs.items():
            if not spec.shape.is_compatible_with(arrays[name].shape):
                raise RequestError(
                    f"input {name} must have shape {_shape(spec.shape)}, not "
                    f"{_shape(tf.TensorShape(arrays[name].shape))}."
                )

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs for arrays that `check` has accepted.

        Raises:
            RequestError: If the outputs cannot be computed.
        """
        try:
            tensors = {
                name: tf.constant(arrays[name], spec.dtype) for name, spec in self.inputs.items()
            }
            return {name: output.numpy() for name, output in self.function(**tensors).items()}
        except Exception as error:
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
        check_files(folder)
        self.name = name
        self.version = version
        self.definitions = _definitions(folder)
        # Keeps the variables and tables of the signatures alive.
        self.loaded = tf.saved_model.load(str(folder))
        self.signatures = {
            key: _signature(key, function, self.definitions[key])
            for key, function in self.loaded.signatures.items()
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
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((folder / SAVED_MODEL_FILE).read_bytes())
    for graph in saved_model.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            definitions = graph.signature_def.items()
            return {key: value for key, value in definitions if not key.startswith(_PRIVATE)}
    raise ValueError("no graph of the SavedModel is tagged 'serve'")


def _signature(name: str, function: Any, definition: meta_graph_pb2.SignatureDef) -> Signature:
    specs = function.structured_input_signature[1]
    inputs = {key: specs[key] for key in sorted(specs)}
    outputs = function.structured_outputs
    shapes = [spec.shape for spec in (*inputs.values(), *outputs.values())]
    by_example = bool(inputs) and all(
        shape.rank is not None and shape.rank > 0 and shape[0] is None for shape in shapes
    )
    method = definition.method_name or PREDICT
    return Signature(name, function, inputs, method, by_example)


def _shape(shape: tf.TensorShape) -> str:
    if shape.rank is None:
        return "of any rank"
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
