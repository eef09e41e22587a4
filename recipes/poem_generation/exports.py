"""Requests for the verification, files and notes that poem generation publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.rhyme_book import NUM_LEVEL, RHYME_NAMES
from dlrecipes.training import CharacterLanguageModel

from . import encoding, requests, text_generation
from .lite import CHARACTERS_FILE, TABLES_FILE

# Requests per signature on which the SavedModel is compared with the model.
NUM_REQUESTS = 6
# Sequences on which LiteRT files are measured.
MEASURED_STEPS, MEASURED_POEMS = 500, 20
STEP_NOTES = (
    "`model.tflite` is one step of the network: it takes the id of {inputs} and the states, and "
    "returns the scores of the next character and the new states. `assets.extra/characters.txt` "
    "(JSON) has the characters by id."
)
TEXT_NOTES = STEP_NOTES.format(inputs="the previous character") + "\n"
POEM_NOTES = """A poem about {theme}:

```
{poem}
```

`pattern` has the required tones (P level, Z oblique, * either), and `problem` the reason if there \
is no poem. `acrostic` takes the first character of each line, and `first_line` a line or its \
beginning. In `generate`, `line_length` is 5, 7 or 0 for either, `template` 0 to 3, -1 for any or \
-2 for none, and `rhyme` 0 to {last_rhyme} for the rhymes {rhymes} or -1 for any.

{step} `tables.json` has everything else. `dlrecipes predict` runs it, and the recipe's `lite.py` \
shows how."""


def measured_sequences(
    model: CharacterLanguageModel, examples: Sequence[Poem] | str
) -> list[dict[str, np.ndarray]]:
    """Returns inputs and targets of the first test poems, or of the beginning of the test text."""
    is_text = isinstance(examples, str)
    arrays = encoding.encode(model, examples[: MEASURED_STEPS + 1 if is_text else MEASURED_POEMS])
    return [
        {name: array[row] for name, array in arrays.items()}
        for row in range(len(arrays["targets"]))
    ]


def poem_requests(examples: Sequence[Poem]) -> dict[str, dict[str, np.ndarray]]:
    """Returns the requests on which each signature of quatrains is verified."""
    count = NUM_REQUESTS
    poems = [examples[k % len(examples)] for k in range(count)]
    themes = [poem.lines[0][:2] for poem in poems[:-1]] + [""]
    varied = {
        "theme": themes,
        "line_length": np.resize([0, 5, 7], count),
        "enforce": np.resize([True, False], count),
        "temperature": 0.9,
        "top_k": np.resize([0, 20], count),
        "top_p": np.resize([1.0, 0.9], count),
        "seed": np.arange(count),
    }
    values: dict[str, dict[str, Any]] = {
        "serving_default": {"theme": themes},
        "first_line": {"first_line": [poem.lines[0] for poem in poems]},
        "acrostic": {"acrostic": ["".join(line[0] for line in poem.lines) for poem in poems]},
        "generate": {**requests.DEFAULTS["quatrains"], **varied},
    }
    return {name: requests.arrays("quatrains", count, **value) for name, value in values.items()}


def text_requests(text: str) -> dict[str, dict[str, np.ndarray]]:
    """Returns the requests on which each signature of a text is verified."""
    prompts, top_p = [text[:5], "", text[5:20]], [1.0, 1.0, 0.9]
    sampling = {"temperature": 0.9, "top_k": [0, 5, 0], "top_p": top_p, "seed": [1, 2, 3]}
    return {
        "serving_default": requests.arrays("text", 3, prompt=prompts),
        "generate": requests.arrays("text", 3, prompt=prompts, length=[30, 10, 20], **sampling),
    }


def poem_files(
    model: CharacterLanguageModel,
    defaults: Mapping[str, Any],
    line_length: int,
    poems: Sequence[Mapping[str, Any]],
) -> dict[str, str]:
    """Returns the vocabulary, the tables that `lite.py` reads, and a page of poems."""
    names = [*model.vocabulary, *model.themes]
    ids, strengths = np.asarray(model.associated), np.asarray(model.association)
    # In reverse, so that a character takes precedence over a theme of the same name.
    associations = {
        name: [[int(k), float(x)] for k, x in zip(a, b, strict=True) if x > 0]
        for name, a, b in list(zip(names, ids, strengths, strict=True))[::-1]
    }
    tables = {
        "line_length": line_length,
        **encoding.encoder_for(tuple(model.vocabulary)).tables(),
        "associations": associations,
    }
    pages = [
        "\n".join([poem["theme"], *map("{}  {}".format, poem["lines"], poem["pattern"])])
        for poem in poems
    ]
    files = _files(model, "quatrains", defaults, tables)
    return {**files, "poems.txt": "\n\n".join(pages) + "\n"}


def text_files(model: CharacterLanguageModel, defaults: Mapping[str, Any]) -> dict[str, str]:
    """Returns the vocabulary and the tables that `lite.py` reads."""
    return _files(model, "text", defaults, {"first": text_generation.first_id(model.vocabulary)})


def _files(
    model: CharacterLanguageModel, form: str, defaults: Mapping[str, Any], tables: Mapping[str, Any]
) -> dict[str, str]:
    shared = {
        "form": form,
        "special": len(encoding.SPECIAL),
        "states": [list(state.shape) for state in tf.nest.flatten(model.first_states(1))],
        "defaults": dict(defaults),
    }
    return {
        CHARACTERS_FILE: json.dumps(model.vocabulary, ensure_ascii=False),
        TABLES_FILE: json.dumps({**shared, **tables}, ensure_ascii=False),
    }


def poem_notes(poems: Sequence[Mapping[str, Any]]) -> str:
    """Returns how to call the signatures of quatrains, in Markdown."""
    return POEM_NOTES.format(
        theme=poems[0]["theme"] or "nothing",
        poem="\n".join(poems[0]["lines"]),
        last_rhyme=NUM_LEVEL - 1,
        rhymes="".join(RHYME_NAMES[:NUM_LEVEL]),
        step=STEP_NOTES.format(
            inputs="the previous character, the place, tone and rhyme required next"
        ),
    )
