"""A request that works for each version: from its stored examples, or from its signatures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlrecipes.export.checksums import EXAMPLES_FILE
from dlrecipes.export.stored_tensors import read_array
from dlrecipes.export.version import EXTRAS
from dlrecipes.serving.servable import DEFAULT, Servable, Signature

# Larger files of examples are not read for a single request, in bytes.
LARGEST_FILE = 64 * 2**20
# Width and height of the image that is tried.
SIDE = 32


async def example_request(
    servable: Servable, folder: Path, works: Callable[[bytes], Awaitable[bool]]
) -> bytes | None:
    """Returns the body of a `:predict` request that the version answers, or `None`.

    Args:
        servable: The version.
        folder: Its folder; examples stored there are used first.
        works: Function that runs a request and returns whether it succeeds.
    """
    stored = _stored(folder)
    for signature in _by_preference(servable):
        for arrays in (*_first_examples(stored, signature), *_guesses(signature)):
            body = _body(signature, arrays)
            if body is not None and await works(body):
                return body
    return None


def _by_preference(servable: Servable) -> list[Signature]:
    """Returns the signatures, the default one first."""
    return sorted(
        servable.signatures.values(), key=lambda entry: (entry.name != DEFAULT, entry.name)
    )


def _stored(folder: Path) -> Mapping[str, Any]:
    """Returns the stored examples by signature; nothing if they cannot be read."""
    path = folder / EXTRAS / EXAMPLES_FILE
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            return {}
        signatures = json.loads(path.read_text(encoding="utf-8"))["signatures"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return signatures if isinstance(signatures, dict) else {}


def stored_example(folder: Path, signature: Signature) -> dict[str, np.ndarray] | None:
    """Returns the inputs of a signature's first stored example; `None` without one.

    Args:
        folder: Folder of the version.
        signature: The signature.
    """
    return _first_example(_stored(folder), signature)


def _first_example(stored: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray] | None:
    try:
        packed = stored[signature.name][0]["inputs"]
        return {name: read_array(packed[name]) for name in signature.inputs}
    except Exception:  # The file may be damaged in many ways.
        return None


def stored_requests(folder: Path, signature: Signature, count: int = 5) -> list[str]:
    """Returns the rows of a signature's first stored example, each as the body of a request.

    Args:
        folder: Folder of the version.
        signature: The signature.
        count: Maximum number of rows. Defaults to 5.
    """
    arrays = stored_example(folder, signature)
    if not arrays:
        return []
    rows: Sequence[Mapping[str, np.ndarray]] = [arrays]
    if signature.by_example:
        rows = [
            {name: array[row : row + 1] for name, array in arrays.items()}
            for row in range(min(count, *map(len, arrays.values())))
        ]
    bodies = [_body(signature, row) for row in rows]
    return [body.decode() for body in bodies if body is not None]


def _first_examples(
    stored: Mapping[str, Any], signature: Signature
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the first row of the first stored example of a signature."""
    arrays = _first_example(stored, signature)
    if arrays is not None:
        yield (
            {name: array[:1] for name, array in arrays.items()} if signature.by_example else arrays
        )


def _guesses(signature: Signature) -> Iterator[dict[str, np.ndarray]]:
    """Yields inputs of the declared shapes: ones or zeros, and different texts."""
    strings = any(spec.dtype.name == "string" for spec in signature.inputs.values())
    # A number of results is at least one; a label may be zero alone.
    for integer in (1, 0):
        # Texts and bytes that models may take: words, an image, nothing.
        for text in (b"text", _white_image(), b"") if strings else (b"",):
            yield {name: _filled(spec, text, integer) for name, spec in signature.inputs.items()}


def _white_image() -> bytes:
    """Returns a small PNG file."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "white").save(file, "PNG")
    return file.getvalue()


def _filled(spec: Any, text: bytes, integer: int) -> np.ndarray:
    shape = [1] if spec.shape.rank is None else [size or 1 for size in spec.shape]
    if spec.dtype.name == "string":
        return np.full(shape, text, object)
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    return np.full(shape, integer if dtype.kind in "iu" else 0, dtype)


def _body(signature: Signature, arrays: Mapping[str, np.ndarray]) -> bytes | None:
    """Returns the JSON of a request; `None` if JSON cannot express the inputs."""
    columns = {name: _values(name, array.tolist()) for name, array in arrays.items()}
    inputs = next(iter(columns.values())) if len(columns) == 1 else columns
    chosen = {} if signature.name == DEFAULT else {"signature_name": signature.name}
    try:
        text = json.dumps({**chosen, "inputs": inputs}, ensure_ascii=False)
    except (TypeError, ValueError):
        return None
    return text.encode()


def _values(name: str, value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, bytes | str):
        return [_values(name, part) for part in value]
    if not isinstance(value, bytes):
        return value
    if not name.endswith("_bytes"):
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode()}
