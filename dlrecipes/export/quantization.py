"""LiteRT files of 8 bits, loops and lengths of any kind included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors
from tensorflow.lite.tools.flatbuffer_utils import (
    convert_bytearray_to_object,
    convert_object_to_bytearray,
)

from dlrecipes.errors import PublishError, reason

__all__ = ["quantize"]

# Operators whose constant operand is weights.
WEIGHTED_OPS = frozenset(
    getattr(schema.BuiltinOperator, name)
    for name in ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
)
# Operators whose results are values of their operands.
DATA_MOVEMENT_OPS = frozenset(
    getattr(schema.BuiltinOperator, name)
    for name in (
        "CONCATENATION",
        "EXPAND_DIMS",
        "PACK",
        "RESHAPE",
        "REVERSE_V2",
        "SELECT_V2",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TRANSPOSE",
    )
)


def quantize(content: bytes, examples: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """Returns a LiteRT file with weights and what is computed in 8 bits.

    The ranges of what is computed are those that the examples cause. What `TFLiteConverter`
    does when it is given a `representative_dataset` is done here in steps, for its interpreter
    ends the process at a loop that hands a tensor on unchanged (tensorflow#75140), and makes
    room for the lengths of the first example alone.

    Inputs and outputs of real numbers become int8, by scales that the file tells; others stay
    what they are. In loops the products with weights are of 8 bits, and what is carried from
    step to step stays float32, for its errors would add up. A loop without weights stays as it
    is, with all that is computed of what comes out of it: there is nothing to shrink in it, and
    sums over time, as a CRF's, grow until 8 bits cannot tell them apart.

    Args:
        content: The file, in float32.
        examples: Inputs by name, of any lengths that the file allows.

    Returns:
        The smaller file.

    Raises:
        PublishError: If there are no examples, or the file cannot run on one.
    """
    content = add_intermediate_tensors(content)
    model = convert_bytearray_to_object(content)
    # What is not of real numbers is not looked at while examples run.
    for tensor in _loop_invariants(model):
        tensor.type = schema.TensorType.INT32
    names = {one.tensorIndex: one.name.decode() for one in model.signatureDefs[0].inputs}
    order = [names[index] for index in model.subgraphs[0].inputs]
    # It holds the bytes that its interpreter reads: to be kept as long as that one.
    calibrator = Calibrator(bytes(convert_object_to_bytearray(model)))
    feeder = calibrator._calibrator
    prepared = None
    for example in examples:
        arrays = [np.asarray(example[name]) for name in order]
        shapes = [list(array.shape) for array in arrays]
        try:
            if shapes != prepared:
                feeder.Prepare(shapes)
                prepared = shapes
            feeder.FeedTensor(arrays)
        except (RuntimeError, ValueError) as error:
            raise PublishError(
                f"LiteRT cannot run an example of {_told(order, shapes)}: {reason(error)}"
            ) from error
    if prepared is None:
        raise PublishError(
            "model.int8.tflite: there is no example to take ranges from.",
            "Give Quantized some inputs as `calibration`.",
        )
    ranges = convert_bytearray_to_object(feeder.Calibrate())
    for tensor in _loop_invariants(ranges):
        tensor.type = schema.TensorType.FLOAT32
    for tensor in _float_tensors(ranges):
        if tensor.quantization is not None:
            tensor.quantization.min = tensor.quantization.max = None
    _unify_ranges(ranges)
    try:
        return mlir_quantize(
            bytes(convert_object_to_bytearray(ranges)),
            input_data_type=tf.int8,
            output_data_type=tf.int8,
        )
    except RuntimeError as error:
        raise PublishError(f"LiteRT cannot make this model one of int8: {reason(error)}") from error


def _loop_invariants(model: schema.ModelT) -> list[schema.TensorT]:
    """Returns a file's tensors of real numbers that come out of a loop as they went in."""
    found = []
    for graph in model.subgraphs:
        for op in graph.operators:
            if (body := _body(model, op)) is not None:
                found += [
                    graph.tensors[out]
                    for out, first, last in zip(op.outputs, body.inputs, body.outputs, strict=True)
                    if first == last and body.tensors[first].type == schema.TensorType.FLOAT32
                ]
    return found


def _float_tensors(model: schema.ModelT) -> list[schema.TensorT]:
    """Returns what loops compute but for products, and all after a loop without products."""
    found = []
    for graph in model.subgraphs:
        after: set[int] = set()
        for op in graph.operators:  # They stand in the order they run in.
            products = None
            if (body := _body(model, op)) is not None:
                products = _products(model, body)
                found += [one for index, one in enumerate(body.tensors) if index not in products]
            if products == set() or not after.isdisjoint(_listed(op.inputs)):
                after.update(_listed(op.outputs))
        found += [graph.tensors[index] for index in after]
    return found


def _unify_ranges(model: schema.ModelT) -> None:
    """Gives tensors that hold the same values one range, that of them all.

    TensorFlow's quantizer does so for most operators, but not for `REVERSE_V2`: what an LSTM
    found backwards is then joined to what another found forwards by numbers of another scale.
    """
    for graph in model.subgraphs:
        alike = {index: {index} for index, one in enumerate(graph.tensors) if _ranged(one)}
        for op in graph.operators:
            if _code(model, op) in DATA_MOVEMENT_OPS:
                groups = [alike[index] for index in (*op.inputs, *op.outputs) if index in alike]
                joined = set().union(*groups)
                alike.update(dict.fromkeys(joined, joined))
        for index, group in alike.items():
            found = [graph.tensors[one].quantization for one in group]
            quantization = graph.tensors[index].quantization
            lowest, highest = min(one.min[0] for one in found), max(one.max[0] for one in found)
            quantization.min, quantization.max = [lowest], [highest]


def _ranged(tensor: schema.TensorT) -> bool:
    found = tensor.quantization
    return found is not None and found.min is not None and len(found.min) > 0


def _body(model: schema.ModelT, op: schema.OperatorT) -> schema.SubGraphT | None:
    """Returns the graph that a loop repeats, of an operator that is a loop."""
    if _code(model, op) != schema.BuiltinOperator.WHILE:
        return None
    return model.subgraphs[op.builtinOptions.bodySubgraphIndex]


def _products(model: schema.ModelT, graph: schema.SubGraphT) -> set[int]:
    """Returns the operands and results of a graph's products with weights."""
    return {
        int(index)
        for op in graph.operators
        if _code(model, op) in WEIGHTED_OPS
        and any(_constant(model, graph, index) for index in op.inputs)
        for index in (*op.inputs, *op.outputs)
    }


def _constant(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> bool:
    # An input that an operator does without has the index -1.
    return index >= 0 and model.buffers[graph.tensors[index].buffer].data is not None


def _listed(indices: np.ndarray | None) -> list[int]:
    # A file has no list where it would be empty.
    return [] if indices is None else [int(index) for index in indices]


def _code(model: schema.ModelT, op: schema.OperatorT) -> int:
    return model.operatorCodes[op.opcodeIndex].builtinCode


def _told(names: list[str], shapes: list[list[int]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in zip(names, shapes, strict=True))
