"""A loaded version of a model that its LiteRT files answer, without TensorFlow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlrecipes.errors import RecipeError
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import RejectedInput
from dlrecipes.serving.servable import DEFAULT, Signature
from dlrecipes.serving.status import RequestError, to_request_error
from dlrecipes.serving.version_files import check_files

# Names of the types in TensorFlow Serving's metadata.
_TYPES = {
    "string": "DT_STRING",
    "float32": "DT_FLOAT",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "uint8": "DT_UINT8",
}


@dataclass(frozen=True)
class DType:
    """A data type.

    Args:
        name: TensorFlow's name, such as `"string"`.
    """

    name: str

    @property
    def as_numpy_dtype(self) -> Any:
        """The NumPy type; objects for strings."""
        return object if self.name == "string" else np.dtype(self.name).type


class Shape(tuple):
    """Sizes of a tensor, each `None` if any size is accepted."""

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self)

    def is_compatible_with(self, other: Sequence[int]) -> bool:
        """Returns whether a tensor of another shape fits."""
        return len(self) == len(other) and all(
            size in (None, own) for size, own in zip(self, other, strict=True)
        )


@dataclass(frozen=True)
class Spec:
    """Type and shape of a tensor.

    Args:
        dtype: The type.
        shape: The shape.
    """

    dtype: DType
    shape: Shape


@dataclass(frozen=True)
class LiteSignature(Signature):
    """A signature of a version; `function` is its `LiteVersion.call`."""

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs for the inputs by name.

        Args:
            arrays: Inputs by name.

        Raises:
            RequestError: If the outputs cannot be computed.
        """
        if problem := self.misfit(arrays):
            raise RequestError(problem)
        try:
            return self.function(**arrays)
        except RejectedInput as error:
            raise RequestError(str(error)) from error
        except Exception as error:
            raise to_request_error(error) from error


class LiteServable:
    """A loaded version of a model; it has the signatures that its LiteRT files answer.

    Args:
        name: Name of the model.
        version: Number of the version.
        folder: Folder of the version.

    Raises:
        OSError, ValueError: If the version cannot be loaded.
    """

    def __init__(self, name: str, version: int, folder: Path):
        check_files(folder)
        self.name, self.version = name, version
        lite = LiteVersion(folder)
        if not lite.answers:
            raise ValueError("LiteRT cannot answer for it; serve it without --runtime litert")
        try:
            steps = lite.steps()
            for own in steps.values():
                lite.open(own.file)
        except RecipeError as error:
            raise ValueError(error.message) from error
        if any(own.specs is None for own in steps.values()):
            raise ValueError("its processing.json names no signature; publish it again")
        self._specs = {name: own.specs for name, own in steps.items() if own.specs}
        self.signatures: dict[str, Signature] = {
            name: _signature(name, functools.partial(lite.call, name), specs)
            for name, specs in self._specs.items()
        }

    def signature(self, name: str = "") -> Signature:
        """Returns a signature by name; an empty name means the default signature.

        Raises:
            RequestError: If the model lacks the signature.
        """
        if (name or DEFAULT) not in self.signatures:
            raise RequestError(f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name or DEFAULT]

    def metadata(self) -> dict[str, Any]:
        """Returns the signatures in the form of TensorFlow Serving's metadata."""
        definitions = {name: _definition(specs) for name, specs in self._specs.items()}
        return {"signature_def": {"signature_def": definitions}}


def _signature(
    name: str, call: Callable[..., dict[str, np.ndarray]], specs: Mapping[str, Any]
) -> LiteSignature:
    inputs, outputs = (_specs(specs[side]) for side in ("inputs", "outputs"))
    by_example = all(
        spec.shape.rank > 0 and spec.shape[0] is None
        for spec in (*inputs.values(), *outputs.values())
    )
    return LiteSignature(name, call, inputs, tuple(sorted(outputs)), by_example)


def _definition(specs: Mapping[str, Any]) -> dict[str, Any]:
    sides = {
        side: {name: _tensor_info(name, spec) for name, spec in specs[side].items()}
        for side in ("inputs", "outputs")
    }
    return {**sides, "method_name": "tensorflow/serving/predict", "defaults": {}}


def _specs(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Spec]:
    return {
        name: Spec(DType(spec["dtype"]), Shape(spec["shape"]))
        for name, spec in sorted(stored.items())
    }


def _tensor_info(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    sizes = [{"size": str(-1 if size is None else size), "name": ""} for size in spec["shape"]]
    return {
        "name": name,
        "dtype": _TYPES.get(spec["dtype"], "DT_INVALID"),
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
    }
