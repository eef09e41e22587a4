"""Predictions of poem generation: themes or prompts in, poems or texts out, without TensorFlow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlrecipes.data.quatrains.prosody import RHYME_NAMES, rhymes, templates_for
from dlrecipes.errors import UsageError
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe.prediction import plain

from .config import PredictOptions
from .lite import TABLES_FILE, LiteWriter
from .requests import DEFAULTS, MARKS, NO_TEMPLATE_FITS

_MARKS = "，。，。"


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns a poem for each theme, or each prompt with its continuation.

    Args:
        version: Published version.
        inputs: Themes or prompts; an empty sequence for one poem or text without.
        options: Form, sampling and length.

    Raises:
        UsageError: If a poem or text cannot be written, or an option does not apply.
    """
    inputs = list(inputs) or [""]
    tables = json.loads(version.file(f"{EXTRAS}/{TABLES_FILE}").read_text("utf-8"))
    form, is_text = tables["form"], tables["form"] == "text"
    request = {**DEFAULTS[form], **tables["defaults"], **_request(options, form)}
    key = "prompt" if is_text else "theme"
    if options.lite:
        writer = LiteWriter(version)
        write = writer.text if is_text else writer.poem
        rows = [write({**request, key: text}) for text in inputs]
    else:
        arrays = {name: [value] * len(inputs) for name, value in request.items()}
        outputs = version.call("generate", **{**arrays, key: inputs})
        rows = [
            {name: plain(value, row) for name, value in outputs.items()}
            for row in range(len(inputs))
        ]
    return [_prediction(row, text, request) for row, text in zip(rows, inputs, strict=True)]


def _request(options: PredictOptions, form: str) -> dict[str, Any]:
    fields = DEFAULTS[form]
    for name, field in PredictOptions.model_fields.items():
        applies = name in fields or name in ("enforce", "lite")
        if not applies and getattr(options, name) != field.default:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} does not apply to {form}, which this model writes.")
    chosen = options.model_dump(exclude_none=True)
    request = {name: value for name, value in chosen.items() if name in fields}
    if form == "quatrains":
        auto = options.line_length == "auto"
        request["line_length"] = 0 if auto else int(options.line_length)
        request["rhyme"] = _rhyme_class(options.rhyme)
        line, firsts = (re.sub(MARKS, "", text) for text in (options.first_line, options.acrostic))
        if line and firsts and line[0] != firsts[0]:
            raise UsageError(
                f"--acrostic begins with {firsts[0]!r}, but --first-line with {line[0]!r}.",
                "Begin both with the same character, or leave one out.",
            )
    return request


def _rhyme_class(character: str) -> int:
    if not character:
        return -1
    classes = rhymes(character)
    if not classes:
        raise UsageError(
            f"--rhyme {character!r}: this is not a character with a known rhyme.",
            f"Give one, such as one of {RHYME_NAMES}.",
        )
    return min(classes)


def _prediction(row: Mapping[str, Any], text: str, request: Mapping[str, Any]) -> dict[str, Any]:
    problem, opening = row["problem"], request.get("first_line", "")
    if not problem:
        outputs = {name: value for name, value in row.items() if name not in ("problem", "poem")}
        return outputs if "text" in outputs else {"theme": text, **outputs}
    if problem == NO_TEMPLATE_FITS and opening and not request["acrostic"]:
        # Raises an error that names the tones, if they are the reason.
        templates_for(opening, request["line_length"] or (5 if len(opening) == 5 else 7))
    raise UsageError(
        f"{text!r}: {problem}" if text else problem,
        "Choose other characters" + (", or --no-enforce." if "template" in problem else "."),
    )


def present(prediction: Mapping[str, Any]) -> str:
    """Returns a text, or a poem with the tones of its lines."""
    if "text" in prediction:
        return prediction["text"]
    columns = prediction["lines"], _MARKS, prediction["pattern"]
    title = f"{prediction['theme']}  " if prediction["theme"] else ""
    rhyme = f"(rhyme {prediction['rhyme']})" if prediction["rhyme"] else "(no rhyme required)"
    lines = [
        f"  {line}{mark}  {' '.join(tones)}" for line, mark, tones in zip(*columns, strict=True)
    ]
    return "\n".join([f"{title}{rhyme}", *lines])
