"""Generation with `model.tflite`, one step of the network at a time, and NumPy.

It shows what an application does, and writes what the SavedModel writes from the same seeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dlrecipes.errors import PublishError
from dlrecipes.export.version import EXTRAS, LITERT_FILE, ModelVersion
from dlrecipes.recipe.prediction import plain
from dlrecipes.samplers import choose_numpy, pick_numpy, uniform

from . import requests

CHARACTERS_FILE, TABLES_FILE = "characters.txt", "tables.json"

# A poem's tone codes by step, whether each line rhymes, and the rhyme.
Plan = tuple[Sequence[int], Sequence[bool], int | None]


class LiteWriter:
    """Writes with the LiteRT model and the tables of a version.

    Args:
        version: Published version.
    """

    def __init__(self, version: ModelVersion):
        self.characters, self.tables = (
            json.loads(version.file(f"{EXTRAS}/{name}").read_text(encoding="utf-8"))
            for name in (CHARACTERS_FILE, TABLES_FILE)
        )
        self.ids = {character: number for number, character in enumerate(self.characters)}
        self.ordinary = np.arange(len(self.characters)) >= self.tables["special"]
        self.model = version.litert()

    def text(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Returns a prompt and its continuation, for the requests that the SavedModel takes."""
        if problem := self._unknown("prompt", request["prompt"]):
            return {"text": "", "problem": problem}
        prompt = [self.ids[character] for character in request["prompt"]]

        def choose(number: int, scores: np.ndarray) -> int:
            if number < len(prompt):
                return prompt[number]
            scores = scores / np.float32(request["temperature"])
            return _sample(request, scores, self.ordinary, number)

        ids = self._generate(self.tables["first"], len(prompt) + request["length"], choose)
        return {"text": "".join(self.characters[k] for k in ids), "problem": ""}

    def poem(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a poem, for the requests that the SavedModel takes."""
        texts = {
            name: re.sub(requests.MARKS, "", request[name])
            for name in ("theme", "first_line", "acrostic")
        }
        opening = [self.ids.get(character, 0) for character in texts["first_line"]]
        usual = 5 if len(opening) == 5 else 7 if len(opening) > 5 else self.tables["line_length"]
        length = request["line_length"] or usual
        given = [0] * (4 * length)
        for line, character in enumerate(texts["acrostic"][:4]):
            given[line * length] = self.ids.get(character, 0)
        given[: len(opening)] = opening
        given = given[: 4 * length]
        plan = self._plan(request, given, length)
        if problem := self._problem(request, texts, plan is not None):
            return {"lines": [""] * 4, "pattern": [""] * 4, "rhyme": "", "problem": problem}
        tones, rhyming, rhyme = plan or ([0] * len(given), [False] * 4, None)
        ids = self._poem_ids(request, given, (tones, rhyming, rhyme))
        cuts = [slice(line * length, (line + 1) * length) for line in range(4)]
        return {
            "lines": ["".join(self.characters[k] for k in ids[cut]) for cut in cuts],
            "pattern": ["".join(requests.TONE_NAMES[k] for k in tones[cut]) for cut in cuts],
            "rhyme": "" if rhyme is None else self.tables["rhyme_names"][rhyme],
            "problem": "",
        }

    def _generate(
        self,
        first: int,
        length: int,
        choose: Callable[[int, np.ndarray], int],
        conditions: Callable[[int], Mapping[str, int]] = lambda number: {},
    ) -> list[int]:
        """Returns ids as `CharacterLanguageModel.generate` does, for one sequence."""
        shapes = enumerate(self.tables["states"])
        states = {f"state_{k}": np.zeros(shape, "float32") for k, shape in shapes}
        ids = [first]
        for number in range(length):
            inputs = {"characters": ids[-1], **conditions(number)}
            arrays = {name: np.array([value], np.int32) for name, value in inputs.items()}
            outputs = self.model(**arrays, **states)
            states = {name: outputs[f"new_{name}"] for name in states}
            ids.append(choose(number, outputs["scores"][0]))
        return ids[1:]

    def _poem_ids(self, request: Mapping[str, Any], given: Sequence[int], plan: Plan) -> list[int]:
        tones, rhyming, rhyme = plan
        steering = self._steering(request["theme"])
        length, size = len(given) // 4, len(self.characters)
        allows = np.array([[self._allows(code, c) for c in range(size)] for code in range(3)])
        # Characters of the rhyme that no line has ended in.
        rhymes = np.array([rhyme in classes for classes in self.tables["rhymes"]])

        def conditions(number: int) -> dict[str, int]:
            return {
                "place": self.tables["places"][str(length)] + number,
                "tone": tones[number],
                "rhyme": rhyme if rhyming[number // length] else self.tables["no_rhyme"],
            }

        def choose(number: int, scores: np.ndarray) -> int:
            is_end = rhyming[number // length] and number % length == length - 1
            scores = scores / np.float32(request["temperature"]) + steering
            allowed = self.ordinary
            if request["enforce"]:
                allowed = allowed & allows[tones[number]] & (rhymes | (not is_end))
            chosen = given[number] or _sample(request, scores, allowed, number + 2)
            steering[chosen] = 0
            rhymes[chosen] &= not is_end
            return chosen

        return self._generate(0, len(given), choose, conditions)

    def _plan(self, request: Mapping[str, Any], given: Sequence[int], length: int) -> Plan | None:
        """Returns the plan of a sampled template and rhyme; `None` if no template fits."""
        templates = self.tables["templates"][str(length)]
        classes, fits = [], []
        for number, template in enumerate(templates):
            ends = [given[k * length + length - 1] for k in range(4) if template["rhyming"][k]]
            weights = [
                weight
                if request["rhyme"] in (-1, k)
                and all(not end or k in self.tables["rhymes"][end] for end in ends)
                else 0.0
                for k, weight in enumerate(self.tables["rhyme_weights"])
            ]
            pairs = zip(template["tones"], given, strict=True)
            classes.append(np.array(weights))
            fits.append(
                all(not character or self._allows(code, character) for code, character in pairs)
                and any(weights)
                and request["template"] in (-1, number)
            )
        if not any(fits):
            return None
        chosen = pick_numpy(np.array(fits, "float64"), uniform(request["seed"], 0))
        rhyme = pick_numpy(classes[chosen], uniform(request["seed"], 1))
        return templates[chosen]["tones"], templates[chosen]["rhyming"], rhyme

    def _allows(self, code: int, character: int) -> bool:
        return code == 0 or requests.TONE_NAMES[code] in self.tables["tones"][character]

    def _steering(self, theme: str) -> np.ndarray:
        """Returns what a theme adds to the characters' scores."""
        steering = np.zeros(len(self.characters), "float32")
        rows = self.tables["associations"]
        characters = [c for c in re.sub(requests.MARKS, "", theme) if c in self.ids]
        for name in [theme.strip()] if rows.get(theme.strip()) else characters:
            for character, strength in rows.get(name, ()):
                steering[character] += np.float32(strength)
        return np.minimum(steering, np.float32(requests.MAX_STEERING))

    def _unknown(self, name: str, text: str) -> str:
        unknown = "".join(character for character in text if character not in self.ids)
        return f"{requests.UNKNOWN_CHARACTERS.format(name)}{unknown}." if unknown else ""

    def _problem(self, request: Mapping[str, Any], texts: Mapping[str, str], fits: bool) -> str:
        """Returns why a poem cannot be written, or an empty string."""
        for field, limit in (("first_line", request["line_length"] or 7), ("acrostic", 4)):
            name = field.replace("_", " ")
            if problem := self._unknown(name, texts[field]):
                return problem
            if len(texts[field]) > limit:
                return requests.TOO_LONG.format(name)
        known = request["theme"].strip() in self.tables["associations"]
        if texts["theme"] and not known and not any(c in self.ids for c in texts["theme"]):
            return requests.UNKNOWN_THEME
        return requests.NO_TEMPLATE_FITS if request["enforce"] and not fits else ""


def check_litert(
    version: ModelVersion,
    form: str,
    values: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
) -> None:
    """Compares what `LiteWriter` writes with the signature `generate`.

    Args:
        version: The version, before it is published.
        form: `"quatrains"` or `"text"`.
        values: Inputs of the signature by name, one row per request.
        expected: Outputs of the signature by name.

    Raises:
        PublishError: If a text is not equal.
    """
    writer = LiteWriter(version)
    write = writer.text if form == "text" else writer.poem
    for row in range(len(values["seed"])):
        written = write({name: plain(value, row) for name, value in values.items()})
        for name, text in written.items():
            if text != plain(expected[name], row):
                raise PublishError(
                    f"{LITERT_FILE}: with NumPy, {name} is {text!r}, where the SavedModel writes "
                    f"{plain(expected[name], row)!r}."
                )


def _sample(request: Mapping[str, Any], scores: np.ndarray, allowed: np.ndarray, k: int) -> int:
    """Returns an id sampled with the `k`-th random number of the request's seed."""
    random = uniform(request["seed"], k)
    return choose_numpy(scores, allowed, request["top_k"], request["top_p"], random)
