"""Writing with `model.tflite`, one step of the network, in NumPy: what an application does.

It draws the poems that the SavedModel draws, from the same seeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlrecipes._utils.quiet import suppress_stderr
from dlrecipes.export.litert import LiteRTModel
from dlrecipes.export.version import EXTRAS, LITERT_FILE, ModelVersion

CHARACTERS_FILE, TABLES_FILE = "characters.txt", "tables.json"
_MARKS = re.compile(r"[\s|/,.!?;:，。！？；：、．]+")
_MASK = 2**32 - 1


def uniform(seed: int, number: int) -> float:
    """Returns a number in [0, 1) of a seed and a count alone, as `dlrecipes.samplers.uniform`."""
    mixed = _mix(seed & _MASK)
    return (_mix((mixed + (number + 1) * 0x9E3779B9) & _MASK) >> 8) / 2**24


def _mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x85EBCA6B & _MASK
    x ^= x >> 13
    x = x * 0xC2B2AE35 & _MASK
    return x ^ x >> 16


def choose(scores: np.ndarray, allowed: np.ndarray, top_k: int, top_p: float, drawn: float) -> int:
    """Returns an id sampled from the softmax of the allowed scores, as `samplers.choose`."""
    scores = np.where(allowed, scores, -np.inf)
    if top_k > 0 or top_p < 1:
        ordered = np.sort(scores)[::-1]
        weights = np.exp((ordered - ordered[0]).astype("float64"))
        weights[top_k or len(weights) :] = 0
        before = np.cumsum(weights) - weights
        limit = float(np.float32(top_p)) * weights.sum()
        kept = int(((before < limit) & (weights > 0)).sum())
        scores = np.where(scores >= ordered[max(kept, 1) - 1], scores, -np.inf)
    return _pick(np.exp((scores - scores.max()).astype("float64")), drawn)


def _pick(weights: np.ndarray, drawn: float) -> int:
    share = np.cumsum(weights)
    return min(int((share <= drawn * share[-1]).sum()), len(weights) - 1)


class LiteWriter:
    """Writes with a version's LiteRT model and its tables.

    Args:
        version: The published version.
    """

    def __init__(self, version: ModelVersion):
        self.characters, self.tables = (
            json.loads(version.file(f"{EXTRAS}/{name}").read_text(encoding="utf-8"))
            for name in (CHARACTERS_FILE, TABLES_FILE)
        )
        self.ids = {character: number for number, character in enumerate(self.characters)}
        with suppress_stderr():
            self.model = LiteRTModel(version.file(LITERT_FILE))
        self.states = {
            f"state_{k}": np.zeros(shape, "float32")
            for k, shape in enumerate(self.tables["states"])
        }

    def step(self, states: Mapping[str, np.ndarray], **inputs: int):
        """Returns the scores of the next character, and the states after it."""
        arrays = {name: np.array([value], np.int32) for name, value in inputs.items()}
        found = self.model(**arrays, **states)
        return found["scores"][0], {name: found[f"new_{name}"] for name in states}

    def text(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Returns a prompt and what follows; the request and the answer as of the SavedModel."""
        prompt = [self.ids.get(character, -1) for character in request["prompt"]]
        strange = "".join(c for c in request["prompt"] if c not in self.ids)
        if strange:
            problem = f"The prompt has what is not in the vocabulary: {strange}."
            return {"text": "", "problem": problem}
        allowed = np.arange(len(self.characters)) >= self.tables["special"]
        before, states, text = self.tables["first"], self.states, []
        for number in range(len(prompt) + request["length"]):
            scores, states = self.step(states, characters=before)
            if number < len(prompt):
                before = prompt[number]
            else:
                scores = scores / np.float32(request["temperature"])
                drawn = uniform(request["seed"], number)
                before = choose(scores, allowed, request["top_k"], request["top_p"], drawn)
            text.append(self.characters[before])
        return {"text": "".join(text), "problem": ""}

    def poem(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a poem; the request and the answer are as of the SavedModel."""
        read = {
            name: [self.ids.get(c, -1) for c in _MARKS.sub("", request[name])]
            for name in ("theme", "first_line", "acrostic")
        }
        length = request["line_length"] or self._usual(len(read["first_line"]))
        given = [0] * (4 * length)
        for line, character in enumerate(read["acrostic"][:4]):
            given[line * length] = max(character, 0)
        given[: len(read["first_line"])] = [max(c, 0) for c in read["first_line"]]
        given = given[: 4 * length]
        plan = self._plan(request, given, length)
        problem = self._problem(request, read, plan is not None)
        if problem:
            return {"lines": ["", "", "", ""], "pattern": [""] * 4, "rhyme": "", "problem": problem}
        tones, rhyming, rhyme = plan or ([0] * len(given), [False] * 4, None)
        ids = self._loop(request, given, length, (tones, rhyming, rhyme), read["theme"])
        names = self.tables["rhyme_names"]
        cuts = [slice(line * length, (line + 1) * length) for line in range(4)]
        return {
            "lines": ["".join(self.characters[k] for k in ids[cut]) for cut in cuts],
            "pattern": ["".join("*PZ"[k] for k in tones[cut]) for cut in cuts],
            "rhyme": "" if rhyme is None else names[rhyme],
            "problem": "",
        }

    def _usual(self, opening: int) -> int:
        return 5 if opening == 5 else 7 if opening > 5 else self.tables["line_length"]

    def _allows(self, code: int, character: int) -> bool:
        return code == 0 or "*PZ"[code] in self.tables["tones"][character]

    def _plan(self, request, given, length):
        """Returns tones, rhyming lines and rhyme class of the template that is drawn, or `None`."""
        found, tables = [], self.tables["templates"][str(length)]
        for number, template in enumerate(tables):
            ok = all(
                not c or self._allows(code, c)
                for c, code in zip(given, template["tones"], strict=True)
            )
            ends = [given[k * length + length - 1] for k in range(4) if template["rhyming"][k]]
            weights = [
                weight
                if request["rhyme"] in (-1, k)
                and all(not end or k in self.tables["rhymes"][end] for end in ends)
                else 0.0
                for k, weight in enumerate(self.tables["rhyme_weights"])
            ]
            ok &= any(weights) and request["template"] in (-1, number)
            found.append((ok, weights))
        fits = np.array([float(ok) for ok, _ in found])
        if not fits.any():
            return None
        chosen = _pick(fits, uniform(request["seed"], 0))
        rhyme = _pick(np.array(found[chosen][1]), uniform(request["seed"], 1))
        return tables[chosen]["tones"], tables[chosen]["rhyming"], rhyme

    def _steering(self, theme: str, ids: list[int]) -> np.ndarray:
        found = np.zeros(len(self.characters), "float32")
        rows = self.tables["associations"]
        named = rows.get(theme.strip())
        names = [theme.strip()] if named else [self.characters[k] for k in ids if k > 0]
        for name in names:
            for character, strength in rows.get(name, ()):
                found[character] += np.float32(strength)
        return np.minimum(found, np.float32(3.0))

    def _loop(self, request, given, length, plan, theme):
        tones, rhyming, rhyme = plan
        steering = self._steering(request["theme"], theme)
        rhymed = {c for c, classes in enumerate(self.tables["rhymes"]) if rhyme in classes}
        masks = [
            np.array([self._allows(code, c) for c in range(len(self.characters))])
            for code in range(3)
        ]
        special = np.arange(len(self.characters)) < self.tables["special"]
        before, states, ids = 0, self.states, []
        taken: set[int] = set()
        for number, fixed in enumerate(given):
            line, within = divmod(number, length)
            conditions = {
                "place": self.tables["places"][str(length)] + number,
                "tone": tones[number],
                "rhyme": rhyme if rhyming[line] else self.tables["no_rhyme"],
            }
            scores, states = self.step(states, characters=before, **conditions)
            end = rhyming[line] and within == length - 1
            scores = scores / np.float32(request["temperature"]) + steering
            allowed = ~special
            if request["enforce"]:
                allowed = allowed & masks[tones[number]]
                if end:
                    fitting = np.zeros(len(allowed), bool)
                    fitting[list(rhymed - taken)] = True
                    allowed = allowed & fitting
            drawn = uniform(request["seed"], number + 2)
            before = fixed or choose(scores, allowed, request["top_k"], request["top_p"], drawn)
            ids.append(before)
            steering[before] = 0
            taken |= {before} if end else set()
        return ids

    def _problem(self, request, read, fits: bool) -> str:
        for name, limit in (("first_line", request["line_length"] or 7), ("acrostic", 4)):
            text = _MARKS.sub("", request[name])
            strange = "".join(c for c in text if c not in self.ids)
            said = name.replace("_", " ")
            if strange:
                return f"The {said} has what is not in the vocabulary: {strange}."
            if len(text) > limit:
                return f"The {said} has more characters than there is room for."
        theme = request["theme"].strip()
        known = theme in self.tables["associations"] or any(k > 0 for k in read["theme"])
        if read["theme"] and not known:
            return "No character of the theme is in the vocabulary."
        if request["enforce"] and not fits:
            return "No template has these tones and this rhyme."
        return ""
