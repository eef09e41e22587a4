"""Writing quatrains in TensorFlow's graph: strings in, poems out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from dlrecipes.data.quatrains.prosody import RHYME_NAMES
from dlrecipes.samplers import choose, uniform
from dlrecipes.training import CharacterLanguageModel

from . import requests
from .encoding import LENGTHS, LINES, LONGEST, NO_RHYME, PLACES, SPECIAL, of

# Not part of a poem, however it is typed.
_MARKS = r"[\s|/,.!?;:，。！？；：、．]+"
_TONE_NAMES = ("*", "P", "Z")


class Plan(NamedTuple):
    """What is wanted of each character of a poem; the first axis is the batch."""

    given: tf.Tensor  # (batch, 28): ids of characters that are given, else 0
    active: tf.Tensor  # (batch, 28): steps that the poem has
    place: tf.Tensor  # (batch, 28)
    tone: tf.Tensor  # (batch, 28)
    rhyme: tf.Tensor  # (batch, 28)
    end: tf.Tensor  # (batch, 28): the last character of a rhyming line


class Poet:
    """Writes quatrains with a model, as functions to be traced.

    Args:
        model: The language model of quatrains.
        line_length: Characters a line where a request leaves it open.
        defaults: `temperature`, `top_k` and `top_p` where a request leaves them open.
    """

    def __init__(
        self, model: CharacterLanguageModel, line_length: int, defaults: Mapping[str, Any]
    ):
        self.model = model
        self.line_length = line_length
        self.defaults = {**requests.DEFAULTS["quatrains"], **defaults}
        self.verse = of(tuple(model.vocabulary))

    def write(self, **request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns poems for requests, each a tensor of shape `(batch,)`; see `requests.POEM`.

        Returns:
            `poem`, its lines by line feeds; `lines`, `(batch, 4)`; `pattern`, the tones that
            were wanted, `(batch, 4)`; `rhyme`, the class's name; and `problem`, which says
            why there is no poem, or is empty.
        """
        batch = tf.shape(next(iter(request.values())))[0]
        for name, (dtype, _) in requests.POEM.items():
            if name not in request:
                request[name] = tf.fill([batch], tf.constant(self.defaults[name], dtype))
        read = {name: self._read(request[name]) for name in ("theme", "first_line", "acrostic")}
        plan, drawn, fits = self._plan(request, read)
        ids = self._loop(request, plan, self._steering(request["theme"], read["theme"]))
        problem = self._problem(request, read, fits)
        return self._strings(ids, plan, drawn, problem)

    def _read(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns characters, their ids (-1: unknown), both padded with 0, and how many."""
        text = tf.strings.regex_replace(text, _MARKS, "")
        ragged = tf.strings.unicode_split(text, "UTF-8", errors="replace")
        padded = ragged.to_tensor("", shape=[None, None])
        ids = tf.where(padded == "", 0, self.model.ids(padded))
        return padded, ids, tf.cast(ragged.row_lengths(), tf.int32)

    def _plan(self, request, read) -> tuple[Plan, tf.Tensor, tf.Tensor]:
        """Returns the plan, the rhyme class (16: none), and whether a template fits."""
        opening, asked = read["first_line"], request["line_length"]
        usual = tf.where(opening[2] == 5, 5, tf.where(opening[2] > 5, 7, self.line_length))
        # Another length is a problem, told later: what is computed with it is not returned.
        length = tf.where((asked == LENGTHS[0]) | (asked == LENGTHS[1]), asked, usual)
        form = tf.where(length == LENGTHS[0], 0, 1)
        steps = tf.range(LONGEST)[None]
        line, within = steps // length[:, None], steps % length[:, None]
        active = line < LINES
        line = tf.minimum(line, LINES - 1)
        firsts = tf.gather(_wide(read["acrostic"][1], LINES), line, axis=1, batch_dims=1)
        given = tf.where((within == 0) & active, firsts, 0)
        given = tf.where(steps < opening[2][:, None], _wide(opening[1], LONGEST), given)
        given = tf.maximum(given, 0)
        ok, classes = self._fitting(given, form, length, request)
        fits = tf.reduce_any(ok, axis=1)
        template = _pick(tf.cast(ok, tf.float64), uniform(request["seed"], 0))
        weights = tf.gather(classes, template, axis=1, batch_dims=1)
        rhyme = _pick(weights, uniform(request["seed"], 1))
        bare = (request["template"] == requests.NO_TEMPLATE) | ~fits
        patterns = tf.gather(tf.gather(self.verse.patterns, form), template, axis=1, batch_dims=1)
        tone = tf.where(bare[:, None] | ~active, 0, patterns)
        rhyming = tf.gather(tf.gather(self.verse.rhyming, form), template, axis=1, batch_dims=1)
        rhyming = tf.gather(rhyming, line, axis=1, batch_dims=1) & active & ~bare[:, None]
        place = tf.where(length == LENGTHS[0], PLACES[LENGTHS[0]], PLACES[LENGTHS[1]])
        plan = Plan(
            given,
            active,
            tf.where(active, place[:, None] + steps, 0),
            tone,
            tf.where(rhyming, rhyme[:, None], NO_RHYME),
            rhyming & (within == length[:, None] - 1),
        )
        return plan, tf.where(bare, NO_RHYME, rhyme), fits

    def _fitting(self, given, form, length, request) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns which templates fit what is given, and for each the weights of the classes."""
        patterns = tf.gather(self.verse.patterns, form)
        codes = tf.transpose(tf.constant(self.verse.tones))
        wanted = tf.one_hot(patterns, codes.shape[1], True, False)
        keeps = tf.reduce_any(tf.gather(codes, given)[:, None] & wanted, axis=-1)
        ok = tf.reduce_all(keeps | (given == 0)[:, None], axis=2)
        at = tf.range(LINES)[None] * length[:, None] + length[:, None] - 1
        ends = tf.gather(given, at, axis=1, batch_dims=1)
        shares = tf.gather(tf.constant(self.verse.rhymes), ends) | (ends == 0)[..., None]
        rhyming = tf.gather(tf.constant(self.verse.rhyming), form)[..., None]
        classes = tf.reduce_all(shares[:, None] | ~rhyming, axis=2)
        asked = request["rhyme"][:, None, None]
        classes &= (asked < 0) | (tf.range(NO_RHYME) == asked)
        weights = tf.where(classes, tf.constant(self.verse.rhyme_weights), 0.0)
        ok &= tf.reduce_any(weights > 0, axis=2)
        number = request["template"][:, None]
        return ok & ((number < 0) | (tf.range(4) == number)), weights

    def _steering(self, theme: tf.Tensor, read) -> tf.Tensor:
        """Returns what a theme adds to the characters' scores, `(batch, vocabulary)`."""
        size = len(self.model.vocabulary)
        if not self.model.associates:
            return tf.zeros([tf.shape(theme)[0], size])
        whole = self.model.rows(tf.strings.strip(theme))[:, None]
        # A theme that has a name is no word whose characters count.
        rows = tf.where((whole < 0) & (read[1] > 0), read[1], -1)
        rows = tf.concat([whole, rows], axis=1)
        ids = tf.gather(self.model.associated.value, tf.maximum(rows, 0))
        strength = tf.gather(self.model.association.value, tf.maximum(rows, 0))
        strength = tf.where((rows >= 0)[..., None], strength, 0.0)
        batch = tf.broadcast_to(tf.range(tf.shape(theme)[0])[:, None, None], tf.shape(ids))
        places = tf.stack([batch, ids], axis=-1)
        total = tf.scatter_nd(places, strength, [tf.shape(theme)[0], size])
        return tf.minimum(total, 3.0)

    def _loop(self, request, plan: Plan, steering: tf.Tensor) -> tf.Tensor:
        """Returns the ids of all steps, int32 of shape `(batch, 28)`."""
        size = len(self.model.vocabulary)
        states = self.model.first_states(tf.shape(plan.given)[0])
        flat = tf.nest.flatten(states)
        special = tf.range(size)[None] < SPECIAL
        codes, classes = tf.constant(self.verse.tones), tf.constant(self.verse.rhymes.T)
        # The class 'none' allows all.
        classes = tf.concat([classes, tf.ones([1, size], tf.bool)], axis=0)

        def step(number, ids, before, steering, taken, *flat):
            place, tone, rhyme = plan.place[:, number], plan.tone[:, number], plan.rhyme[:, number]
            inputs = {"characters": before, "place": place, "tone": tone, "rhyme": rhyme}
            scores, states_ = self.model.step(inputs, tf.nest.pack_sequence_as(states, flat))
            scores = scores / request["temperature"][:, None] + steering
            end = plan.end[:, number][:, None]
            keeps = tf.gather(codes, tone) & (~end | (tf.gather(classes, rhyme) & ~taken))
            allowed = ~special & (keeps | ~request["enforce"][:, None])
            drawn = uniform(request["seed"], number + 2)
            found = choose(scores, allowed, request["top_k"], request["top_p"], drawn)
            given = plan.given[:, number]
            found = tf.where(given > 0, given, found)
            here = tf.one_hot(found, size, True, False)
            column = tf.one_hot(number, LONGEST, dtype=tf.int32)[None]
            return (
                number + 1,
                ids + found[:, None] * column,
                found,
                tf.where(here, 0.0, steering),
                taken | (here & end),
                *tf.nest.flatten(states_),
            )

        last = 1 + tf.reduce_max(tf.where(plan.active, tf.range(LONGEST)[None], 0))
        start = (
            tf.constant(0),
            tf.zeros_like(plan.given),
            tf.zeros_like(plan.given[:, 0]),
            steering,
            tf.zeros_like(steering, tf.bool),
            *flat,
        )
        shapes = [tf.TensorShape([None, *x.shape[1:]]) if x.shape.rank else x.shape for x in start]
        return tf.while_loop(
            lambda number, *_: number < last, step, start, shape_invariants=tuple(shapes)
        )[1]

    def _problem(self, request, read, fits: tf.Tensor) -> tf.Tensor:
        """Returns why each poem cannot be written; the first reason, or an empty string."""
        found = tf.fill(tf.shape(fits), "")
        reasons = []
        for name, most in (("first_line", None), ("acrostic", LINES)):
            said, (padded, ids, count) = name.replace("_", " "), read[name]
            strange = tf.where(ids < 0, padded, "")
            first = tf.strings.reduce_join(strange, axis=1)
            what = tf.strings.join(
                ["The ", said, " has what is not in the vocabulary: ", first, "."]
            )
            reasons.append((first != "", what))
            length = request["line_length"]
            limit = tf.where(length == 0, LENGTHS[0], length) if most is None else most
            reasons.append(
                (
                    count > limit,
                    f"The {said} has more characters than there is room for.",
                )
            )
        whole = self.model.rows(tf.strings.strip(request["theme"]))
        known = tf.reduce_any(read["theme"][1] > 0, axis=1) | (whole >= 0)
        reasons.append(
            ((read["theme"][2] > 0) & ~known, "No character of the theme is in the vocabulary.")
        )
        asked = request["line_length"]
        reasons.append(((asked != 0) & (asked != 5) & (asked != 7), "line_length must be 5 or 7."))
        reasons.append((~(request["temperature"] > 0), "temperature must be above 0."))
        missing = ~fits & request["enforce"]
        reasons.append((missing, "No template has these tones and this rhyme."))
        reasons.append(
            (
                request["enforce"] & (request["template"] == requests.NO_TEMPLATE),
                "Without a template nothing can be enforced.",
            )
        )
        for wrong, text in reversed(reasons):
            found = tf.where(wrong, text, found)
        return found

    def _strings(self, ids, plan: Plan, rhyme: tf.Tensor, problem: tf.Tensor):
        names = tf.constant([*RHYME_NAMES, ""])
        text = tf.gather(tf.constant(self.model.vocabulary), ids)
        fine = (problem == "")[:, None]
        text = tf.where(plan.active & fine, text, "")
        tones = tf.where(plan.active & fine, tf.gather(tf.constant(_TONE_NAMES), plan.tone), "")
        lines, pattern = self._by_line(text, plan), self._by_line(tones, plan)
        poem = tf.strings.reduce_join(lines, axis=1, separator="\n")
        return {
            "poem": tf.where(fine[:, 0], poem, ""),
            "lines": lines,
            "pattern": pattern,
            "rhyme": tf.where(fine[:, 0], tf.gather(names, rhyme), ""),
            "problem": problem,
        }

    def _by_line(self, text: tf.Tensor, plan: Plan) -> tf.Tensor:
        # Five a line end at the step 20.
        short = ~plan.active[:, LINES * 5]
        found = []
        for length in LENGTHS:
            cut = tf.reshape(text[:, : LINES * length], [-1, LINES, length])
            found.append(tf.strings.reduce_join(cut, axis=2))
        return tf.where(short[:, None], found[1], found[0])


def _wide(ids: tf.Tensor, width: int) -> tf.Tensor:
    ids = tf.pad(ids, [[0, 0], [0, width]])[:, :width]
    return tf.ensure_shape(ids, [None, width])


def _pick(weights: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Returns an index a row, int32, drawn by weights of shape `(batch, choices)`."""
    share = tf.cumsum(weights, axis=1)
    below = share <= drawn[:, None] * share[:, -1:]
    found = tf.reduce_sum(tf.cast(below, tf.int32), axis=1)
    # Where all weights are 0 there is nothing to draw.
    return tf.minimum(found, weights.shape[1] - 1)
