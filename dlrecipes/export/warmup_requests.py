"""Requests that warm a new version before it is served, in TensorFlow Serving's file format.

The file is a TFRecord file of `PredictionLog` messages. The package `tensorflow-serving-api`, which
defines them, is optional, so the fields that are needed here are declared again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework import tensor_pb2

from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.verification import MAX_EXAMPLES, MAX_ROWS
from dlrecipes.export.version import EXTRAS, WARMUP_FILE

# Largest request that is written, in bytes.
MAX_BYTES = 4 * 2**20

# Number and type of each field; "*" marks repeated ones. Tensors and examples are messages of
# TensorFlow, which are bytes on the wire.
_MESSAGES = {
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "InputsEntry": {"key": (1, "string"), "value": (2, "bytes")},
    "ExampleList": {"examples": (1, "bytes*")},
    "ExampleListWithContext": {"examples": (1, "bytes*"), "context": (2, "bytes")},
    "Input": {
        "example_list": (1, "ExampleList"),
        "example_list_with_context": (2, "ExampleListWithContext"),
    },
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "InputsEntry*")},
    "ExamplesRequest": {"model_spec": (1, "ModelSpec"), "input": (2, "Input")},
    "InferenceTask": {"model_spec": (1, "ModelSpec"), "method_name": (2, "string")},
    "MultiInferenceRequest": {"tasks": (1, "InferenceTask*"), "input": (2, "Input")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "ExamplesLog": {"request": (1, "ExamplesRequest")},
    "MultiInferenceLog": {"request": (1, "MultiInferenceRequest")},
    "PredictionLog": {
        "classify_log": (2, "ExamplesLog"),
        "regress_log": (3, "ExamplesLog"),
        "multi_inference_log": (4, "MultiInferenceLog"),
        "predict_log": (6, "PredictLog"),
    },
}


@dataclass(frozen=True)
class WarmupRequest:
    """The inputs of one run of a signature.

    Args:
        signature: Name of the signature; an empty name means the default signature.
        inputs: Arrays by name, or `None` if the request has examples instead. Defaults to `None`.
        examples: Serialized `tf.train.Example`s for the only input. Defaults to none.
    """

    signature: str
    inputs: dict[str, np.ndarray] | None = None
    examples: tuple[bytes, ...] = ()


def write_warmup_requests(folder: Path, name: str, exports: Exports) -> None:
    """Writes predict requests with the first examples of each signature to a version.

    Examples that need more than `MAX_BYTES` even as a single row are left out.

    Args:
        folder: Folder of the version, in which `assets.extra` exists.
        name: Name of the model.
        exports: Signatures of the version, with their examples.
    """
    records = [
        record
        for key, signature in exports.signatures.items()
        for example in signature.examples[:MAX_EXAMPLES]
        if (record := _record(name, key, signature, example))
    ]
    if records:
        with tf.io.TFRecordWriter(str(folder / EXTRAS / WARMUP_FILE)) as writer:
            for record in records:
                writer.write(record)


def read_warmup_requests(path: Path) -> Iterator[WarmupRequest]:
    """Yields the requests of a file, which any tool for TensorFlow Serving may have written.

    Args:
        path: TFRecord file of `PredictionLog` messages.

    Raises:
        tf.errors.OpError, ValueError, google.protobuf.message.DecodeError: If the file is damaged,
            or has messages of other kinds.
    """
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = _message("PredictionLog").FromString(record)
        if log.HasField("predict_log"):
            request = log.predict_log.request
            inputs = {entry.key: _array(entry.value) for entry in request.inputs}
            yield WarmupRequest(request.model_spec.signature_name, inputs)
        elif log.HasField("multi_inference_log"):
            request = log.multi_inference_log.request
            for task in request.tasks:
                yield WarmupRequest(
                    task.model_spec.signature_name, examples=_examples(request.input)
                )
        elif log.HasField("classify_log") or log.HasField("regress_log"):
            kind = "classify_log" if log.HasField("classify_log") else "regress_log"
            request = getattr(log, kind).request
            yield WarmupRequest(
                request.model_spec.signature_name, examples=_examples(request.input)
            )
        else:
            raise ValueError("a record is not a predict, classify or regress request")


def _record(name: str, key: str, signature: Signature, example: tuple[np.ndarray, ...]) -> bytes:
    """Returns a serialized request with the first rows of an example, or nothing if it is large."""
    by_row = all(spec.shape.rank and spec.shape[0] is None for spec in signature.inputs)
    for rows in (MAX_ROWS, 1) if by_row else (None,):
        log = _message("PredictionLog")()
        request = log.predict_log.request
        request.model_spec.name, request.model_spec.signature_name = name, key
        for spec, value in zip(signature.inputs, example, strict=True):
            tensor = tf.constant(value if rows is None else value[:rows], spec.dtype)
            content = tf.make_tensor_proto(tensor.numpy(), spec.dtype, tensor.shape)
            request.inputs.add(key=spec.name, value=content.SerializeToString())
        if log.ByteSize() <= MAX_BYTES:
            return log.SerializeToString()
    return b""


def _array(content: bytes) -> np.ndarray:
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(content))


def _examples(request_input: Any) -> tuple[bytes, ...]:
    """Returns the serialized examples, each with the features of the context."""
    if request_input.HasField("example_list_with_context"):
        shared = request_input.example_list_with_context
        # Concatenated messages are merged when they are parsed; the later one takes precedence.
        return tuple(shared.context + example for example in shared.examples)
    return tuple(request_input.example_list.examples)


@functools.cache
def _message(name: str) -> Any:
    """Returns the class of a message in `_MESSAGES`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"dlrecipes.{name}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="dlrecipes", package="dlrecipes")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            added = message.field.add(name=key, number=number, label=label)
            kind = kind.rstrip("*")
            if kind in _MESSAGES:
                added.type, added.type_name = field.TYPE_MESSAGE, f".dlrecipes.{kind}"
            else:
                added.type = field.TYPE_STRING if kind == "string" else field.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
