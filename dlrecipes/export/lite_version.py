"""Published versions that answer with `model.tflite`, NumPy and Pillow, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlrecipes.errors import PublishError, UsageError, reason
from dlrecipes.export.version import EXTRAS, LITERT_FILE, ModelVersion, RejectedInput

if TYPE_CHECKING:
    import numpy as np

    from dlrecipes.export.lite_processing import Prepared
    from dlrecipes.export.litert_interpreter import LiteRTModel

PROCESSING_FILE = "processing.json"


class LiteVersion(ModelVersion):
    """A version whose default signature is answered by `model.tflite`.

    It is called like a `ModelVersion`. The SavedModel answers what `model.tflite` cannot: other
    signatures, and all of a version without `model.tflite` or `assets.extra/processing.json`.

    Args:
        folder: Folder of the version.
    """

    @property
    def has_litert(self) -> bool:
        """Whether the version was published with the file `model.tflite`."""
        is_there = (self.folder / LITERT_FILE).is_file()
        # A lost file is reported, not replaced by the SavedModel.
        return is_there or self._was_published_with(LITERT_FILE)

    @property
    def answers(self) -> bool:
        """Whether `call` needs no TensorFlow."""
        return self.has_litert and (self.folder / EXTRAS / PROCESSING_FILE).is_file()

    def call(self, signature: str = "serving_default", /, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature with NumPy arrays and returns its outputs as NumPy arrays by name.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
            **inputs: Arrays, or nested lists, by input name. An element of `image_bytes` is a file,
                or an upright image as an uint8 array.

        Raises:
            UsageError: If the names are not those of the signature's inputs.
            RejectedInput: If the model fails on these inputs.
        """
        if signature == "serving_default" and self.answers:
            return self.answer(self.prepare(**inputs))
        if "image_bytes" in inputs:
            from dlrecipes.data.image_files import encode_image

            inputs["image_bytes"] = [
                image if isinstance(image, bytes) else encode_image(image)
                for image in inputs["image_bytes"]
            ]
        return super().call(signature, **inputs)

    def prepare(self, **inputs: Any) -> list[Prepared]:
        """Returns the inputs of `model.tflite` for each example of a request.

        Args:
            **inputs: Inputs of the default signature, as `call` takes them.

        Raises:
            UsageError: If the names are not those of the signature's inputs.
            RejectedInput: If an input cannot be prepared.
        """
        before, _ = self._processing()
        if set(inputs) != set(before.inputs):
            raise UsageError(
                f"{self.folder}: the signature serving_default has the inputs "
                f"{', '.join(before.inputs)}, got {', '.join(inputs) or 'none'}."
            )
        return before(**inputs)

    def open(self) -> LiteRTModel:
        """Returns `model.tflite`, which is loaded on the first use and kept.

        Raises:
            PublishError: If the file cannot be loaded.
        """
        if "model" not in self._loaded:
            self._loaded["model"] = self.litert()
        return self._loaded["model"]

    def answer(self, examples: Sequence[Prepared]) -> dict[str, np.ndarray]:
        """Returns the outputs of the default signature for prepared examples.

        Args:
            examples: Results of `prepare`.

        Raises:
            RejectedInput: If `model.tflite` fails on an example.
        """
        _, after = self._processing()
        model = self.open()
        try:
            rows = [model(**example.tensors) for example in examples]
        except (RuntimeError, ValueError) as error:
            raise RejectedInput(f"{self.folder}: {reason(error)}") from error
        settings = {name: value for name, value in after.items() if name != "kind"}
        from dlrecipes.export.lite_processing import AFTER

        return AFTER[after["kind"]](self.folder / EXTRAS, examples, rows, **settings)

    def read_image(self, path: str) -> Any:
        """Returns an image file as an element of `image_bytes`: decoded, if that is enough."""
        if not self.answers:
            return super().read_image(path)
        from dlrecipes.data.image_files import read_pixels

        return read_pixels(path)

    def signature(self) -> dict[str, dict[str, Any]]:
        """Returns `inputs` and `outputs` of the default signature: `dtype` and `shape` by name.

        Raises:
            PublishError: If the version does not state them.
        """
        path = self.file(f"{EXTRAS}/{PROCESSING_FILE}")
        self._processing()
        stored = json.loads(path.read_text(encoding="utf-8")).get("signature")
        if not isinstance(stored, dict):
            raise PublishError(f"{path}: names no signature.", "Publish the version again.")
        return stored

    def _processing(self) -> Any:
        """Returns the function before the network, and the settings of the one after it."""
        if "processing" not in self._loaded:
            from dlrecipes.export.lite_processing import AFTER, BEFORE

            path = self.file(f"{EXTRAS}/{PROCESSING_FILE}")
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
                settings = dict(stored["before"])
                before = BEFORE[settings.pop("kind")](self.folder / EXTRAS, **settings)
                after = {"kind": "", **stored["after"]}
                AFTER[after["kind"]]
            except (KeyError, TypeError, ValueError) as error:
                raise PublishError(
                    f"{path}: this version of dlrecipes cannot read it: {reason(error)}.",
                    "Update dlrecipes, or predict with --saved-model.",
                ) from error
            self._loaded["processing"] = before, after
        return self._loaded["processing"]
