"""Default predictions: inputs from text by a model's signature, outputs as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import DataError, UsageError
from dlrecipes.recipe.unanswered import Unanswered, complete

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion


def predict_by_signature(version: ModelVersion, inputs: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the outputs of a version's default signature for each input.

    Args:
        version: The published version.
        inputs: One element per example: text (JSON, the text itself for a model of strings, a
            path for an input named `*_bytes`; for a model of `image_bytes` alone, image files of
            any format that training reads, folders and patterns), or data: a value, or values by
            input name.

    Raises:
        UsageError: If an input does not fit the signature.
        IncompletePredictions: If one of several images cannot be read.
    """
    specs = version.inputs()
    if list(specs) != ["image_bytes"]:
        return list(_predictions(version, inputs, specs))
    predictions: list[dict[str, Any]] = []
    for value in _images(inputs):
        try:
            predictions += _predictions(version, [value], specs)
        except DataError as error:
            name = value if isinstance(value, str) else f"image {len(predictions) + 1}"
            message = error.message if name in error.message else f"{name}: {error.message}"
            predictions.append(Unanswered(name, DataError(message, error.hint)))
    return complete(predictions)


def check_texts(inputs: Sequence[Any], expected: str) -> None:
    """Refuses inputs that are not texts.

    Args:
        inputs: The inputs, as the caller gave them.
        expected: Name of each of them, such as `"a sentence"`.

    Raises:
        UsageError: If one of them is not a string.
    """
    for number, value in enumerate(inputs, start=1):
        if not isinstance(value, str):
            kind = type(value).__name__
            raise UsageError(f"Input {number}: expected {expected}, got {kind}.", "Give strings.")


def _images(inputs: Sequence[Any]) -> Iterator[Any]:
    """Yields inputs with the files that paths of folders and patterns stand for."""
    from dlrecipes.recipe.image_inputs import expand_images

    for value in inputs:
        yield from expand_images([value]) if isinstance(value, str) else [value]


def _predictions(
    version: ModelVersion, inputs: Sequence[Any], specs: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for number, value in enumerate(inputs, start=1):
        arrays = {
            name: _array(number, name, part, specs[name])
            for name, part in _by_name(number, value, specs).items()
        }
        outputs = version.call(**arrays)
        yield {name: plain(output, 0) for name, output in outputs.items()}


def _by_name(number: int, value: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    names = list(specs)
    if isinstance(value, str) and not (len(names) == 1 and _is_one_text(specs[names[0]])):
        try:
            value = json.loads(value)
        except ValueError:
            raise UsageError(
                f"Input {number} is not JSON: {value[:60]!r}.",
                f"Expected {_described(specs)}.",
            ) from None
    if not isinstance(value, Mapping):
        value = {names[0]: value} if len(names) == 1 else {}
    if set(value) != set(names):
        raise UsageError(
            f"Input {number} needs a value for each of: {', '.join(names)}.",
            f"Expected {_described(specs)}.",
        )
    return dict(value)


def _is_one_text(spec: Any) -> bool:
    """Returns whether an example of an input is one text, rather than several."""
    shape = spec.shape
    return spec.dtype == "string" and (shape is None or tuple(shape[1:]) in ((), (1,)))


def _array(number: int, name: str, value: Any, spec: Any) -> Any:
    import numpy as np

    is_file = spec.dtype == "string" and name.endswith("_bytes")
    if is_file and not isinstance(value, bytes):
        value = _content(value, is_image=name == "image_bytes")
    try:
        given = np.asarray(value, object if spec.dtype == "string" else None)
        array = given.astype(object if spec.dtype == "string" else spec.dtype)[None]
        if spec.dtype == "string":
            lossless = all(isinstance(text, str | bytes) for text in given.flat)
        else:
            lossless = given.dtype.kind in "biuf" and bool(np.all(np.isfinite(given)))
        if array.dtype.kind in "iu":
            lossless = lossless and given.dtype.kind != "b" and np.array_equal(array[0], given)
    except (TypeError, ValueError, OverflowError):
        lossless = False
    if not lossless:
        raise UsageError(
            f"Input {number}: {name} is not an array of {spec.dtype}.",
            f"Expected {_described({name: spec})}.",
        )
    expected = spec.shape
    if expected is not None and len(expected) == array.ndim + 1 and expected[-1] == 1:
        # A last axis of size 1 may be missing, as in Keras.
        array = array[..., None]
    fits = expected is None or (
        len(expected) == array.ndim
        and all(size in (None, -1, own) for size, own in zip(expected, array.shape, strict=True))
    )
    if not fits:
        raise UsageError(
            f"Input {number}: {name} has shape {array.shape[1:]}.",
            f"Expected {_described({name: spec})}.",
        )
    return array


def _content(name: Any, is_image: bool) -> bytes:
    """Returns a file's bytes; an image of another format than PNG or JPEG as PNG."""
    from dlrecipes.data.image_files import read_image_bytes

    try:
        content = Path(name).expanduser().read_bytes()
        if is_image and not content.startswith((b"\x89PNG", b"\xff\xd8")):
            return read_image_bytes(name)
        return content
    except (OSError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name}: {reason}.", "Name a file that exists.") from None


def _described(specs: Mapping[str, Any]) -> str:
    parts = []
    for name, spec in specs.items():
        sizes = "any" if spec.shape is None else tuple(spec.shape[1:])
        parts.append(f"{name}: {spec.dtype} of shape {sizes}")
    return "; ".join(parts)


def plain(array: Any, row: int | None = None) -> Any:
    """Returns an array, or one of its rows, as numbers, strings and lists.

    Args:
        array: A NumPy array; bytes become text (UTF-8), or base64 where they are not.
        row: Row to return; `None` for the whole array. Defaults to `None`.
    """
    import numpy as np

    values = np.asarray(array)
    values = values if row is None or not values.ndim else values[row]
    return _text(values.tolist() if isinstance(values, np.ndarray | np.generic) else values)


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(part) for part in value]
    if isinstance(value, bytes):
        import base64

        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


def present(prediction: Any) -> str:
    """Returns a prediction as text: one line per output."""
    if not isinstance(prediction, Mapping):
        return json.dumps(prediction, ensure_ascii=False)
    width = max((len(name) for name in prediction), default=0)
    return "\n".join(
        f"{name:<{width}}  {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in prediction.items()
    )
