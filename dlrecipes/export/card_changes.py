"""Changes of a model card when formats are added to a version, or removed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

from dlrecipes._utils.markdown import replace_section, split_section
from dlrecipes.export import reference_outputs
from dlrecipes.export.formats_card import HEADING as FORMATS
from dlrecipes.export.signatures import Signature
from dlrecipes.export.usage import LITERT_HEADING, ONNX_HEADING, onnx_usage, without_smaller
from dlrecipes.export.version import LITERT_FILE, files_table

NOT_REQUESTED = f"{LITERT_HEADING}\n\nThere is no `{LITERT_FILE}`. It was not requested."


def without_files(text: str, names: Collection[str]) -> str:
    """Returns a card that does not describe certain LiteRT files.

    Args:
        text: The card.
        names: Names of the files.
    """
    if not names:
        return text
    if LITERT_FILE in names:
        text = replace_section(text, FORMATS, "")
        _, section, _ = split_section(text, LITERT_HEADING)
        # The ONNX file has the same inputs and outputs.
        onnx = re.search(r"`model\.onnx` has the inputs.*?\n```python\n.*?\n```", section, re.S)
        content = NOT_REQUESTED
        if onnx:
            call = onnx[0].partition("\n\n")[2]
            content += f"\n\n{ONNX_HEADING}\n\n{call}"
        return replace_section(text, LITERT_HEADING, content)
    before, section, after = split_section(text, LITERT_HEADING)
    text = before + without_smaller(section) + after
    rows = tuple(f"| `{name}` |" for name in names)
    return "".join(line for line in text.splitlines(True) if not line.startswith(rows))


def with_usage(text: str, parts: Sequence[str]) -> str:
    """Returns a card with another section on LiteRT and ONNX.

    Args:
        text: The card.
        parts: Paragraphs from `usage.litert_usage`.
    """
    text = replace_section(text, ONNX_HEADING, "")
    if not split_section(text, LITERT_HEADING)[1]:
        return text  # A card of the user's own.
    return replace_section(text, LITERT_HEADING, "\n\n".join(parts))


def with_onnx(text: str, references: Sequence[Mapping[str, Any]]) -> str:
    """Returns a card whose section on LiteRT says how the ONNX file is called.

    Args:
        text: The card.
        references: Reference outputs of the LiteRT function, whose inputs are shown.
    """
    _, section, _ = split_section(text, LITERT_HEADING)
    if not section or not references:
        return text
    arrays = reference_outputs.inputs(references[0])
    specs = [tf.TensorSpec(array.shape, array.dtype, name=key) for key, array in arrays.items()]
    signature = Signature(lambda *tensors: {}, specs, [tuple(arrays.values())])
    content = f"{section.rstrip()}\n\n{onnx_usage(signature)}"
    return replace_section(text, LITERT_HEADING, content)


def with_measurements(text: str, sizes: str, added: Collection[str]) -> str:
    """Returns a card with new measurements; files that were left out before stay mentioned.

    Args:
        text: The card.
        sizes: Section from `formats_card`.
        added: Names of the files that were added now.
    """
    _, section, _ = split_section(text, FORMATS)
    left_out = [
        line
        for line in section.splitlines()
        if " is left out: " in line and not line.startswith(tuple(added))
    ]
    return replace_section(text, FORMATS, "\n\n".join([sizes.strip(), *left_out]))


def with_litert(text: str, litert: bool) -> str:
    """Returns a card whose table of files and tags say whether there are LiteRT files.

    Args:
        text: The card.
        litert: Whether there are.
    """
    text = text.replace(files_table(not litert), files_table(litert))
    if not text.startswith("---\n"):
        return text
    head, end, rest = text[4:].partition("\n---\n")
    without = re.sub(r"(\n *- litert$|, litert(?=\]))", "", head, flags=re.M)
    with_tag = re.sub(r"\n( *)- tensorflow$", r"\n\1- tensorflow\n\1- litert", without, flags=re.M)
    with_tag = re.sub(r"(tags: \[.*?)\]", r"\1, litert]", with_tag)
    return f"---\n{with_tag if litert else without}{end}{rest}"
