"""LiteRT files: converted with built-in ops only, and run in the stock interpreter."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from dlrecipes.errors import PublishError
from dlrecipes.export.quantization import quantize
from dlrecipes.export.signatures import Signature

WARM_UP_CALLS, LATENCY_CALLS = 5, 30


def concrete_function(endpoint: Signature) -> tf.types.experimental.ConcreteFunction:
    """Returns an endpoint's function as one graph for every example."""
    function = tf.function(endpoint.function, input_signature=list(endpoint.inputs))
    return function.get_concrete_function()


def convert(
    endpoint: Signature, kind: str = "float32", calibration: Sequence[tuple[np.ndarray, ...]] = ()
) -> bytes:
    """Converts a function to LiteRT with built-in ops only, recurrent networks included.

    The function is frozen first: a graph of constants is what keeps a loop of unknown
    length free of TensorFlow ("Flex") ops. The frozen graph passes through a SavedModel
    because that alone keeps the names of inputs and outputs.

    Args:
        endpoint: The function.
        kind: `"float32"`; `"float16"`, weights of half the size; `"dynamic"`, weights of 8
            bits; `"int8"`, all of 8 bits, inputs and outputs included.
        calibration: Inputs from which `"int8"` takes the ranges of what is computed.

    Raises:
        PublishError: If the function needs an op that LiteRT does not have.
    """
    concrete = concrete_function(endpoint)
    names = sorted(concrete.structured_outputs)
    frozen = convert_variables_to_constants_v2(concrete)

    def named(*tensors):
        return dict(zip(names, frozen(*tensors), strict=True))

    with tempfile.TemporaryDirectory() as folder:
        signature = tf.function(named, input_signature=list(endpoint.inputs))
        tf.saved_model.save(tf.Module(), folder, signatures=signature.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        _shrink(converter, kind)
        try:
            content = converter.convert()
        except Exception as error:
            raise conversion_error(str(error), concrete.graph.as_graph_def()) from error
    return quantize(content, _named(endpoint, calibration)) if kind == "int8" else content


def _named(
    endpoint: Signature, examples: Sequence[tuple[np.ndarray, ...]]
) -> Iterator[dict[str, np.ndarray]]:
    for example in examples:
        pairs = zip(endpoint.inputs, example, strict=True)
        yield {spec.name: np.asarray(x, spec.dtype.as_numpy_dtype) for spec, x in pairs}


def conversion_error(message: str, graph: tf.compat.v1.GraphDef) -> PublishError:
    """Returns the converter's failure by the ops that LiteRT lacks, and the layers they are of."""
    ops = dict.fromkeys(re.findall(r"'tf\.(\w+)' op is neither", message))
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    for op in ops:
        # Keras names what a layer computes by the layers that hold it.
        scopes = [node.name.rpartition("/")[0] for node in nodes if node.op == op]
        ops[op] = next((f" (layer {scope})" for scope in scopes if scope), "")
    if not ops:
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        told = next((line for line in lines if "error:" in line), lines[0] if lines else "")
        return PublishError(f"LiteRT cannot run this model: {told[:300]}")
    listed = ", ".join(f"{op}{where}" for op, where in ops.items())
    return PublishError(
        f"LiteRT cannot run this model: it has no built-in op {listed}.",
        "Compute that by other ops, or outside of what is published as LiteRT.",
    )


def _shrink(converter: tf.lite.TFLiteConverter, kind: str) -> None:
    if kind in ("float32", "int8"):
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif kind != "dynamic":
        raise ValueError(f"kind must be float32, float16, dynamic or int8, not {kind!r}.")


class LiteRTModel:
    """A LiteRT file in the stock interpreter, called by input name, at any length.

    Real numbers go in and come out, of a model of 8 bits as well.

    Args:
        path: The file.
        threads: Threads the interpreter uses.
    """

    def __init__(self, path: Path, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        signatures = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(next(iter(signatures)))
        self._inputs = _scales(self._runner.get_input_details())
        self._outputs = _scales(self._runner.get_output_details())

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the outputs by name."""
        for name, (scale, zero) in self._inputs.items():
            rounded = np.round(np.asarray(inputs[name]) / scale) + zero
            inputs[name] = np.clip(rounded, -128, 127).astype("int8")
        found = self._runner(**inputs)
        for name, (scale, zero) in self._outputs.items():
            found[name] = ((found[name].astype("float32") - zero) * scale).astype("float32")
        return found


def latencies(models: Mapping[str, LiteRTModel], endpoint: Signature) -> dict[str, float]:
    """Returns the median time of a call on the first of an endpoint's examples, in ms, by name.

    They are called in turn, for a machine's speed changes from one second to the next.
    """
    names = [spec.name for spec in endpoint.inputs]
    inputs = dict(zip(names, endpoint.examples[0], strict=True))
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(WARM_UP_CALLS + LATENCY_CALLS):
        for name, model in models.items():
            start = time.perf_counter()
            model(**inputs)
            seconds[name].append(time.perf_counter() - start)
    return {
        name: statistics.median(found[WARM_UP_CALLS:]) * 1000 for name, found in seconds.items()
    }


def _scales(details: Mapping[str, Mapping]) -> dict[str, tuple[float, int]]:
    """Returns scale and zero point of the tensors that stand for real numbers in 8 bits."""
    return {
        name: detail["quantization"]
        for name, detail in details.items()
        # Whole numbers of 8 bits have the scale 0.
        if detail["dtype"] is np.int8 and detail["quantization"][0]
    }
