"""JSON bodies of requests.

The format and the error messages are those of TensorFlow Serving's REST API.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from dlrecipes.serving.limits import Limits, check_rows
from dlrecipes.serving.status import RequestError
from dlrecipes.serving.tensors import SHOWN, brief, is_base64, to_array

if TYPE_CHECKING:
    import tensorflow as tf

# Numbers that RapidJSON accepts in addition to JSON's; Inf is its abbreviation of Infinity.
_NOT_FINITE = re.compile(rb"-?(?:NaN|Inf(?:inity)?)")
# Every integer that does not fit into 64 bits has at least this many digits.
_LONG = re.compile(rb"\d{19}")
# Messages of orjson, of its versions before and after 3.12, that RapidJSON words differently.
_MESSAGES = {
    "number is infinity when parsed as double": "Number too big to be stored in double.",
    "depth limit exceeded": "The document is nested too deeply",
    "array and object recursion depth exceeded": "The document is nested too deeply",
}


def parse(body: bytes) -> dict[str, Any]:
    """Returns the JSON object of a request's body.

    As in TensorFlow Serving, `NaN`, `Infinity`, `Inf` and their negatives are numbers, a byte order
    mark is skipped, the last of several equal keys counts, and integers beyond 64 bits become
    doubles. The time is linear in the size of the body, for any content.

    Raises:
        RequestError: If the body is not valid JSON, or not an object.
    """
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Inf" not in body:
            raise _parse_error(body, error) from None
        parsed = _parse_not_finite(body)
    if not isinstance(parsed, dict):
        raise RequestError(f"JSON Value: {brief(parsed)} Is not object")
    return parsed


def _parse_not_finite(body: bytes) -> Any:
    """Returns the JSON value of a body with numbers that are not finite."""
    tokens = _not_finite(body)
    # orjson validates all else, so that both parsers accept the same bodies. "-0" cannot continue
    # another number; it is padded, so that positions in messages stay those in the body.
    finite = bytearray(body)
    for start, end in tokens:
        finite[start:end] = b"-0".ljust(end - start)
    try:
        orjson.loads(finite)
    except orjson.JSONDecodeError as error:
        raise _parse_error(body, error) from None
    parts, position = [], 0
    for start, end in tokens:
        # Python's parser knows these three only.
        name = b"NaN" if body[end - 1 : end] == b"N" else b"Infinity"
        sign = b"-" if body[start : start + 1] == b"-" and name != b"NaN" else b""
        parts += [body[position:start], sign + name]
        position = end
    text = b"".join([*parts, body[position:]]).decode()
    check: dict[str, Any] = {"parse_int": _integer} if _LONG.search(body) else {}
    try:
        return json.loads(text, **check)
    except json.JSONDecodeError as error:
        raise RequestError(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except RecursionError:
        raise RequestError("JSON Parse error: The document is nested too deeply") from None


def _not_finite(body: bytes) -> list[tuple[int, int]]:
    """Returns the first and last positions of the numbers that are not finite."""
    # Without escape sequences every quotation mark begins or ends a string.
    masked = body.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    tokens, in_string, position = [], False, 0
    for match in _NOT_FINITE.finditer(masked):
        in_string ^= bool(masked.count(b'"', position, match.start()) % 2)
        position = match.end()
        if not in_string:
            tokens.append(match.span())
    return tokens


def _parse_error(body: bytes, error: orjson.JSONDecodeError) -> RequestError:
    try:
        body.decode()
    except UnicodeDecodeError as invalid:
        message, position = "Invalid encoding in string.", invalid.start
    else:
        message, position = _MESSAGES.get(error.msg, error.msg), error.pos
    return RequestError(f"JSON Parse error: {message} at offset: {position}")


def _integer(digits: str) -> int | float:
    # No 64-bit integer has more than 20 characters.
    number = int(digits) if len(digits) <= 20 else float(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


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


def read(
    body: bytes, dtypes: Mapping[str, Mapping[str, str]], limits: Limits
) -> tuple[str, dict[str, np.ndarray], bool]:
    """Returns what a predict request asks for. It needs no TensorFlow.

    Args:
        body: Body of the request.
        dtypes: Name of each input's data type, by input, by name of the signature.
        limits: Limits on the request.

    Returns:
        The name of the signature, its inputs by name (none if the signature is unknown), and
        whether the request has rows.

    Raises:
        RequestError: If the body is not valid JSON, has too many examples, or its values do not
            match the signature.
    """
    parsed = parse(body)
    name = signature_name(parsed)
    if name not in dtypes:
        return name, {}, False
    # Checked first, because the arrays may be much larger than the JSON values.
    check_rows(rows(parsed), limits)
    return name, *arrays(parsed, dtypes[name])


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
    return arrays(body, {name: spec.dtype.name for name, spec in specs.items()})


def arrays(
    body: Mapping[str, Any], dtypes: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], bool]:
    """Returns a predict request's arrays by name, and whether it has rows (`instances`).

    Args:
        body: Parsed request.
        dtypes: Names of the inputs' data types, by name of the input.

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
        return _row_arrays(instances, dtypes), True
    if "inputs" not in body:
        raise RequestError("Missing 'inputs' or 'instances' key")
    return _column_arrays(body["inputs"], dtypes), False


def _column_arrays(value: Any, dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not dtypes and value != {}:
        raise RequestError("The signature takes no inputs: 'inputs' must be {}.")
    if not isinstance(value, dict) or is_base64(value):
        if len(dtypes) > 1:
            raise RequestError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        ((name, dtype),) = dtypes.items()
        return {name: to_array(value, dtype)}
    for name in dtypes:
        if name not in value:
            raise RequestError(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(value[name], dtype) for name, dtype in dtypes.items()}


def _row_arrays(rows: list[Any], dtypes: Mapping[str, str]) -> dict[str, np.ndarray]:
    if not dtypes:
        raise RequestError("The signature takes no inputs: 'inputs' must be {}.")
    named = _is_named(rows[0])
    if not named and len(dtypes) > 1:
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
        unknown = [name for name in row if name not in dtypes] if named else []
        if unknown:
            raise RequestError(
                f"Failed to process element: {number} key: {unknown[0][:SHOWN]} of 'instances' "
                "list. Error: INVALID_ARGUMENT: JSON object: does not have named input: "
                f"{unknown[0][:SHOWN]}"
            )
        if named and row.keys() != dtypes.keys():
            raise RequestError(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{brief(row)} keys must be equal to: {','.join(sorted(dtypes))}"
            )
    if named:
        columns = {name: [row[name] for row in rows] for name in dtypes}
    else:
        columns = {next(iter(dtypes)): rows}
    return {
        name: _column(values, f" key: {name}" if named else "", dtypes[name])
        for name, values in columns.items()
    }


def _column(values: list[Any], key: str, dtype: str) -> np.ndarray:
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


def _is_named(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _dimensions(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
