"""Test inputs of a finished run, for the commands that it suggests."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlrecipes.errors import reason
from dlrecipes.export import reference_outputs
from dlrecipes.export.checksums import EXAMPLES_FILE
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe.base import Recipe, Splits
from dlrecipes.recipe.example_files import FOLDER, Command, ExampleFile, write_examples

# Longer inputs are written to a file.
LONGEST = 200


def keep_examples(
    recipe: Recipe, splits: Splits, version: ModelVersion, folder: Path
) -> list[Command]:
    """Returns the arguments of commands to suggest, and writes the files that they name.

    A failure is reported, and does not cost the finished run.

    Args:
        recipe: The recipe.
        splits: Its data.
        version: The published version.
        folder: The run's folder.
    """
    try:
        examples: Sequence[Any] = recipe.example_inputs(splits)
        if not examples and type(recipe).predict is Recipe.predict:
            examples = stored_examples(version)
        return write_examples(examples, folder / FOLDER)
    except Exception as error:
        print(f"Note: no example inputs could be kept: {reason(error)}", file=sys.stderr)
        return []


def stored_examples(version: ModelVersion) -> list[str | ExampleFile]:
    """Returns an input of the default signature as the default predictions take it.

    Args:
        version: The published version, which stores examples.
    """
    text = version.file(f"{EXTRAS}/{EXAMPLES_FILE}").read_text(encoding="utf-8")
    stored = json.loads(text)["signatures"].get("serving_default")
    if not stored:
        return []
    arrays = reference_outputs.inputs(stored[0])
    values = {name: array[:1].tolist()[0] for name, array in arrays.items() if len(array)}
    if len(values) == 1 and isinstance(value := next(iter(values.values())), bytes):
        # A model of texts, or of files.
        return [ExampleFile("input-0", value) if "image_bytes" in values else value.decode()]
    if not values or any(name.endswith("_bytes") for name in values):
        return []
    line = json.dumps(value if len(values) == 1 else values, default=bytes.decode)
    return [line if len(line) <= LONGEST else ExampleFile("inputs.jsonl", f"{line}\n")]
