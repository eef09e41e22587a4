"""One loaded version of a model: what its signatures take, and how they are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from dlrecipes.serving.status import RequestError, of

DEFAULT = "serving_default"
PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)
# What SavedModels keep for themselves.
_PRIVATE = "__saved_model_"


@dataclass(frozen=True)
class Signature:
    """A function of a SavedModel.

    Args:
        name: Its name.
        function: What computes.
        inputs: What it takes, by name.
        method: What TensorFlow Serving calls it for.
        by_example: Whether the first axis of all inputs and outputs counts examples, of which
            there may be any number: several requests can be answered at once.
    """

    name: str
    function: Any
    inputs: Mapping[str, tf.TensorSpec]
    method: str
    by_example: bool

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Refuses arrays of another shape than the signature takes.

        Raises:
            RequestError: With the first that is wrong.
        """
        for name, spec in self.inputs.items():
            if not spec.shape.is_compatible_with(arrays[name].shape):
                raise RequestError(
                    f"input {name} must have shape {_shape(spec.shape)}, not "
                    f"{_shape(tf.TensorShape(arrays[name].shape))}."
                )

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs for arrays that were checked.

        Raises:
            RequestError: If they cannot be computed.
        """
        try:
            tensors = {
                name: tf.constant(arrays[name], spec.dtype) for name, spec in self.inputs.items()
            }
            return {name: found.numpy() for name, found in self.function(**tensors).items()}
        except Exception as error:
            raise of(error) from error


class Servable:
    """A version of a model, loaded.

    Args:
        name: The model's name.
        version: The version.
        folder: Its folder, a SavedModel.

    Raises:
        OSError, ValueError, tf.errors.OpError: If it cannot be loaded.
    """

    def __init__(self, name: str, version: int, folder: Path):
        self.name = name
        self.version = version
        self.definitions = _definitions(folder)
        # Its variables and tables live as long as this.
        self.loaded = tf.saved_model.load(str(folder))
        self.signatures = {
            key: _signature(key, function, self.definitions[key])
            for key, function in self.loaded.signatures.items()
        }

    def signature(self, name: str = "") -> Signature:
        """Returns a signature by name; by none, the default one.

        Raises:
            RequestError: If there is no such signature.
        """
        wanted = name or DEFAULT
        if wanted not in self.signatures:
            raise RequestError(f'Serving signature name: "{wanted}" not found in signature def')
        return self.signatures[wanted]

    def metadata(self) -> dict[str, Any]:
        """Returns the signatures as TensorFlow Serving describes them."""
        described = meta_graph_pb2.MetaGraphDef()
        for key, definition in self.definitions.items():
            described.signature_def[key].CopyFrom(definition)
        found = json_format.MessageToDict(
            described,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        signatures = found["signature_def"]
        for signature in signatures.values():
            for side in ("inputs", "outputs"):
                for tensor in signature[side].values():
                    tensor.setdefault("tensor_shape", {}).setdefault("dim", [])
        return {"signature_def": {"signature_def": signatures}}


def _definitions(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    described = saved_model_pb2.SavedModel()
    described.ParseFromString((folder / "saved_model.pb").read_bytes())
    for graph in described.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            kept = graph.signature_def.items()
            return {key: value for key, value in kept if not key.startswith(_PRIVATE)}
    raise ValueError("it has no graph that is tagged 'serve'")


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
