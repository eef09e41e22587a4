"""The stock LiteRT interpreter, and models in it, called by name; does not load TensorFlow."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlrecipes._utils.quiet import suppress_stderr

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def open_interpreter(path: Path, threads: int = 1) -> Interpreter:
    """Returns an interpreter of a LiteRT file.

    The first tensors that a process allocates make LiteRT write a line about its delegate to
    standard error, at every level of its log. It is discarded here.

    Args:
        path: LiteRT file.
        threads: Number of threads. Defaults to 1.

    Raises:
        ValueError: If the file is not a LiteRT file.
    """
    from ai_edge_litert.interpreter import Interpreter

    with suppress_stderr():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        # Sizes that are not fixed are 1 here, which some models do not take.
        with contextlib.suppress(RuntimeError):
            interpreter.allocate_tensors()
    return interpreter


class LiteRTModel:
    """A LiteRT file in the stock interpreter, called by input name, with inputs of any length.

    An int8 model is called like a float model: its inputs are quantized, and its outputs are
    dequantized.

    Args:
        path: LiteRT file.
        threads: Number of threads. Defaults to 1.
    """

    def __init__(self, path: Path, threads: int = 1):
        self._lock = threading.Lock()
        self._interpreter = open_interpreter(path, threads)
        signatures = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(next(iter(signatures)))
        self._inputs = _scales(self._runner.get_input_details())
        self._outputs = _scales(self._runner.get_output_details())

    def tensor_names(self) -> dict[str, str]:
        """Returns the names of inputs and outputs by the names of their tensors in the file."""
        details = (self._runner.get_input_details(), self._runner.get_output_details())
        return {entry["name"]: name for side in details for name, entry in side.items()}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name; several threads may call."""
        for name, (scale, zero) in self._inputs.items():
            rounded = np.round(np.asarray(inputs[name]) / scale) + zero
            inputs[name] = np.clip(rounded, -128, 127).astype("int8")
        with self._lock:
            outputs = self._runner(**inputs)
        for name, (scale, zero) in self._outputs.items():
            real = (outputs[name].astype("float32") - zero) * scale
            outputs[name] = real.astype("float32")
        return outputs


def _scales(details: Mapping[str, Mapping]) -> dict[str, tuple[float, int]]:
    """Returns scale and zero point of each int8 tensor that represents floats."""
    return {
        name: detail["quantization"]
        for name, detail in details.items()
        # Tensors of int8 integers have the scale 0.
        if detail["dtype"] is np.int8 and detail["quantization"][0]
    }
