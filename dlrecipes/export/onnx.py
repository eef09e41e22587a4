"""ONNX files: conversion of the LiteRT function, and ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export.litert_interpreter import LiteRTModel
from dlrecipes.export.names import by_name
from dlrecipes.export.signatures import Signature
from dlrecipes.export.version import ONNX_FILE

OPSET = 18


def check_installed() -> None:
    """Raises `UsageError` if the converter is not installed."""
    if find_spec("tf2onnx") is None:
        raise UsageError(
            "ONNX files require the package tf2onnx.", "Install it: pip install 'dlrecipes[onnx]'"
        )


def convert(signature: Signature) -> bytes:
    """Converts a function to ONNX. Inputs and outputs keep their names.

    Args:
        signature: Signature with the function.

    Raises:
        UsageError: If the converter is not installed.
        PublishError: If the function needs an op that ONNX does not support.
    """
    check_installed()
    import tf2onnx

    function = tf.function(signature.function, input_signature=list(signature.inputs))
    return _converted(tf2onnx.convert.from_function, function, list(signature.inputs))


def convert_litert(path: Path) -> bytes:
    """Converts a LiteRT file to ONNX. Inputs and outputs keep their names.

    Args:
        path: LiteRT file in float32.

    Raises:
        UsageError: If the converter is not installed.
        PublishError: If the file has an op that ONNX does not support.
    """
    check_installed()
    import tf2onnx

    content = _converted(tf2onnx.convert.from_tflite, str(path))
    return _renamed(content, LiteRTModel(path).tensor_names())


def _renamed(content: bytes, names: Mapping[str, str]) -> bytes:
    """Returns an ONNX model whose tensors have other names, in the bodies of loops as well."""
    import onnx

    model = onnx.load_from_string(content)
    missing = set(names) - {tensor.name for tensor in (*model.graph.input, *model.graph.output)}
    if missing:
        raise PublishError(f"{ONNX_FILE}: tf2onnx dropped the tensor {sorted(missing)[0]}.")
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        for tensor in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            tensor.name = names.get(tensor.name, tensor.name)
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _converted(convert: Callable[..., Any], *arguments: Any) -> bytes:
    import onnx

    # It logs a traceback before it raises.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            convert(*arguments, opset=OPSET, output_path=str(path))
            # It may keep ops that it cannot convert.
            onnx.checker.check_model(str(path))
        except Exception as error:
            raise PublishError(
                f"{ONNX_FILE}: tf2onnx cannot convert this model: {reason(error)}.",
                "Publish it without --format onnx.",
            ) from error
        return path.read_bytes()


def can_run() -> bool:
    """Returns whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


class OnnxModel:
    """An ONNX file in ONNX Runtime, called by input name.

    Args:
        path: ONNX file.
    """

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        values = self._session.run(self._outputs, inputs)
        return by_name(ONNX_FILE, self._outputs, values)
