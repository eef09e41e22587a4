"""Functions in float32, for LiteRT and ONNX files of models that compute in another precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2
from tensorflow.python.eager.wrap_function import function_from_graph_def
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from dlrecipes.export.signatures import Signature

FLOAT32 = tf.float32.as_datatype_enum
# Largest relative error of a model's outputs against those of the same model in float32. A sum
# of rounded products loses a few bits more than the 11 and 8 bits of a number.
TOLERANCES = {tf.bfloat16: 1e-1, tf.float16: 2e-2, tf.float64: 1e-4}
_OTHER = {dtype.as_datatype_enum: dtype for dtype in TOLERANCES}


def graph_nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """Yields the nodes of a graph and of its functions."""
    yield from graph.node
    for definition in graph.library.function:
        yield from definition.node_def


def other_precisions(function: tf.types.experimental.ConcreteFunction) -> list[tf.DType]:
    """Returns the types other than float32 in which a function computes, the coarsest first.

    Args:
        function: Traced function.
    """
    types = {
        attr.type for node in graph_nodes(function.graph.as_graph_def()) for attr in _attrs(node)
    }
    return [dtype for number, dtype in _OTHER.items() if number in types]


def in_float32(signature: Signature, function: tf.types.experimental.ConcreteFunction) -> Signature:
    """Returns a signature that computes in float32 what another one computes in other precisions.

    The layers cannot be asked to do so, because a dtype policy may be set for each layer, and a
    layer's own code may name a type. The types in the graph are replaced instead, after the
    variables were frozen to constants.

    Args:
        signature: Signature with the function.
        function: The traced function of the signature.
    """
    frozen = convert_variables_to_constants_v2(function)
    graph = frozen.graph.as_graph_def()
    for node in graph_nodes(graph):
        _replace_types(node)
    for definition in graph.library.function:
        for argument in (*definition.signature.input_arg, *definition.signature.output_arg):
            argument.type = FLOAT32 if argument.type in _OTHER else argument.type
    names = sorted(function.structured_outputs)
    rewritten = function_from_graph_def(
        graph, [tensor.name for tensor in frozen.inputs], [tensor.name for tensor in frozen.outputs]
    )

    def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(names, rewritten(*tensors), strict=True))

    inputs = [
        tf.TensorSpec(spec.shape, tf.float32, name=spec.name) if spec.dtype in TOLERANCES else spec
        for spec in signature.inputs
    ]
    examples = [
        tuple(
            np.asarray(array, np.float32) if spec.dtype in TOLERANCES else array
            for spec, array in zip(signature.inputs, example, strict=True)
        )
        for example in signature.examples
    ]
    return Signature(call, inputs, examples)


def _attrs(node: node_def_pb2.NodeDef) -> Iterator[attr_value_pb2.AttrValue]:
    """Yields the attributes of a node, and those of the functions that it calls."""
    waiting = list(node.attr.values())
    while waiting:
        attr = waiting.pop()
        yield attr
        waiting += attr.func.attr.values()
        waiting += [value for func in attr.list.func for value in func.attr.values()]


def _replace_types(node: node_def_pb2.NodeDef) -> None:
    for attr in _attrs(node):
        kind = attr.WhichOneof("value")
        if kind == "type" and attr.type in _OTHER:
            attr.type = FLOAT32
        elif kind == "list":
            attr.list.type[:] = [FLOAT32 if t in _OTHER else t for t in attr.list.type]
        elif kind == "tensor" and attr.tensor.dtype in _OTHER:
            values = tf.make_ndarray(attr.tensor).astype(np.float32)
            attr.tensor.CopyFrom(tf.make_tensor_proto(values))
    if node.op == "Cast" and node.attr["SrcT"].type == node.attr["DstT"].type == FLOAT32:
        node.op = "Identity"
        for name in ("SrcT", "DstT", "Truncate"):
            node.attr.pop(name, None)
        node.attr["T"].type = FLOAT32
