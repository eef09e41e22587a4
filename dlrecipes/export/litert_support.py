"""Limits of LiteRT: checks before the conversion, and readable errors of the converter."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import tensorflow as tf

from dlrecipes.errors import PublishError
from dlrecipes.export.signatures import Signature

__all__ = ["LiteRTError", "check_supported", "conversion_error", "layer_path"]

# Offsets in a FlatBuffers file are signed 32-bit numbers. GraphDef messages have the same limit.
MAX_BYTES = 2**31 - 1
# Ops that are listed by an error.
MAX_OPS = 3
HINT = "Use other ops, or publish it with litert=False."


class LiteRTError(PublishError):
    """A model that LiteRT cannot run, or for which it gives other outputs."""


def check_supported(
    signature: Signature,
    function: tf.types.experimental.ConcreteFunction,
    layers: Collection[str] = (),
) -> None:
    """Checks types, resources and size of a function before it is converted.

    Args:
        signature: Signature with the function.
        function: The traced function of the signature.
        layers: Names of the model's layers, for error messages. Defaults to none.

    Raises:
        LiteRTError: If LiteRT cannot run the function.
    """
    tensors = [("input", spec.name, spec.dtype) for spec in signature.inputs]
    outputs = function.structured_outputs
    tensors += [("output", name, outputs[name].dtype) for name in sorted(outputs)]
    for side, name, dtype in tensors:
        if dtype == tf.string:
            raise _error(f"its {side} {name} is a string, and LiteRT files take numbers")
    variables = {id(variable.handle) for variable in function.graph.variables}
    for outer, inner in function.graph.captures:
        if outer.dtype == tf.resource and id(outer) not in variables:
            user = next(iter(inner.consumers()), None)
            where = layer_path(user.name, layers) if user is not None else ""
            raise _error(f"it looks values up in a table{_at_layer(where)}")
    check_size(function)


def check_size(function: tf.types.experimental.ConcreteFunction) -> None:
    """Raises `LiteRTError` if the variables of a function do not fit into a LiteRT file."""
    size = sum(4 * int(np.prod(variable.shape)) for variable in function.graph.variables)
    if size > MAX_BYTES:
        raise _error(
            f"its weights take {size / 2**30:.1f} GiB, and a LiteRT file holds less than "
            f"{(MAX_BYTES + 1) / 2**30:.3g} GiB"
        )


def conversion_error(
    message: str, graph: tf.compat.v1.GraphDef, layers: Collection[str] = ()
) -> LiteRTError:
    """Returns an error that names the unsupported ops, and the layers that use them.

    Args:
        message: Message of the converter.
        graph: Graph that was converted.
        layers: Names of the model's layers. Defaults to none: scopes of the graph are shown.
    """
    ops = dict.fromkeys(re.findall(r"'tf\.(\w+)' op is neither", message))
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    for op in ops:
        # Keras prefixes the names of a layer's ops with the names of the layers around them.
        scopes = [node.name.rpartition("/")[0] for node in nodes if node.op == op]
        ops[op] = _at_layer(next((layer_path(scope, layers) for scope in scopes if scope), ""))
    if ops:
        listed = [f"{op}{where}" for op, where in ops.items()]
        more = f" and {len(listed) - MAX_OPS} more" if len(listed) > MAX_OPS else ""
        return _error(f"it has no built-in op {', '.join(listed[:MAX_OPS])}{more}")
    # The position of the failure is a chain of calls, of which the first is the op's own.
    if place := re.search(r'error: loc\(.*?fused\["(\w+):", "([^"@]*)', message):
        where = _at_layer(layer_path(place[2].rpartition("/")[0], layers))
        return _error(f"its converter fails at the op {place[1]}{where}")
    return _error("its converter fails on this graph")


def layer_path(scope: str, layers: Collection[str]) -> str:
    """Returns the path of the layer that an op belongs to.

    Args:
        scope: Scope of the op in the graph.
        layers: Names of the model's layers. Defaults to none: the scope is returned.
    """
    parts = scope.split("/")
    if not layers:
        return scope
    # Graphs append a number to each name that they have seen, also to the model's own.
    numbered = parts[0] not in layers
    path = []
    for part in parts:
        name = re.sub(r"_\d+$", "", part) if numbered else part
        name = next((known for known in (name, part) if known in layers), "")
        if not name:
            break
        path.append(name)
    return "/".join(path)


def _at_layer(path: str) -> str:
    return f" (layer {path})" if path else ""


def _error(why: str) -> LiteRTError:
    return LiteRTError(f"LiteRT cannot run this model: {why}.", HINT)
