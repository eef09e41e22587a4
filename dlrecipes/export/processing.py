"""Steps before and after a network: from a request to tensors, and from tensors to an answer.

A version's `assets.extra/processing.json` says it as data, so that `dlrecipes.export.lite_version`
answers with `model.tflite` what the SavedModel's graph answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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

    def text(self, serving: tf.types.experimental.ConcreteFunction) -> str:
        """Returns the contents of the version's file.

        Args:
            serving: Traced function of `serving_default`, whose inputs and outputs are listed.
        """
        _, inputs = serving.structured_input_signature
        inputs = inputs or {spec.name: spec for spec in serving.structured_input_signature[0]}
        sides = {"inputs": inputs, "outputs": serving.structured_outputs}
        signature = {side: {k: _spec(v) for k, v in specs.items()} for side, specs in sides.items()}
        stored = {"before": self.before, "after": self.after, "signature": signature}
        return json.dumps(stored, indent=2) + "\n"


def _spec(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
