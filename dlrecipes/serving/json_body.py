"""JSON bodies of requests and responses.

The formats and the error messages are those of TensorFlow Serving's REST API.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import SHOWN, brief, is_base64, to_array, to_json

# Matches every number too large for a double: it has a long exponent or many digits.
_LARGE = re.compile(r"[eE]\+?\d{3}|\d{100}")

# RapidJSON abbreviates Infinity as Inf. Strings are matched first, so that they stay unchanged.
_INF = re.compile(r'("(?:[^"\\]|\\.)*")|\bInf\b')


def parse(body: bytes) -> dict[str, Any]:
    """Returns the JSON object of a request's body.

    Raises:
        RequestError: If the body is not valid JSON, or not an object.
    """
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    try:
        # RapidJSON skips a byte order mark.
        decoded = body.decode("utf-8-sig")
        # parse_float is slow, so it is used only if a number may be too large.
        check: dict[str, Any] = {"parse_float": _finite} if _LARGE.search(decoded) else {}
        if "Inf" in decoded:
            decoded = _INF.sub(lambda match: match[1] or "Infinity", decoded)
        parsed = json.loads(decoded, **check)
    except UnicodeDecodeError as error:
        raise RequestError(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        # Python also reports line and column; RapidJSON reports the offset only.
        raise RequestError(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise RequestError("JSON Parse error: The document is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"JSON Parse error: {error}") from None
    if not isinstance(parsed, dict):
        raise RequestError(f"JSON Value: {brief(parsed)} Is not object")
    return parsed


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("Number too big to be stored in double.")
    return number


def signature_name(body: Mapping[str, Any]) -> str:
    """Returns the name of the requested signature; an empty string means the default.

    Raises:
        RequestError: If the name is not a string.
    """
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(
            f"JSON Value: {brief(body)} not formatted correctly. 'signature_name' key must be a "
            "string value."
        )
    return name


def rows(body: Mapping[str, Any]) -> int:
    """Returns an upper bound of a predict request's number of examples: its longest list."""
    values = body.get("instances", body.get("inputs"))
    columns = values.values() if isinstance(values, dict) else [values]
    return max((len(column) for column in columns if isinstance(column, list)), default=1)


def inputs(
    body: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """Returns a predict request's arrays by name, and whether it has rows (`instances`).

    Args:
        body: Parsed request.
        specs: Inputs of the signature, by name.

    Raises:
        RequestError: If the values do not match the signature.
    """
    if "instances" in body:
        if "inputs" in body:
            raise RequestError(
                f"JSON Value: {brief(body)} Not formatted correctly expecting only one of "
                "'inputs' or 'instances' keys to exist"
            )
        instances = body["instances"]
        if not isinstance(instances, list):
            raise RequestError(
                f"JSON Value: {brief(body)} Excepting 'instances' to be an list/array"
            )
        if not instances:
            raise RequestError(f"JSON Value: {brief(body)} No values in 'instances' array")
        return _row_arrays(instances, specs), True
    if "inputs" not in body:
        raise RequestError("Missing 'inputs' or 'instances' key")
    return _column_arrays(body["inputs"], specs), False


def _column_arrays(value: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    if not specs and value != {}:
        raise RequestError("The signature takes no inputs: 'inputs' must be {}.")
    if not isinstance(value, dict) or is_base64(value):
        if len(specs) > 1:
            raise RequestError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        ((name, spec),) = specs.items()
        return {name: to_array(value, spec.dtype)}
    for name in specs:
        if name not in value:
            raise RequestError(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(value[name], spec.dtype) for name, spec in specs.items()}


def _row_arrays(rows: list[Any], specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
    if not specs:
        raise RequestError("The signature takes no inputs: 'inputs' must be {}.")
    named = _is_named(rows[0])
    if not named and len(specs) > 1:
        raise RequestError(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    for number, row in enumerate(rows):
        if named and not _is_named(row):
            raise RequestError(f"Expecting object but got list at item {number} of input list")
        if not named and _is_named(row):
            raise RequestError(
                f"Expecting value/list but got object at item {number} of input list"
            )
        unknown = [name for name in row if name not in specs] if named else []
        if unknown:
            raise RequestError(
                f"Failed to process element: {number} key: {unknown[0][:SHOWN]} of 'instances' "
                "list. Error: INVALID_ARGUMENT: JSON object: does not have named input: "
                f"{unknown[0][:SHOWN]}"
            )
        if named and row.keys() != specs.keys():
            raise RequestError(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{brief(row)} keys must be equal to: {','.join(sorted(specs))}"
            )
    if named:
        columns = {name: [row[name] for row in rows] for name in specs}
    else:
        columns = {next(iter(specs)): rows}
    return {
        name: _column(values, f" key: {name}" if named else "", specs[name].dtype)
        for name, values in columns.items()
    }


def _column(values: list[Any], key: str, dtype: tf.DType) -> np.ndarray:
    try:
        return to_array(values, dtype)
    except RequestError:
        # Convert row by row to find the one at fault.
        shape = None
        for number, value in enumerate(values):
            try:
                row_shape = to_array(value, dtype).shape
            except RequestError as error:
                reason = error.message
            else:
                if shape is None or shape == row_shape:
                    shape = row_shape
                    continue
                expected, got = math.prod(shape), math.prod(row_shape)
                if expected != got:
                    reason = f"Expecting tensor size: {expected} but got: {got}"
                else:
                    reason = (
                        f"Expecting shape {_dimensions(shape)} but got: {_dimensions(row_shape)}"
                    )
            raise RequestError(
                f"Failed to process element: {number}{key} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: {reason}"
            ) from None
        raise


def answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Returns the response body for a predict request.

    Args:
        outputs: Outputs of the signature, by name.
        rows: Whether the request had rows, so that the response has rows as well.

    Raises:
        RequestError: If `rows` is true and the outputs differ in their number of rows, or one of
            them is a scalar.
    """
    names = sorted(outputs)
    if not rows:
        values = {name: to_json(name, outputs[name]) for name in names}
        return _dump({"outputs": values[names[0]] if len(values) == 1 else values})
    count = None
    for name in names:
        if not outputs[name].ndim:
            raise RequestError(f"Tensor name: {name} has no shape information")
        if count not in (None, len(outputs[name])):
            raise RequestError(
                f"Tensor name: {name} has inconsistent batch size: {len(outputs[name])} "
                f"expecting: {count}"
            )
        count = len(outputs[name])
    columns = [to_json(name, outputs[name]) for name in names]
    if len(names) == 1:
        return _dump({"predictions": columns[0]})
    predictions = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return _dump({"predictions": predictions})


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _dimensions(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
