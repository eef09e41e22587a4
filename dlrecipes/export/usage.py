"""How a published model is called: the usage section of its card, generated from its graphs."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import keras
import tensorflow as tf

from dlrecipes._utils.markdown import table
from dlrecipes.export._example_inputs import ExampleInput, example_inputs, quoted
from dlrecipes.export.litert import concrete_function
from dlrecipes.export.litert_metadata import Metadata
from dlrecipes.export.signatures import Exports, Signature
from dlrecipes.export.version import LITERT_FILE, ONNX_FILE, files_table, litert_file, part_file

DEFAULT = "serving_default"
LITERT_HEADING, ONNX_HEADING = "### LiteRT", "### ONNX"
# Longer argument lists are written with one argument per line.
MAX_LINE = 80


def plain_card(name: str, model: keras.Model, usage_text: str, litert: bool = True) -> str:
    """Returns a model card with the facts that are known about any model.

    Args:
        name: Name of the model.
        model: The model.
        usage_text: The usage section, in Markdown, as `usage` returns it.
        litert: Whether there are LiteRT files. Defaults to `True`.
    """
    tags = "[tensorflow, litert]" if litert else "[tensorflow]"
    parts = [
        f"---\nlicense: unknown\nlibrary_name: keras\ntags: {tags}\n---\n\n# {name}",
        f"{model.count_params():,} parameters. Every file was loaded again and compared with the "
        "model before this folder appeared.",
        files_table(litert),
        "## Usage\n\n" + usage_text.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def usage(
    name: str,
    exports: Exports,
    notes: str = "",
    *,
    functions: Mapping[str, Any] | None = None,
    onnx: bool = False,
) -> str:
    """Returns how a published model is called, in Markdown.

    Names, types and shapes are read from the traced functions, so the text cannot differ from
    the graphs. Texts and integers in the requests come from the signatures' examples; floats are
    zeros.

    Args:
        name: Name of the model in the address of a request.
        exports: Signatures, LiteRT function and smaller LiteRT formats.
        notes: Facts that the graphs do not state, in Markdown: value ranges, meaning of the
            outputs, order of the labels. Printed under the generated text. Defaults to `""`.
        functions: Traced functions by signature name, and LiteRT's by the name `LITERT_FILE`.
            Defaults to `None`: they are traced here.
        onnx: Whether `model.onnx` is published. Defaults to `False`.

    Example:

    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from dlrecipes.export import Exports, Signature
    >>> from dlrecipes.export.usage import usage
    >>> double = Signature(
    ...     lambda x: {"y": 2 * x}, [tf.TensorSpec([None], tf.int32, name="x")], [(np.ones(1),)]
    ... )
    >>> text = usage("double", Exports({"serving_default": double}, double))
    >>> print(next(line for line in text.splitlines() if line.startswith("curl")))
    curl -d '{"inputs": [1]}' localhost:8501/v1/models/double:predict
    """
    traced = functions or {
        **{key: concrete_function(value) for key, value in exports.signatures.items()},
        LITERT_FILE: concrete_function(exports.litert),
    }
    parts = []
    main = DEFAULT if DEFAULT in exports.signatures else next(iter(exports.signatures), None)
    for key, signature in exports.signatures.items():
        parts += [f"### Signature `{key}`", _tensor_table(signature, traced[key])]
        if key == main:
            parts += [
                "With `dlrecipes serve` or TensorFlow Serving:",
                _request(name, key, signature),
                "In Python, from this folder:",
                _python(key, signature, traced[key]),
            ]
    if others := [key for key in exports.signatures if key != main]:
        parts.append(
            f'Requests to another signature name it: `{{"signature_name": "{others[0]}", '
            '"inputs": ...}`.'
        )
    parts += litert_usage(exports, traced[LITERT_FILE], onnx)
    if notes.strip():
        parts += ["### Notes", notes.strip()]
    return "\n\n".join(parts)


def litert_usage(exports: Exports, function: Any, onnx: bool = False) -> list[str]:
    """Returns how the LiteRT and ONNX files are called, as paragraphs under a heading.

    Args:
        exports: LiteRT function and smaller LiteRT formats.
        function: Traced LiteRT function.
        onnx: Whether `model.onnx` is published. Defaults to `False`.
    """
    if exports.without_litert:
        parts = [LITERT_HEADING, f"There is no `{LITERT_FILE}`. {exports.without_litert}"]
    else:
        parts = [LITERT_HEADING, f"`{LITERT_FILE}` takes and returns tensors:"]
        parts += [_tensor_table(exports.litert, function), *_litert(exports, function)]
        for name, signature in exports.litert_parts.items():
            table_of_part = _tensor_table(signature, concrete_function(signature))
            parts += [f"`{part_file(name)}` is called in the same way:", table_of_part]
    if onnx:
        if exports.without_litert:
            parts += [ONNX_HEADING, f"`{ONNX_FILE}` takes and returns tensors:"]
            parts += [_tensor_table(exports.litert, function), onnx_call(exports.litert)]
        else:
            parts += [onnx_usage(exports.litert)]
    return parts


def onnx_usage(signature: Signature) -> str:
    """Returns how the ONNX file is called if there is a LiteRT file of the same function.

    Args:
        signature: Inputs of the function, with an example.
    """
    text = f"`{ONNX_FILE}` has the inputs and outputs of `{LITERT_FILE}`:"
    return f"{text}\n\n{onnx_call(signature)}"


def _tensor_table(signature: Signature, function: Any) -> str:
    """Returns a table of a traced function's inputs and outputs."""
    rows = [["input", *_described(spec.name, spec)] for spec in signature.inputs]
    outputs = function.structured_outputs
    rows += [["output", *_described(name, outputs[name])] for name in sorted(outputs)]
    lines = [
        f"`{spec.name}` is the model's input `{signature.given_names[spec.name]}`, whose name is "
        "not valid in a SavedModel."
        for spec in signature.inputs
        if spec.name in signature.given_names
    ]
    return "\n\n".join([table(["", "name", "type", "shape"], rows), *lines])


def _described(name: str, spec: tf.TensorSpec) -> list[str]:
    shape = "any" if spec.shape.rank is None else str(tuple(spec.shape.as_list()))
    return [f"`{name}`", spec.dtype.name, f"`{shape}`"]


def _request(name: str, key: str, signature: Signature) -> str:
    """Returns a request as a shell command."""
    inputs = example_inputs(signature)
    large = any(entry.is_large for entry in inputs)
    values = {entry.name: entry.in_python() if large else entry.in_json() for entry in inputs}
    pairs = ", ".join(f"{quoted(name)}: {value}" for name, value in values.items())
    columns = next(iter(values.values())) if len(values) == 1 else f"{{{pairs}}}"
    chosen = "" if key == DEFAULT else f'"signature_name": {quoted(key)}, '
    body = f'{{{chosen}"inputs": {columns}}}'
    # A space or a quotation mark would end the shell's word.
    address = f"localhost:8501/v1/models/{quote(name, safe='')}:predict"
    if large:
        modules = "base64, json" if any(entry.file for entry in inputs) else "json"
        script = f"import {modules}, numpy as np\nprint(json.dumps({body}))"
        return _block(f"python3 -c '{script}' |\n    curl -d @- {address}")
    if any(entry.file for entry in inputs):
        return _block(f"echo '{body}' |\n    curl -d @- {address}")
    return _block(f"curl -d '{body}' {address}")


def _python(key: str, signature: Signature, function: Any) -> str:
    """Returns the lines that load the SavedModel and call a signature."""
    arguments = _arguments(example_inputs(signature), ExampleInput.in_tensorflow)
    first = sorted(function.structured_outputs)[0]
    return _block(
        "import tensorflow as tf\n\n"
        'model = tf.saved_model.load(".")\n'
        f"call = model.signatures[{quoted(key)}]\n"
        f"outputs = call({arguments})\n"
        f"print(outputs[{quoted(first)}].numpy())",
        "python",
    )


def _litert(exports: Exports, function: Any) -> list[str]:
    """Returns the lines that call the LiteRT files."""
    inputs, outputs = example_inputs(exports.litert), function.structured_outputs
    parts = [
        _block(
            "import numpy as np\n"
            "from ai_edge_litert.interpreter import Interpreter\n\n"
            f'interpreter = Interpreter(model_path="{LITERT_FILE}")\n'
            f'runner = interpreter.get_signature_runner("{DEFAULT}")\n'
            f"outputs = runner({_arguments(inputs, ExampleInput.in_numpy)})\n"
            f"print(outputs[{quoted(sorted(outputs)[0])}])",
            "python",
        )
    ]
    formats = exports.quantized.formats if exports.quantized else ()
    if exports.litert.match:
        # The int8 file of a detector has float inputs and outputs.
        int8, same_kinds = False, formats
    else:
        int8, same_kinds = "int8" in formats, [kind for kind in formats if kind != "int8"]
    if same := [f"`{litert_file(kind)}`" for kind in same_kinds]:
        verb = "is" if len(same) == 1 else "are"
        parts.append(f"{' and '.join(same)} {verb} called in the same way.")
    if int8:
        parts += _int8(
            [entry.name for entry in inputs if entry.spec.dtype == tf.float32],
            [name for name in sorted(outputs) if outputs[name].dtype == tf.float32],
        )
    if exports.metadata:
        parts += _mediapipe(exports.metadata, int8)
    return parts


def without_smaller(section: str) -> str:
    """Returns the section on LiteRT without what it says about smaller formats.

    Args:
        section: Section as `litert_usage` returns it, joined by blank lines.
    """
    other = r"`model\.\w+\.tflite`"
    patterns = (
        rf"{other}(?: and {other})* (?:is|are) called in the same way\.\n\n?",
        rf"{other} is called in the same way, but .*?\n```\n\n?",
        rf" MediaPipe Tasks does not take int8 inputs, as {other} has them\.",
    )
    for pattern in patterns:
        section = re.sub(pattern, "", section, flags=re.DOTALL)
    return section


def _mediapipe(metadata: Metadata, int8: bool) -> list[str]:
    """Returns the lines that load the LiteRT file in MediaPipe Tasks."""
    task = metadata.task
    call, result = {
        "ImageClassifier": ("classify", "classifications[0].categories[0]"),
        "ImageEmbedder": ("embed", "embeddings[0].embedding"),
        "ObjectDetector": ("detect", "detections[:3]"),
    }[task]
    text = (
        f"The metadata of `{LITERT_FILE}` lets MediaPipe Tasks load it as `{task}`, on Android, "
        "iOS, the web and in Python. It resizes an image to the input's size and feeds "
        f"`(value - {metadata.image.mean:g}) / {metadata.image.std:g}` of its 8-bit RGB values."
    )
    if int8:
        text += f" MediaPipe Tasks does not take int8 inputs, as `{litert_file('int8')}` has them."
    code = (
        "import mediapipe as mp\n"
        "import numpy as np\n"
        "from PIL import Image\n\n"
        f'task = mp.tasks.vision.{task}.create_from_model_path("{LITERT_FILE}")\n'
        'pixels = np.array(Image.open("image.png").convert("RGB"))\n'
        f"result = task.{call}(mp.Image(image_format=mp.ImageFormat.SRGB, data=pixels))\n"
        f"print(result.{result})"
    )
    return [text, _block(code, "python")]


def _int8(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """Returns the lines that convert float inputs and outputs for the int8 file."""
    text = f"`{litert_file('int8')}` is called in the same way"
    if not inputs and not outputs:
        return [f"{text}."]
    lines = []
    if inputs:
        lines += [
            f"scale, zero_point = {_quantization('input', inputs[0])}",
            "quantized = np.clip(np.round(values / scale) + zero_point, -128, 127).astype(np.int8)",
        ]
    if outputs:
        lines += [
            f"scale, zero_point = {_quantization('output', outputs[0])}",
            f"values = (outputs[{quoted(outputs[0])}].astype(np.float32) - zero_point) * scale",
        ]
    return [
        f"{text}, but its float32 tensors are int8. Each has a scale and a zero point:",
        _block("\n".join(lines), "python"),
    ]


def _quantization(side: str, name: str) -> str:
    return f'runner.get_{side}_details()[{quoted(name)}]["quantization"]'


def onnx_call(signature: Signature) -> str:
    """Returns the lines that call the ONNX file."""
    values = [f"{quoted(entry.name)}: {entry.in_numpy()}" for entry in example_inputs(signature)]
    return _block(
        "import numpy as np\n"
        "import onnxruntime\n\n"
        f'session = onnxruntime.InferenceSession("{ONNX_FILE}")\n'
        f"outputs = session.run(None, {{{', '.join(values)}}})",
        "python",
    )


def _arguments(inputs: Sequence[ExampleInput], write: Callable[[ExampleInput], str]) -> str:
    """Returns keyword arguments for a call."""
    if not all(entry.name.isidentifier() and not keyword.iskeyword(entry.name) for entry in inputs):
        return "**{" + ", ".join(f"{quoted(entry.name)}: {write(entry)}" for entry in inputs) + "}"
    arguments = [f"{entry.name}={write(entry)}" for entry in inputs]
    line = ", ".join(arguments)
    if len(line) <= MAX_LINE:
        return line
    return "".join(f"\n    {argument}," for argument in arguments) + "\n"


def _block(code: str, language: str = "") -> str:
    return f"```{language}\n{code}\n```"
