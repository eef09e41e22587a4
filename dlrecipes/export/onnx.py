"""ONNX files: conversion of the LiteRT function, and ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf

from dlrecipes.errors import PublishError, UsageError, reason
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
    import onnx
    import tf2onnx

    # It logs a traceback before it raises.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    function = tf.function(signature.function, input_signature=list(signature.inputs))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            tf2onnx.convert.from_function(
                function, list(signature.inputs), opset=OPSET, output_path=str(path)
            )
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
