"""Publishes SavedModel, LiteRT, ONNX and `.keras` files after comparing each with the model."""

from typing import TYPE_CHECKING

from dlrecipes._utils.lazy import attach

if TYPE_CHECKING:
    from dlrecipes.export.publish import publish
    from dlrecipes.export.signatures import Exports, Quantized, Signature
    from dlrecipes.export.version import ModelVersion

__all__ = ["Exports", "ModelVersion", "Quantized", "Signature", "publish"]

attach(
    __name__,
    {
        "Exports": "signatures",
        "ModelVersion": "version",
        "Quantized": "signatures",
        "Signature": "signatures",
        "publish": "publish",
    },
)
