"""Steps before and after a network: from a request to tensors, and from tensors to an answer.

A version's `assets.extra/processing.json` says it as data, so that `dlrecipes.export.lite_version`
answers with LiteRT files what the SavedModel's graph answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import PublishError
from dlrecipes.export.version import LITERT_FILE

if TYPE_CHECKING:
    import tensorflow as tf

DEFAULT = "serving_default"


@dataclass(frozen=True)
class Processing:
    """How requests of a signature become tensors of a LiteRT file, and its outputs answers.

    Args:
        before: `kind`, one of `dlrecipes.export.lite_processing.BEFORE`, with its settings.
        after: `kind`, one of `dlrecipes.export.lite_processing.AFTER`, with its settings.
        tensors: Function from the inputs of the signature to the inputs of the LiteRT file by name,
            in the graph, for the comparison. Shorter rows are padded with zeros.
        file: The LiteRT file. Defaults to `"model.tflite"`.
        others: How other signatures than `serving_default` are answered, by name. Defaults to none:
            they need the SavedModel.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    tensors: Callable[..., Mapping[str, tf.Tensor]]
    file: str = LITERT_FILE
    others: Mapping[str, Processing] = field(default_factory=dict)

    def by_signature(self) -> dict[str, Processing]:
        """Returns the processing of each signature by name, `serving_default` first."""
        return {DEFAULT: self, **self.others}

    def text(
        self,
        specs: Mapping[str, tuple[Sequence[tf.TensorSpec], Mapping[str, tf.TensorSpec]]],
    ) -> str:
        """Returns the contents of the version's file.

        Args:
            specs: Inputs, and outputs by name, of the SavedModel's signatures by name.

        Raises:
            PublishError: If there are steps for a signature that the model does not have.
        """
        if unknown := self.by_signature().keys() - specs.keys():
            raise PublishError(
                f"There are steps for {', '.join(sorted(unknown))}, which is not a signature.",
                f"The signatures are {', '.join(specs)}.",
            )
        stored = {
            name: processing._stored(*specs[name])
            for name, processing in self.by_signature().items()
        }
        # Earlier releases read the default signature at this place.
        contents = {**stored.pop(DEFAULT), "others": stored}
        return json.dumps(contents, indent=2) + "\n"

    def _stored(
        self, inputs: Sequence[tf.TensorSpec], outputs: Mapping[str, tf.TensorSpec]
    ) -> dict[str, Any]:
        specs = {
            "inputs": {spec.name: _described(spec) for spec in inputs},
            "outputs": {name: _described(spec) for name, spec in outputs.items()},
        }
        return {"file": self.file, "before": self.before, "after": self.after, "signature": specs}


def _described(spec: tf.TensorSpec) -> dict[str, Any]:
    """Returns type and shape; no shape if it is unknown how many axes there are."""
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    return {"dtype": spec.dtype.name, "shape": shape}
