"""What poem generation publishes beside the graph that writes: files, requests, how to call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.prosody import RHYME_NAMES
from dlrecipes.recipe import Quantized, Signature
from dlrecipes.training import CharacterLanguageModel

from . import decoding, encoding, requests, text_generation
from .lite import CHARACTERS_FILE, TABLES_FILE

# Steps of the network on which LiteRT is compared with the model.
COMPARED_STEPS = 8
# What the LiteRT file is measured on: characters of a text, or poems.
MEASURED_STEPS, MEASURED_POEMS = 500, 20
# Largest loss of log-likelihood per character for a smaller LiteRT file to be published.
DROP = 0.02
STEP = (
    "`model.tflite` is one step of the network: it takes the id of {inputs} and the states, and "
    "returns the scores of the next character and the new states. `assets.extra/characters.txt` "
    "(JSON) has the characters by id."
)


def step(model: CharacterLanguageModel, examples: Sequence[Poem] | str) -> Signature:
    """Returns one step of the network: ids and states in, scores and states out."""
    names = [tensor.name for tensor in model.network.inputs]
    states = model.first_states(1)
    flat = [np.asarray(state) for state in tf.nest.flatten(states)]

    def run_step(*tensors):
        inputs = dict(zip(names, tensors, strict=False))
        packed = tf.nest.pack_sequence_as(states, tensors[len(names) :])
        scores, after = model.step(inputs, packed)
        new = {f"new_state_{k}": x for k, x in enumerate(tf.nest.flatten(after))}
        return {"scores": scores, **new}

    inputs = [tf.TensorSpec([1], tf.int32, name=name) for name in names]
    inputs += [tf.TensorSpec(x.shape, tf.float32, name=f"state_{k}") for k, x in enumerate(flat)]
    if isinstance(examples, str):
        rows = {"characters": text_generation.encode(model, examples[:COMPARED_STEPS])}
    else:
        arrays = encoding.of(tuple(model.vocabulary)).encode(examples[:1])
        rows = {name: arrays[name][0][:COMPARED_STEPS] for name in names}
    run, found, now = tf.function(run_step, input_signature=inputs), [], flat
    for number in range(len(rows["characters"])):
        found.append((*(rows[name][number : number + 1] for name in names), *now))
        after = run(*map(tf.constant, found[-1]))
        now = [after[f"new_state_{k}"].numpy() for k in range(len(flat))]
    return Signature(run_step, inputs, found)


def measured(
    model: CharacterLanguageModel, lite: Signature, examples: Sequence[Poem] | str
) -> Quantized:
    """Returns how smaller forms of the step are measured; none is made unless it is asked for.

    Args:
        model: The language model.
        lite: Its step.
        examples: Test poems or the test text, of which the first are read.
    """
    names = [tensor.name for tensor in model.network.inputs]
    if isinstance(examples, str):
        ids = text_generation.encode(model, examples[: MEASURED_STEPS + 1])
        texts = [({"characters": ids[:-1]}, ids[1:])]
    else:
        arrays = encoding.of(tuple(model.vocabulary)).encode(examples[:MEASURED_POEMS])
        texts = [
            ({name: arrays[name][row] for name in names}, targets[targets > 0])
            for row, targets in enumerate(arrays["targets"])
        ]
    states = {f"state_{k}": x for k, x in enumerate(lite.examples[0][len(names) :])}

    def log_likelihood(step: Callable[..., Mapping[str, np.ndarray]]) -> float:
        found = []
        for inputs, targets in texts:
            now = states
            for place, target in enumerate(targets):
                here = {name: array[place : place + 1] for name, array in inputs.items()}
                after = step(**here, **now)
                scores = after["scores"].reshape(-1).astype("float64")
                found.append(scores[target] - scores.max())
                found[-1] -= np.log(np.exp(scores - scores.max()).sum())
                now = {name: after[f"new_{name}"] for name in states}
        return float(np.mean(found))

    return Quantized((), lite.examples, "log_likelihood", log_likelihood, DROP)


def poem_requests(
    model: CharacterLanguageModel, examples: Sequence[Poem], count: int
) -> dict[str, dict[str, np.ndarray]]:
    """Returns, for each signature of quatrains, requests on which it is verified."""
    some = [examples[k % len(examples)] for k in range(count)]
    themes = [poem.lines[0][:2] for poem in some[:-1]] + [""]
    firsts = [poem.lines[0] for poem in some]
    acrostics = ["".join(line[0] for line in poem.lines) for poem in some]
    everything = requests.arrays("quatrains", count, **requests.DEFAULTS["quatrains"])
    everything |= requests.arrays(
        "quatrains",
        count,
        theme=np.array(themes, object),
        line_length=np.resize([0, 5, 7], count),
        enforce=np.resize([True, False], count),
        temperature=0.9,
        top_k=np.resize([0, 20], count),
        top_p=np.resize([1.0, 0.9], count),
        seed=np.arange(count),
    )
    return {
        "serving_default": requests.arrays("quatrains", count, theme=np.array(themes, object)),
        "first_line": requests.arrays("quatrains", count, first_line=np.array(firsts, object)),
        "acrostic": requests.arrays("quatrains", count, acrostic=np.array(acrostics, object)),
        "generate": everything,
    }


def text_requests(text: str) -> dict[str, dict[str, np.ndarray]]:
    """Returns, for each signature of a text, requests on which it is verified."""
    prompts = np.array([text[:5], "", text[5:20]], object)
    count = len(prompts)
    shared = {"temperature": 0.9, "top_k": [0, 5, 0], "top_p": [1.0, 1.0, 0.9], "seed": [1, 2, 3]}
    everything = requests.arrays("text", count, prompt=prompts, length=[30, 10, 20], **shared)
    return {"serving_default": {"prompt": prompts}, "generate": everything}


def poem_files(
    model: CharacterLanguageModel, written: decoding.Poet, poems: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Returns the vocabulary, the tables that `model.tflite` is driven with, and some poems."""
    known = written.verse
    templates = {
        str(length): [
            {
                "tones": known.patterns[row, k, : 4 * length].tolist(),
                "rhyming": known.rhyming[row, k].tolist(),
            }
            for k in range(4)
        ]
        for row, length in enumerate(encoding.LENGTHS)
    }
    names = [*model.vocabulary, *model.themes]
    ids, strengths = np.asarray(model.associated), np.asarray(model.association)
    associations = {
        name: [[int(k), float(x)] for k, x in zip(a, b, strict=True) if x > 0]
        for name, a, b in list(zip(names, ids, strengths, strict=True))[::-1]
    }
    tables = {
        **_shared(model, "quatrains", written.defaults),
        "line_length": written.line_length,
        "tones": [
            "".join("PZ"[k] for k in range(2) if known.tones[k + 1, c])
            for c in range(len(model.vocabulary))
        ],
        "rhymes": [np.flatnonzero(row).tolist() for row in known.rhymes],
        "rhyme_names": RHYME_NAMES,
        "rhyme_weights": known.rhyme_weights.tolist(),
        "no_rhyme": encoding.NO_RHYME,
        "places": {str(length): place for length, place in encoding.PLACES.items()},
        "templates": templates,
        "associations": associations,
    }
    pages = [
        "\n".join([poem["theme"], *map("{}  {}".format, poem["lines"], poem["pattern"])])
        for poem in poems
    ]
    return {**_files(model, tables), "poems.txt": "\n\n".join(pages) + "\n"}


def text_files(model: CharacterLanguageModel, defaults: Mapping[str, Any]) -> dict[str, str]:
    """Returns the vocabulary and the tables that `model.tflite` is driven with."""
    tables = {
        **_shared(model, "text", defaults),
        "first": text_generation.first_id(model.vocabulary),
    }
    return _files(model, tables)


def _shared(model, form: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    states = [list(state.shape) for state in tf.nest.flatten(model.first_states(1))]
    kept = {name: defaults[name] for name in ("temperature", "top_k", "top_p")}
    return {"form": form, "special": encoding.SPECIAL, "states": states, "defaults": kept}


def _files(model: CharacterLanguageModel, tables: Mapping[str, Any]) -> dict[str, str]:
    return {
        CHARACTERS_FILE: json.dumps(model.vocabulary, ensure_ascii=False),
        TABLES_FILE: json.dumps(tables, ensure_ascii=False),
    }


def poem_notes(poems: Sequence[Mapping[str, Any]]) -> str:
    """Returns what the signatures of quatrains cannot say, in Markdown."""
    theme, poem = poems[0]["theme"], "\n".join(poems[0]["lines"])
    return "\n\n".join(
        [
            f"A poem about {theme or 'nothing'}:\n\n```\n{poem}\n```",
            "`pattern` has the required tones (P level, Z oblique, * either), `problem` the reason "
            "where there is no poem. `acrostic` takes the first character of each line, "
            "`first_line` a line or its beginning. In `generate`, `line_length` is 5, 7 or 0, "
            f"`template` 0 to 3, -1 for any or -2 for none, `rhyme` 0 to 15 for {RHYME_NAMES} or "
            "-1 for any.",
            STEP.format(inputs="the previous character, the place, tone and rhyme required next")
            + " `tables.json` has everything else; `dlrecipes predict --lite` drives it, and the "
            "recipe's `lite.py` shows how.",
        ]
    )


def text_notes() -> str:
    """Returns what the signatures of a text model cannot say, in Markdown."""
    return STEP.format(inputs="the previous character") + "\n"
