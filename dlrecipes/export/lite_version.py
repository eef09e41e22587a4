"""Published versions that answer with LiteRT files, NumPy and Pillow, without TensorFlow."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dlrecipes.errors import PublishError, RecipeError, UsageError, reason
from dlrecipes.export.version import EXTRAS, LITERT_FILE, ModelVersion, RejectedInput

if TYPE_CHECKING:
    import numpy as np

    from dlrecipes.export.lite_processing import Prepared
    from dlrecipes.export.litert_interpreter import LiteRTModel

PROCESSING_FILE = "processing.json"
DEFAULT = "serving_default"


class Steps(NamedTuple):
    """How a signature is answered.

    Args:
        file: The LiteRT file.
        before: The step before the network, one of `lite_processing.BEFORE`.
        after: The step after it, one of `lite_processing.AFTER` with its settings.
        specs: `inputs` and `outputs` of the signature: `dtype` and `shape` by name; `None` in a
            version of an earlier release.
    """

    file: str
    before: Any
    after: Callable[..., dict[str, np.ndarray]]
    specs: dict[str, dict[str, Any]] | None

    def misfit(self, inputs: Mapping[str, Any]) -> str:
        """Returns which numbers have another shape than the signature's, or an empty text.

        LiteRT itself would read two codes where one is twice as long as it should be.
        """
        import numpy as np

        for name, spec in (self.specs or {}).get("inputs", {}).items():
            wanted = spec["shape"]
            if spec["dtype"] == "string" or wanted is None:
                continue
            shape = np.shape(inputs[name])
            if len(shape) != len(wanted) or any(
                size not in (None, own) for own, size in zip(shape, wanted, strict=True)
            ):
                expected = ", ".join("any" if size is None else str(size) for size in wanted)
                return f"input {name} must have shape ({expected}), not {shape}."
        return ""

    def nothing(self) -> dict[str, np.ndarray]:
        """Returns the outputs for no examples.

        Raises:
            RejectedInput: If the version does not state their shapes.
        """
        import numpy as np

        if self.specs is None:
            raise RejectedInput("The request has no examples.")
        return {
            name: np.zeros(
                [size or 0 for size in spec["shape"] or [0]],
                object if spec["dtype"] == "string" else spec["dtype"],
            )
            for name, spec in self.specs["outputs"].items()
        }


class LiteVersion(ModelVersion):
    """A version whose default signature is answered by `model.tflite`.

    It is called like a `ModelVersion`. The SavedModel answers what LiteRT files cannot: signatures
    that `assets.extra/processing.json` does not list, and all of a version without this file or
    without `model.tflite`.

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
        """Whether the default signature needs no TensorFlow."""
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
        if self.answers and signature in self.steps():
            return self.answer(self.prepare(signature, **inputs), signature)
        if "image_bytes" in inputs:
            from dlrecipes.data.image_files import encode_image

            inputs["image_bytes"] = [
                image if isinstance(image, bytes) else encode_image(image)
                for image in inputs["image_bytes"]
            ]
        return super().call(signature, **inputs)

    def prepare(self, signature: str = DEFAULT, /, **inputs: Any) -> list[Prepared]:
        """Returns the inputs of the LiteRT file for each example of a request.

        Args:
            signature: Name of the signature. Defaults to `"serving_default"`.
            **inputs: Inputs of the signature, as `call` takes them.

        Raises:
            UsageError: If the names are not those of the signature's inputs.
            RejectedInput: If an input cannot be prepared.
        """
        steps = self.steps()[signature]
        before = steps.before
        if set(inputs) != set(before.inputs):
            raise UsageError(
                f"{self.folder}: the signature {signature} has the inputs "
                f"{', '.join(before.inputs)}, got {', '.join(inputs) or 'none'}."
            )
        try:
            if misfit := steps.misfit(inputs):
                raise RejectedInput(f"{self.folder}: {misfit}")
            return before(**inputs)
        except RecipeError:
            raise
        except (TypeError, ValueError) as error:
            raise RejectedInput(f"{self.folder}: {reason(error)}") from error

    def open(self, file: str = LITERT_FILE) -> LiteRTModel:
        """Returns a LiteRT file, which is loaded on the first use and kept.

        Args:
            file: Name of the file. Defaults to `"model.tflite"`.

        Raises:
            PublishError: If the file cannot be loaded.
        """
        if file not in self._loaded:
            self._loaded[file] = self.litert(name=file)
        return self._loaded[file]

    def answer(
        self, examples: Sequence[Prepared], signature: str = DEFAULT
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature for prepared examples.

        Args:
            examples: Results of `prepare`.
            signature: Name of the signature. Defaults to `"serving_default"`.

        Raises:
            RejectedInput: If the LiteRT file fails on an example.
        """
        steps = self.steps()[signature]
        if not examples:
            return steps.nothing()
        model = self.open(steps.file)
        try:
            rows = [model(**example.tensors) for example in examples]
        except (RuntimeError, ValueError) as error:
            raise RejectedInput(f"{self.folder}: {reason(error)}") from error
        return steps.after(self.folder / EXTRAS, examples, rows)

    def read_image(self, path: str) -> Any:
        """Returns an image file as an element of `image_bytes`: decoded, if that is enough."""
        if not self.answers:
            return super().read_image(path)
        from dlrecipes.data.image_files import read_pixels

        return read_pixels(path)

    def steps(self) -> Mapping[str, Steps]:
        """Returns how each signature is answered that LiteRT files answer, by name.

        Raises:
            PublishError: If `assets.extra/processing.json` is missing or cannot be read.
        """
        if "processing" not in self._loaded:
            path = self.file(f"{EXTRAS}/{PROCESSING_FILE}")
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
                every = {DEFAULT: stored, **stored.get("others", {})}
                self._loaded["processing"] = {
                    name: self._steps(entry) for name, entry in every.items()
                }
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise PublishError(
                    f"{path}: this version of dlrecipes cannot read it: {reason(error)}.",
                    "Update dlrecipes, or predict with --saved-model.",
                ) from error
        return self._loaded["processing"]

    def _steps(self, stored: Mapping[str, Any]) -> Steps:
        from dlrecipes.export.lite_processing import AFTER, BEFORE

        before, after = dict(stored["before"]), {"kind": "", **stored["after"]}
        return Steps(
            stored.get("file", LITERT_FILE),
            BEFORE[before.pop("kind")](self.folder / EXTRAS, **before),
            functools.partial(AFTER[after.pop("kind")], **after),
            stored.get("signature"),
        )
