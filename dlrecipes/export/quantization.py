"""Quantization of LiteRT files to int8, including loops and inputs of any length."""

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

# Operators whose constant operand holds weights.
WEIGHTED_OPS = frozenset(
    getattr(schema.BuiltinOperator, name)
    for name in ("BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
)
# Operators that copy values of their operands.
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
# Operators between the products with weights of an int8 network.
NETWORK_OPS = DATA_MOVEMENT_OPS | frozenset(
    getattr(schema.BuiltinOperator, name)
    for name in (
        "ADD",
        "AVERAGE_POOL_2D",
        "HARD_SWISH",
        "MAX_POOL_2D",
        "MEAN",
        "PAD",
        "RELU",
        "RELU6",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
    )
)
SUPPRESSION_OPS = frozenset(
    getattr(schema.BuiltinOperator, name)
    for name in ("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
)


def quantize(content: bytes, examples: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """Returns a LiteRT file with int8 weights and activations.

    The examples determine the value ranges of the activations. The steps are those of
    `TFLiteConverter` with a `representative_dataset`, which cannot be used directly: its
    interpreter ends the process at a loop that passes a tensor through unchanged
    (tensorflow#75140), and allocates memory only for the lengths of the first example.

    Float inputs and outputs become int8, with scales stored in the file; other types are
    unchanged. In loops, products with weights are int8, and the state that is carried from step
    to step stays float32, because its errors would accumulate. A loop without weights stays
    float32, together with everything that is computed from its results: it has no weights to
    quantize, and sums over time, as in a CRF, grow until int8 cannot distinguish them.

    A detector, which suppresses boxes, keeps float inputs and outputs. Its layers are int8, except
    for those that nothing but scores and boxes is computed from: int8 boxes would move by pixels.
    All that is computed from these stays float32, except the probabilities of softmax and sigmoid,
    which TensorFlow's quantizer rounds to multiples of 1/256 even without ranges.

    Args:
        content: LiteRT file in float32.
        examples: Inputs by name, of any length that the file accepts.

    Returns:
        The quantized LiteRT file.

    Raises:
        PublishError: If there are no examples, if the file cannot run on an example, or if
            TensorFlow's quantizer fails.
    """
    content = add_intermediate_tensors(content)
    model = convert_bytearray_to_object(content)
    # Tensors that are not floats are not observed while the examples run.
    for tensor in _loop_invariants(model):
        tensor.type = schema.TensorType.INT32
    inputs = model.signatureDefs[0].inputs
    names = {entry.tensorIndex: entry.name.decode() for entry in inputs}
    input_names = [names[index] for index in model.subgraphs[0].inputs]
    # It owns the bytes that its interpreter reads, so it must live as long as the interpreter.
    calibrator = Calibrator(bytes(convert_object_to_bytearray(model)))
    feeder = calibrator._calibrator
    prepared = None
    for example in examples:
        arrays = [np.asarray(example[name]) for name in input_names]
        shapes = [list(array.shape) for array in arrays]
        try:
            if shapes != prepared:
                feeder.Prepare(shapes)
                prepared = shapes
            feeder.FeedTensor(arrays)
        except (RuntimeError, ValueError) as error:
            described = _described(input_names, shapes)
            raise PublishError(
                f"LiteRT cannot run an example of {described}: {reason(error)}"
            ) from error
    if prepared is None:
        raise PublishError(
            "model.int8.tflite: there are no examples to determine the value ranges.",
            "Pass inputs to Quantized as `calibration`.",
        )
    ranges = convert_bytearray_to_object(feeder.Calibrate())
    for tensor in _loop_invariants(ranges):
        tensor.type = schema.TensorType.FLOAT32
    for tensor in _float_tensors(ranges):
        if tensor.quantization is not None:
            tensor.quantization.min = tensor.quantization.max = None
    _unify_ranges(ranges)
    ends = tf.float32 if _suppresses(ranges) else tf.int8
    try:
        return mlir_quantize(
            bytes(convert_object_to_bytearray(ranges)),
            input_data_type=ends,
            output_data_type=ends,
        )
    except RuntimeError as error:
        raise PublishError(f"model.int8.tflite: quantization failed: {reason(error)}") from error


def _loop_invariants(model: schema.ModelT) -> list[schema.TensorT]:
    """Returns the float tensors that loops pass through unchanged."""
    tensors = []
    for graph in model.subgraphs:
        for op in graph.operators:
            if (body := _body(model, op)) is not None:
                tensors += [
                    graph.tensors[out]
                    for out, first, last in zip(op.outputs, body.inputs, body.outputs, strict=True)
                    if first == last and body.tensors[first].type == schema.TensorType.FLOAT32
                ]
    return tensors


def _float_tensors(model: schema.ModelT) -> list[schema.TensorT]:
    """Returns the tensors that stay float32.

    These are the tensors in loops, except for products with weights, and everything that is
    computed from the results of a loop without such products. In a detector, they are all tensors
    from which no product is computed.
    """
    tensors = []
    for graph in model.subgraphs:
        if _suppresses(model):
            needed = _before_products(model, graph)
            tensors += [x for index, x in enumerate(graph.tensors) if index not in needed]
        after: set[int] = set()
        for op in graph.operators:  # In order of execution.
            products = None
            if (body := _body(model, op)) is not None:
                products = _products(model, body)
                tensors += [
                    tensor for index, tensor in enumerate(body.tensors) if index not in products
                ]
            if products == set() or not after.isdisjoint(_listed(op.inputs)):
                after.update(_listed(op.outputs))
        tensors += [graph.tensors[index] for index in after]
    return tensors


def _suppresses(model: schema.ModelT) -> bool:
    """Returns whether a model suppresses boxes, as detectors do."""
    return any(_code(model, op) in SUPPRESSION_OPS for op in model.subgraphs[0].operators)


def _before_products(model: schema.ModelT, graph: schema.SubGraphT) -> set[int]:
    """Returns the tensors from which a product with weights is computed, by layers alone."""
    needed: set[int] = set()
    for op in reversed(graph.operators):  # Against the order of execution.
        code, inputs = _code(model, op), _listed(op.inputs)
        if _is_product(model, graph, op) or (
            code in NETWORK_OPS and not needed.isdisjoint(_listed(op.outputs))
        ):
            needed.update(inputs)
    return needed


def _unify_ranges(model: schema.ModelT) -> None:
    """Gives tensors that hold the same values the same range, the union of their ranges.

    TensorFlow's quantizer does so for most operators, but not for `REVERSE_V2`: without it, the
    outputs of a backward and a forward LSTM are concatenated with different scales.
    """
    for graph in model.subgraphs:
        groups = {k: {k} for k, tensor in enumerate(graph.tensors) if _has_range(tensor)}
        for op in graph.operators:
            if _code(model, op) in DATA_MOVEMENT_OPS:
                operands = [groups[k] for k in (*op.inputs, *op.outputs) if k in groups]
                union = set().union(*operands)
                groups.update(dict.fromkeys(union, union))
        for index, group in groups.items():
            ranges = [graph.tensors[k].quantization for k in group]
            quantization = graph.tensors[index].quantization
            lowest, highest = min(r.min[0] for r in ranges), max(r.max[0] for r in ranges)
            quantization.min, quantization.max = [lowest], [highest]


def _has_range(tensor: schema.TensorT) -> bool:
    quantization = tensor.quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) > 0


def _body(model: schema.ModelT, op: schema.OperatorT) -> schema.SubGraphT | None:
    """Returns the body of a loop, or `None` for other operators."""
    if _code(model, op) != schema.BuiltinOperator.WHILE:
        return None
    return model.subgraphs[op.builtinOptions.bodySubgraphIndex]


def _products(model: schema.ModelT, graph: schema.SubGraphT) -> set[int]:
    """Returns the operands and results of a graph's products with weights."""
    return {
        int(index)
        for op in graph.operators
        if _is_product(model, graph, op)
        for index in (*op.inputs, *op.outputs)
    }


def _is_product(model: schema.ModelT, graph: schema.SubGraphT, op: schema.OperatorT) -> bool:
    """Returns whether an operator multiplies by weights."""
    return _code(model, op) in WEIGHTED_OPS and any(
        _constant(model, graph, index) for index in op.inputs
    )


def _constant(model: schema.ModelT, graph: schema.SubGraphT, index: int) -> bool:
    # An optional input that is absent has the index -1.
    if index < 0:
        return False
    data = model.buffers[graph.tensors[index].buffer].data
    return data is not None and len(data) > 0


def _listed(indices: np.ndarray | None) -> list[int]:
    # An empty list is stored as `None`.
    return [] if indices is None else [int(index) for index in indices]


def _code(model: schema.ModelT, op: schema.OperatorT) -> int:
    return model.operatorCodes[op.opcodeIndex].builtinCode


def _described(names: list[str], shapes: list[list[int]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in zip(names, shapes, strict=True))
