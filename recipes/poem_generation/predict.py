"""Predictions of poem generation: themes or prompts in, poems or texts out, without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlrecipes.data.quatrains.prosody import RHYME_NAMES, rhymes, templates_for
from dlrecipes.errors import UsageError
from dlrecipes.export.version import EXTRAS
from dlrecipes.recipe.prediction import plain

from .config import PredictOptions
from .lite import TABLES_FILE, LiteWriter
from .requests import DEFAULTS

if TYPE_CHECKING:
    from dlrecipes.export.version import ModelVersion

_MARKS = "，。，。"


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns a poem for each theme, or each prompt with the text that follows.

    Args:
        version: The published version.
        inputs: Themes, or prompts; none for a poem without a theme.
        options: Form, sampling and length.

    Raises:
        UsageError: If nothing can be written about an input, or an option does not fit.
    """
    inputs = list(inputs) or [""]
    tables = json.loads(version.file(f"{EXTRAS}/{TABLES_FILE}").read_text("utf-8"))
    is_text = tables["form"] == "text"
    request = {**DEFAULTS[tables["form"]], **tables["defaults"], **_request(options, is_text)}
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


def _request(options: PredictOptions, is_text: bool) -> dict[str, Any]:
    chosen = options.model_dump(exclude_none=True)
    request: dict[str, Any] = {
        n: chosen[n] for n in ("temperature", "top_k", "top_p", "seed") if n in chosen
    }
    if is_text:
        _only_for("a text", options, ("first_line", "acrostic", "rhyme", "template", "line_length"))
        return {**request, "length": options.length}
    _only_for("quatrains", options, ("length",))
    return {
        **request,
        **{name: chosen[name] for name in ("first_line", "acrostic", "template", "enforce")},
        "line_length": 0 if options.line_length == "auto" else int(options.line_length),
        "rhyme": _rhyme(options.rhyme),
    }


def _only_for(kind: str, options: PredictOptions, names: Sequence[str]) -> None:
    for name in names:
        if getattr(options, name) != PredictOptions.model_fields[name].default:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} does not apply to {kind}, which this model writes.")


def _rhyme(character: str) -> int:
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
    if not row["problem"]:
        kept = {name: value for name, value in row.items() if name not in ("problem", "poem")}
        return kept if "text" in row else {"theme": text, **kept}
    first = request.get("first_line", "")
    if row["problem"].startswith("No template") and first and not request.get("acrostic"):
        # Raises an error that names the wrong tones, if they are the reason.
        length = request.get("line_length") or (5 if len(first) == 5 else 7)
        templates_for(first, length)
    raise UsageError(
        f"{text!r}: {row['problem']}" if text else row["problem"],
        "Choose other characters" + (", or --no-enforce." if "template" in row["problem"] else "."),
    )


def present(prediction: Mapping[str, Any]) -> str:
    """Returns a text, or a poem with the tones of its lines."""
    if "text" in prediction:
        return prediction["text"]
    lines = [
        f"  {line}{mark}  {' '.join(pattern)}"
        for line, mark, pattern in zip(
            prediction["lines"], _MARKS, prediction["pattern"], strict=True
        )
    ]
    title = f"{prediction['theme']}  " if prediction["theme"] else ""
    rhyme = f"(rhyme {prediction['rhyme']})" if prediction["rhyme"] else "(no rhyme asked for)"
    return "\n".join([f"{title}{rhyme}", *lines])
