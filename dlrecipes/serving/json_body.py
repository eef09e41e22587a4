"""The body of a request as JSON, and of its answer.

The formats and the messages follow TensorFlow Serving's REST API.
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
from dlrecipes.serving.tensors import SHOWN, is_base64, listed, shown, to_array

# What a number has that is too large for a double: a long exponent, or many digits.
_LARGE = re.compile(r"[eE]\+?\d{3}|\d{100}")

# RapidJSON's short word for what Python calls Infinity; it is no word within a string.
_INF = re.compile(r'("(?:[^"\\]|\\.)*")|\bInf\b')


def parse(body: bytes) -> dict[str, Any]:
    """Returns the object that a body holds.

    Raises:
        RequestError: If it holds none, saying why.
    """
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    try:
        # RapidJSON passes over a byte order mark.
        decoded = body.decode("utf-8-sig")
        # As parse_float is slow, only where a number may be too large.
        check = {"parse_float": _finite} if _LARGE.search(decoded) else {}
        if "Inf" in decoded:
            decoded = _INF.sub(lambda found: found[1] or "Infinity", decoded)
        found = json.loads(decoded, **check)
    except UnicodeDecodeError as error:
        raise RequestError(
            f"JSON Parse error: Invalid encoding in string. at offset: {error.start}"
        ) from None
    except json.JSONDecodeError as error:
        # Python tells the line and column, too; RapidJSON the offset alone.
        raise RequestError(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise RequestError("JSON Parse error: The document is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"JSON Parse error: {error}") from None
    if not isinstance(found, dict):
        raise RequestError(f"JSON Value: {shown(found)} Is not object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("Number too big to be stored in double.")
    return number


def signature_name(body: Mapping[str, Any]) -> str:
    """Returns which signature a request names; empty for the default.

    Raises:
        RequestError: If it is no string.
    """
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(
            f"JSON Value: {shown(body)} not formatted correctly. 'signature_name' key must be a "
            "string value."
        )
    return name


def rows(body: Mapping[str, Any]) -> int:
    """Returns how many examples a predict request has at most, by the lengths of its lists."""
    given = body.get("instances", body.get("inputs"))
    columns = given.values() if isinstance(given, dict) else [given]
    return max((len(one) for one in columns if isinstance(one, list)), default=1)


def inputs(
    body: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """Returns a predict request's arrays by name, and whether it has rows (`instances`).

    Args:
        body: The request.
        specs: What the signature takes.

    Raises:
        RequestError: If they cannot be read as the signature wants them.
    """
    if "instances" in body:
        if "inputs" in body:
            raise RequestError(
                f"JSON Value: {shown(body)} Not formatted correctly expecting only one of "
                "'inputs' or 'instances' keys to exist"
            )
        given = body["instances"]
        if not isinstance(given, list):
            raise RequestError(
                f"JSON Value: {shown(body)} Excepting 'instances' to be an list/array"
            )
        if not given:
            raise RequestError(f"JSON Value: {shown(body)} No values in 'instances' array")
        return _of_rows(given, specs), True
    if "inputs" not in body:
        raise RequestError("Missing 'inputs' or 'instances' key")
    return _of_columns(body["inputs"], specs), False


def _of_columns(value: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
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


def _of_rows(rows: list[Any], specs: Mapping[str, tf.TensorSpec]) -> dict[str, np.ndarray]:
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
                f"{shown(row)} keys must be equal to: {','.join(sorted(specs))}"
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
        # Again one by one: which row is it?
        shape = None
        for number, value in enumerate(values):
            try:
                found = to_array(value, dtype).shape
            except RequestError as error:
                reason = error.message
            else:
                if shape is None or shape == found:
                    shape = found
                    continue
                if math.prod(shape) != math.prod(found):
                    wanted, got = math.prod(shape), math.prod(found)
                    reason = f"Expecting tensor size: {wanted} but got: {got}"
                else:
                    reason = f"Expecting shape {_dimensions(shape)} but got: {_dimensions(found)}"
            raise RequestError(
                f"Failed to process element: {number}{key} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: {reason}"
            ) from None
        raise


def answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Returns the body that answers a predict request.

    Args:
        outputs: The signature's outputs by name.
        rows: Whether the request had rows.

    Raises:
        RequestError: If rows are wanted of outputs that have no or different numbers of rows.
    """
    names = sorted(outputs)
    if not rows:
        found = {name: listed(name, outputs[name]) for name in names}
        return _dumped({"outputs": found[names[0]] if len(found) == 1 else found})
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
    columns = [listed(name, outputs[name]) for name in names]
    if len(names) == 1:
        return _dumped({"predictions": columns[0]})
    rows_ = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return _dumped({"predictions": rows_})


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _dimensions(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
