"""Predictions of poem generation: themes or prompts in, poems or texts out, without TensorFlow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from dlrecipes._utils.notes import print_note
from dlrecipes.data.quatrains.prosody import templates_for
from dlrecipes.data.quatrains.rhyme_book import LEVEL_RHYMES, RHYME_NAMES, rhymes
from dlrecipes.errors import UsageError, nearest
from dlrecipes.export.lite_version import LiteVersion
from dlrecipes.export.version import EXTRAS, ModelVersion
from dlrecipes.recipe.prediction import check_texts, plain

from .config import PredictOptions
from .lite import CHARACTERS_FILE, TABLES_FILE, LiteWriter
from .requests import DEFAULTS, MARKS, NO_TEMPLATE_FITS, UNKNOWN_CHARACTERS, UNKNOWN_THEME

_MARKS = "，。，。"


# Names of themes in an error, seeds that are tried for each poem of `--count`, poems per batch.
_THEMES, _TRIES, _BATCH = 30, 8, 64


def prepare(version: ModelVersion, inputs: Sequence[str], options: PredictOptions) -> list[str]:
    """Returns the inputs after the checks that need the vocabulary; does not load TensorFlow.

    Args:
        version: Published version.
        inputs: Themes or prompts.
        options: Form, sampling and length.

    Raises:
        UsageError: If an option does not apply, or the model knows no character of a theme.
    """
    check_texts(inputs, "a theme or a prompt")
    tables = _tables(version)
    _request(options, tables)
    characters = json.loads(version.file(f"{EXTRAS}/{CHARACTERS_FILE}").read_text("utf-8"))
    for text in inputs:
        if tables["form"] == "text":
            _check_prompt(text, set(characters))
        else:
            _check_theme(text, tables["associations"], set(characters))
    return list(inputs)


def _check_prompt(prompt: str, characters: Set[str]) -> None:
    unknown = "".join(character for character in prompt if character not in characters)
    if unknown:
        problem = f"{UNKNOWN_CHARACTERS.format('prompt')}{unknown}."
        raise UsageError(f"{prompt!r}: {problem}", "Choose other characters.")


def _check_theme(theme: str, known: Collection[str], characters: Set[str]) -> None:
    plain = set(re.sub(MARKS, "", theme))
    if plain and theme.strip() not in known and not plain & characters:
        names = [name for name in known if name not in characters]
        raise UsageError(f"{theme!r}: {UNKNOWN_THEME}", _theme_hint(theme.strip(), names))


def _theme_hint(theme: str, names: Sequence[str]) -> str:
    """Returns the themes that a model knows, as a hint."""
    if not names:
        return "Give Chinese characters, such as 明月."
    listed = ", ".join(sorted(names)[:_THEMES]) + (", ..." if len(names) > _THEMES else "")
    guess = nearest(theme, names)
    return f"{guess} Themes are {listed}, or Chinese characters.".strip()


def _tables(version: ModelVersion) -> dict[str, Any]:
    return json.loads(version.file(f"{EXTRAS}/{TABLES_FILE}").read_text("utf-8"))


def predict(
    version: ModelVersion, inputs: Sequence[str], options: PredictOptions
) -> list[dict[str, Any]]:
    """Returns poems for each theme, or each prompt with its continuations.

    Args:
        version: Published version.
        inputs: Themes or prompts; an empty sequence for poems or texts without.
        options: Number, form, sampling and length.

    Raises:
        UsageError: If a poem or text cannot be written, or an option does not apply.
    """
    inputs = prepare(version, inputs, options) or [""]
    tables = _tables(version)
    form = tables["form"]
    request = {**DEFAULTS[form], **tables["defaults"], **_request(options, tables)}
    lite = isinstance(version, LiteVersion) and version.has_litert
    write = _writer(version, form, request, lite)
    # Several seeds at once, because a batch takes the SavedModel little longer than one poem.
    size = 1 if lite else max(1, min(options.count, _BATCH // len(inputs)))
    rounds = _rounds(write, inputs, options, size)
    chosen = _different(rounds, len(inputs), options.count)
    for text, predictions in zip(inputs, chosen, strict=True):
        if len(predictions) < options.count:
            what = f"{text!r}: " if text else ""
            print_note(
                f"{what}{len(predictions)} different of the {options.count} were found with "
                f"{_TRIES * options.count} seeds; a higher --temperature gives more."
            )
    return [prediction for predictions in chosen for prediction in predictions]


def _writer(
    version: ModelVersion, form: str, request: Mapping[str, Any], lite: bool
) -> Callable[[Sequence[str], Sequence[int]], list[dict[str, Any]]]:
    """Returns a function that writes once for each theme or prompt and its seed."""
    key = "prompt" if form == "text" else "theme"
    if lite:
        writer = LiteWriter(version)
        write_one = writer.text if form == "text" else writer.poem

    def write(inputs: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
        if lite:
            pairs = zip(inputs, seeds, strict=True)
            rows = [write_one({**request, "seed": seed, key: text}) for text, seed in pairs]
        else:
            arrays = {name: [value] * len(inputs) for name, value in request.items()}
            outputs = version.call("generate", **{**arrays, "seed": seeds, key: inputs})
            rows = [
                {name: plain(value, row) for name, value in outputs.items()}
                for row in range(len(inputs))
            ]
        return [
            {**_prediction(row, text, request), "seed": seed}
            for row, text, seed in zip(rows, inputs, seeds, strict=True)
        ]

    return write


def _rounds(
    write: Callable[[Sequence[str], Sequence[int]], list[dict[str, Any]]],
    inputs: Sequence[str],
    options: PredictOptions,
    size: int,
) -> Iterator[list[dict[str, Any]]]:
    """Yields predictions of all inputs, with one seed after another, several at once."""
    last = options.seed + _TRIES * options.count
    for start in range(options.seed, last, size):
        seeds = range(start, min(start + size, last))
        predictions = write(list(inputs) * len(seeds), [seed for seed in seeds for _ in inputs])
        for k in range(len(seeds)):
            yield predictions[k * len(inputs) : (k + 1) * len(inputs)]


def _different(
    rounds: Iterable[Sequence[dict[str, Any]]], themes: int, count: int
) -> list[list[dict[str, Any]]]:
    """Returns the first different poems or texts of each theme."""
    chosen: list[dict[str, dict[str, Any]]] = [{} for _ in range(themes)]
    for predictions in rounds:
        for poems, prediction in zip(chosen, predictions, strict=True):
            text = prediction["text"] if "text" in prediction else "\n".join(prediction["lines"])
            if len(poems) < count:
                poems.setdefault(text, prediction)
        if all(len(poems) == count for poems in chosen):
            break
    return [list(poems.values()) for poems in chosen]


def _request(options: PredictOptions, tables: Mapping[str, Any]) -> dict[str, Any]:
    form = tables["form"]
    fields = DEFAULTS[form]
    for name, field in PredictOptions.model_fields.items():
        applies = name in fields or name in ("count", "enforce")
        if not applies and getattr(options, name) != field.default:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} does not apply to {form}, which this model writes.")
    chosen = options.model_dump(exclude_none=True)
    request = {name: value for name, value in chosen.items() if name in fields}
    if form == "quatrains":
        auto = options.line_length == "auto"
        request["line_length"] = 0 if auto else int(options.line_length)
        request["rhyme"] = _rhyme(options.rhyme, tables)
        line, firsts = (re.sub(MARKS, "", text) for text in (options.first_line, options.acrostic))
        if line and firsts and line[0] != firsts[0]:
            raise UsageError(
                f"--acrostic begins with {firsts[0]!r}, but --first-line with {line[0]!r}.",
                "Begin both with the same character, or leave one out.",
            )
    return request


def _rhyme(character: str, tables: Mapping[str, Any]) -> int:
    """Returns the number that a model gives to the rhyme of a character, or -1 for no character."""
    if not character:
        return -1
    names = {RHYME_NAMES[k] for k in rhymes(character) & LEVEL_RHYMES}
    weights = dict(zip(tables["rhyme_names"], tables["rhyme_weights"], strict=True))
    usable = [name for name, weight in weights.items() if weight]
    hint = f"The model's rhymes are {''.join(usable)}; give one of them."
    if not names:
        problem = f"--rhyme {character!r}: this is not a character with a known level rhyme."
        raise UsageError(problem, hint)
    shared = sorted(names.intersection(usable))
    if not shared:
        problem = f"--rhyme {character!r}: the model has too few characters of the rhyme"
        raise UsageError(f"{problem} {'/'.join(sorted(names))}.", hint)
    return list(weights).index(max(shared, key=weights.__getitem__))


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
