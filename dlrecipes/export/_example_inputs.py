"""A signature's inputs with example values, written as JSON, TensorFlow and NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.export.signatures import Signature

# Limits per input: numbers of a literal, and characters of a text.
MAX_NUMBERS, MAX_CHARACTERS = 32, 80
# File names by the name of the input that takes the file's bytes.
FILE_NAMES = {"image_bytes": "image.png", "audio_bytes": "audio.wav"}


@dataclass(frozen=True)
class ExampleInput:
    """An input of a signature with a value.

    Texts, integers and booleans become literals. Floats and large arrays become zeros of the same
    shape. If the name of a string input ends with `_bytes`, or its value is not UTF-8, the input
    is read from a file.

    Args:
        spec: Shape, type and name of the input.
        value: Value of the input.
    """

    spec: tf.TensorSpec
    value: np.ndarray

    @property
    def name(self) -> str:
        """The name of the input."""
        return self.spec.name

    @property
    def file(self) -> str | None:
        """The name of the file whose bytes are the input; `None` for other inputs."""
        if self.spec.dtype != tf.string:
            return None
        if not self.name.endswith("_bytes") and all(map(_is_text, self.value.flat)):
            return None
        return FILE_NAMES.get(self.name, f"{self.name.removesuffix('_bytes')}.bin")

    @property
    def is_large(self) -> bool:
        """Whether the input has too many numbers for a literal."""
        return self.spec.dtype != tf.string and self.value.size > MAX_NUMBERS

    def in_json(self) -> str:
        """Returns the value as JSON for a single-quoted string of a shell."""
        file = f'{{"b64": "\'$(base64 -w0 {self.file})\'"}}'
        return self._nested(lambda value: file if value is None else quoted(value))

    def in_python(self) -> str:
        """Returns a Python expression for the value that `json.dumps` accepts."""
        if self._zeros:
            return f'np.zeros({self.value.shape}, "{self.value.dtype.name}").tolist()'
        content = f'open("{self.file}", "rb").read()'
        file = f'{{"b64": base64.b64encode({content}).decode()}}'
        return self._nested(lambda value: file if value is None else _python(value))

    def in_tensorflow(self) -> str:
        """Returns a Python expression for the value as a tensor."""
        if self._zeros:
            return f"tf.zeros({list(self.value.shape)}, tf.{self.spec.dtype.name})"
        file = f'tf.io.read_file("{self.file}").numpy()'
        values = self._nested(lambda value: file if value is None else _python(value))
        dtype = "" if self.spec.dtype == tf.string else f", tf.{self.spec.dtype.name}"
        return f"tf.constant({values}{dtype})"

    def in_numpy(self) -> str:
        """Returns a Python expression for the value as an array of numbers."""
        dtype = f"np.{self.value.dtype.name}"
        if self._zeros:
            return f"np.zeros({self.value.shape}, {dtype})"
        return f"np.array({self._nested(_python)}, {dtype})"

    @property
    def _zeros(self) -> bool:
        return self.is_large or self.spec.dtype.is_floating

    def _nested(self, write: Callable[[Any], str]) -> str:
        """Returns the value as nested lists; `write` is called with `None` for a file."""

        def nested(value: Any) -> str:
            if isinstance(value, list):
                return f"[{', '.join(map(nested, value))}]"
            if self.file:
                return write(None)
            if self.spec.dtype == tf.string:
                return write(_text(value)[:MAX_CHARACTERS])
            return write(value)

        return nested((np.zeros_like(self.value) if self._zeros else self.value).tolist())


def example_inputs(signature: Signature) -> list[ExampleInput]:
    """Returns a signature's inputs with values from its first example, or zeros without examples.

    If all inputs accept any number of rows, one row is taken: the first whose texts are not empty
    and not too long.

    Args:
        signature: The signature.
    """
    specs = list(signature.inputs)
    if not signature.examples:
        return [ExampleInput(spec, _blank(spec)) for spec in specs]
    pairs = zip(specs, signature.examples[0], strict=True)
    arrays = [np.asarray(array, spec.dtype.as_numpy_dtype) for spec, array in pairs]
    if all(spec.shape.rank and spec.shape[0] is None for spec in specs):
        texts = [array for array in arrays if array.dtype == object]
        rows = range(min(map(len, arrays), default=0))
        row = next((k for k in rows if all(map(_fit, (array[k : k + 1] for array in texts)))), 0)
        arrays = [array[row : row + 1] for array in arrays]
    return [ExampleInput(spec, array) for spec, array in zip(specs, arrays, strict=True)]


def quoted(value: Any) -> str:
    """Returns JSON without single quotes, which would end a shell's string."""
    return json.dumps(value, ensure_ascii=False).replace("'", "\\u0027")


def _python(value: Any) -> str:
    # JSON's strings and numbers are Python's as well.
    return str(value) if isinstance(value, bool) else quoted(value)


def _fit(texts: np.ndarray) -> bool:
    return all(0 < len(text) <= MAX_CHARACTERS for text in texts.flat)


def _blank(spec: tf.TensorSpec) -> np.ndarray:
    shape = [1] if spec.shape.rank is None else [size or 1 for size in spec.shape.as_list()]
    if spec.dtype == tf.string:
        return np.full(shape, "text", object)
    return np.zeros(shape, spec.dtype.as_numpy_dtype)


def _is_text(value: str | bytes) -> bool:
    try:
        _text(value)
    except UnicodeDecodeError:
        return False
    return True


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
