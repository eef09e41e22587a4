"""Steps before and after a network: from a request to tensors, and from tensors to an answer.

A version's `assets.extra/processing.json` says it as data, so that `dlrecipes.export.lite_version`
answers with `model.tflite` what the SavedModel's graph answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Processing:
    """How requests of `serving_default` become tensors of `model.tflite`, and its outputs answers.

    Args:
        before: `kind`, one of `dlrecipes.export.lite_processing.BEFORE`, with its settings.
        after: `kind`, one of `dlrecipes.export.lite_processing.AFTER`, with its settings.
        tensors: Function from the inputs of `serving_default` to the inputs of `model.tflite` by
            name, in the graph, for the comparison. Shorter rows are padded with zeros.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    tensors: Callable[..., Mapping[str, tf.Tensor]]

    def text(self, inputs: Sequence[tf.TensorSpec], outputs: Mapping[str, tf.TensorSpec]) -> str:
        """Returns the contents of the version's file.

        Args:
            inputs: Inputs of `serving_default`, with their names.
            outputs: Outputs of `serving_default` by name.
        """
        signature = {
            "inputs": {spec.name: _described(spec) for spec in inputs},
            "outputs": {name: _described(spec) for name, spec in outputs.items()},
        }
        stored = {"before": self.before, "after": self.after, "signature": signature}
        return json.dumps(stored, indent=2) + "\n"


def _described(spec: tf.TensorSpec) -> dict[str, Any]:
    """Returns type and shape; no shape if it is unknown how many axes there are."""
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    return {"dtype": spec.dtype.name, "shape": shape}
