"""Generation of quatrains in TensorFlow's graph: strings in, poems out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from dlrecipes.data.quatrains.encoding import LENGTHS, MAX_STEPS, NO_RHYME, PLACES
from dlrecipes.data.quatrains.poem import LINES
from dlrecipes.data.quatrains.rhyme_book import RHYME_NAMES
from dlrecipes.samplers import choose, pick, uniform
from dlrecipes.training import CharacterLanguageModel

from . import requests
from .encoding import SPECIAL, encoder_for

# Fields by name, each of shape `(batch,)`; see `requests.FIELDS`.
Request = Mapping[str, tf.Tensor]


class Plan(NamedTuple):
    """Requirements for each character of a poem, each of shape `(batch, 28)`."""

    given: tf.Tensor  # ids of the characters that the request contains, else 0
    active: tf.Tensor  # whether the poem has this step
    place: tf.Tensor
    tone: tf.Tensor
    rhyme: tf.Tensor
    end: tf.Tensor  # whether the step is the last one of a rhyming line


class Characters(NamedTuple):
    """Characters of a request's texts, padded; the first axis is the batch."""

    strings: tf.Tensor
    ids: tf.Tensor  # -1 for unknown characters, 0 for padding
    count: tf.Tensor


def split_characters(model: CharacterLanguageModel, text: tf.Tensor) -> Characters:
    """Returns the characters of texts, a string tensor of shape `(batch,)`."""
    ragged = tf.strings.unicode_split(text, "UTF-8", errors="replace")
    strings = ragged.to_tensor("", shape=[None, None])
    ids = tf.where(strings == "", 0, model.ids(strings))
    return Characters(strings, ids, tf.cast(ragged.row_lengths(), tf.int32))


def unknown_characters(characters: Characters, name: str) -> tf.Tensor:
    """Returns the problem of texts with characters outside the vocabulary, or empty strings."""
    unknown = tf.where(characters.ids < 0, characters.strings, "")
    unknown = tf.strings.reduce_join(unknown, axis=1)
    problem = tf.strings.join([requests.UNKNOWN_CHARACTERS.format(name), unknown, "."])
    return tf.where(unknown != "", problem, "")


def complete(request: Request, form: str, defaults: Mapping[str, Any]) -> Request:
    """Returns a request with the defaults of its missing fields."""
    batch = tf.shape(next(iter(request.values())))[0]
    missing = {
        name: tf.fill([batch], tf.constant(defaults[name], dtype))
        for name, (dtype, _) in requests.FIELDS[form].items()
        if name not in request
    }
    return {**request, **missing}


class Poet:
    """Writes quatrains with a model, in a graph that is traced once for all kinds of requests.

    Args:
        model: Language model of quatrains.
        line_length: Characters per line if a request does not say.
        defaults: `temperature`, `top_k` and `top_p` for requests without them.
    """

    def __init__(
        self, model: CharacterLanguageModel, line_length: int, defaults: Mapping[str, Any]
    ):
        self.model = model
        self.line_length = line_length
        self.defaults = {**requests.DEFAULTS["quatrains"], **defaults}
        self.encoder = encoder_for(tuple(model.vocabulary))
        specs = [
            tf.TensorSpec([None], dtype, name=name)
            for name, (dtype, _) in requests.FIELDS["quatrains"].items()
        ]
        self._function = tf.function(self._poems, input_signature=specs, autograph=False)

    def write(self, **request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns poems for a batch of requests; missing fields have their defaults.

        Returns:
            `poem`, lines separated by line feeds; `lines`, `(batch, 4)`; `pattern`, the required
            tones, `(batch, 4)`; `rhyme`, the name of the rhyme; and `problem`, the reason
            for a missing poem, or an empty string.
        """
        whole = complete(request, "quatrains", self.defaults)
        return self._function(*(whole[name] for name in requests.FIELDS["quatrains"]))

    def _poems(self, *fields: tf.Tensor) -> dict[str, tf.Tensor]:
        request = dict(zip(requests.FIELDS["quatrains"], fields, strict=True))
        texts = {
            name: split_characters(
                self.model, tf.strings.regex_replace(request[name], requests.MARKS, "")
            )
            for name in ("theme", "first_line", "acrostic")
        }
        plan, rhyme, fits = self._plan(request, texts["first_line"], texts["acrostic"])
        ids = self._generate(request, plan, self._steering(request["theme"], texts["theme"].ids))
        return self._strings(ids, plan, rhyme, self._problem(request, texts, fits))

    def _plan(
        self, request: Request, opening: Characters, acrostic: Characters
    ) -> tuple[Plan, tf.Tensor, tf.Tensor]:
        """Returns the plan, the rhyme (`NO_RHYME`: none), and whether a template fits."""
        usual = tf.where(opening.count == 5, 5, tf.where(opening.count > 5, 7, self.line_length))
        length = request["line_length"]
        # Any other length is a problem, and the poem is not returned.
        length = tf.where((length == LENGTHS[0]) | (length == LENGTHS[1]), length, usual)
        form = tf.where(length == LENGTHS[0], 0, 1)
        steps = tf.range(MAX_STEPS)[None]
        line, within = steps // length[:, None], steps % length[:, None]
        active = line < LINES
        line = tf.minimum(line, LINES - 1)
        firsts = tf.gather(_resize(acrostic.ids, LINES), line, axis=1, batch_dims=1)
        given = tf.where((within == 0) & active, firsts, 0)
        given = tf.where(steps < opening.count[:, None], _resize(opening.ids, MAX_STEPS), given)
        given = tf.maximum(given, 0)
        is_fit, classes = self._fitting(given, form, length, request)
        fits = tf.reduce_any(is_fit, axis=1)
        template = pick(tf.cast(is_fit, tf.float64), uniform(request["seed"], 0))
        weights = tf.gather(classes, template, axis=1, batch_dims=1)
        rhyme = pick(weights, uniform(request["seed"], 1))
        is_free = (request["template"] == requests.NO_TEMPLATE) | ~fits
        patterns = tf.gather(tf.gather(self.encoder.patterns, form), template, axis=1, batch_dims=1)
        rhyming = tf.gather(tf.gather(self.encoder.rhyming, form), template, axis=1, batch_dims=1)
        rhyming = tf.gather(rhyming, line, axis=1, batch_dims=1) & active & ~is_free[:, None]
        place = tf.where(length == LENGTHS[0], PLACES[LENGTHS[0]], PLACES[LENGTHS[1]])
        plan = Plan(
            given,
            active,
            place=tf.where(active, place[:, None] + steps, 0),
            tone=tf.where(is_free[:, None] | ~active, 0, patterns),
            rhyme=tf.where(rhyming, rhyme[:, None], NO_RHYME),
            end=rhyming & (within == length[:, None] - 1),
        )
        return plan, tf.where(is_free, NO_RHYME, rhyme), fits

    def _fitting(
        self, given: tf.Tensor, form: tf.Tensor, length: tf.Tensor, request: Request
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns whether each template fits the given characters, and its rhymes' weights."""
        patterns = tf.gather(self.encoder.patterns, form)
        tones = tf.transpose(tf.constant(self.encoder.tones))
        required = tf.one_hot(patterns, tones.shape[1], True, False)
        allows = tf.reduce_any(tf.gather(tones, given)[:, None] & required, axis=-1)
        is_fit = tf.reduce_all(allows | (given == 0)[:, None], axis=2)
        at = tf.range(LINES)[None] * length[:, None] + length[:, None] - 1
        ends = tf.gather(given, at, axis=1, batch_dims=1)
        rhymes = tf.gather(tf.constant(self.encoder.rhymes), ends) | (ends == 0)[..., None]
        rhyming = tf.gather(tf.constant(self.encoder.rhyming), form)[..., None]
        classes = tf.reduce_all(rhymes[:, None] | ~rhyming, axis=2)
        rhyme, number = request["rhyme"][:, None, None], request["template"][:, None]
        classes &= (rhyme < 0) | (tf.range(NO_RHYME) == rhyme)
        weights = tf.where(classes, tf.constant(self.encoder.rhyme_weights), 0.0)
        is_fit &= tf.reduce_any(weights > 0, axis=2)
        return is_fit & ((number < 0) | (tf.range(4) == number)), weights

    def _steering(self, theme: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Returns what a theme adds to the characters' scores, `(batch, vocabulary)`."""
        named = self.model.rows(tf.strings.strip(theme))[:, None]
        # The characters of a theme count only if the model does not know the theme's name.
        rows = tf.concat([named, tf.where((named < 0) & (ids > 0), ids, -1)], axis=1)
        return tf.minimum(self.model.steering(rows), requests.MAX_STEERING)

    def _generate(self, request: Request, plan: Plan, steering: tf.Tensor) -> tf.Tensor:
        """Returns the ids of all steps, int32 of shape `(batch, 28)`."""
        size = len(self.model.vocabulary)
        is_special = tf.range(size)[None] < len(SPECIAL)
        tones, rhymes = tf.constant(self.encoder.tones), tf.constant(self.encoder.rhymes.T)
        # The class 'no rhyme' allows every character.
        rhymes = tf.concat([rhymes, tf.ones([1, size], tf.bool)], axis=0)

        def conditions(number):
            return {name: getattr(plan, name)[:, number] for name in ("place", "tone", "rhyme")}

        def choose_character(number, scores, carried):
            steering, used = carried
            scores = scores / request["temperature"][:, None] + steering
            end = plan.end[:, number][:, None]
            fits = tf.gather(rhymes, plan.rhyme[:, number]) & ~used
            fits = tf.gather(tones, plan.tone[:, number]) & (~end | fits)
            allowed = ~is_special & (fits | ~request["enforce"][:, None])
            uniforms = uniform(request["seed"], tf.cast(number, tf.int64) + 2)
            ids = choose(scores, allowed, request["top_k"], request["top_p"], uniforms)
            given = plan.given[:, number]
            ids = tf.where(given > 0, given, ids)
            chosen = tf.one_hot(ids, size, True, False)
            return ids, (tf.where(chosen, 0.0, steering), used | (chosen & end))

        length = 1 + tf.reduce_max(tf.where(plan.active, tf.range(MAX_STEPS)[None], 0))
        start, carried = tf.zeros_like(plan.given[:, 0]), (steering, tf.zeros_like(steering, bool))
        ids = self.model.generate(start, length, choose_character, conditions, carried)
        return _resize(ids, MAX_STEPS)

    def _problem(
        self, request: Request, texts: Mapping[str, Characters], fits: tf.Tensor
    ) -> tf.Tensor:
        """Returns why each poem cannot be written, or an empty string; the first reason counts."""
        length, enforce = request["line_length"], request["enforce"]
        limits = {"first_line": tf.where(length == 0, LENGTHS[0], length), "acrostic": LINES}
        reasons: list[tuple[tf.Tensor, Any]] = []
        for field, limit in limits.items():
            name = field.replace("_", " ")
            unknown = unknown_characters(texts[field], name)
            reasons.append((unknown != "", unknown))
            reasons.append((texts[field].count > limit, requests.TOO_LONG.format(name)))
        named = self.model.rows(tf.strings.strip(request["theme"])) >= 0
        known = named | tf.reduce_any(texts["theme"].ids > 0, axis=1)
        has_template = request["template"] != requests.NO_TEMPLATE
        reasons += [
            ((texts["theme"].count > 0) & ~known, requests.UNKNOWN_THEME),
            ((length != 0) & (length != 5) & (length != 7), "line_length must be 5 or 7."),
            (~(request["temperature"] > 0), "temperature must be above 0."),
            (enforce & ~fits, requests.NO_TEMPLATE_FITS),
            (enforce & ~has_template, "Without a template nothing can be enforced."),
        ]
        problem = tf.fill(tf.shape(fits), "")
        for applies, text in reversed(reasons):
            problem = tf.where(applies, text, problem)
        return problem

    def _strings(
        self, ids: tf.Tensor, plan: Plan, rhyme: tf.Tensor, problem: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        is_written = problem == ""
        shown = plan.active & is_written[:, None]
        characters = tf.gather(tf.constant(self.model.vocabulary), ids)
        tones = tf.gather(tf.constant(list(requests.TONE_NAMES)), plan.tone)
        lines, pattern = (_join(tf.where(shown, text, ""), plan) for text in (characters, tones))
        names = tf.constant([*RHYME_NAMES, ""])
        return {
            "poem": tf.where(is_written, tf.strings.reduce_join(lines, axis=1, separator="\n"), ""),
            "lines": lines,
            "pattern": pattern,
            "rhyme": tf.where(is_written, tf.gather(names, rhyme), ""),
            "problem": problem,
        }


def _join(text: tf.Tensor, plan: Plan) -> tf.Tensor:
    """Returns the strings of each step as lines, `(batch, 4)`."""
    sevens, fives = (
        tf.strings.reduce_join(tf.reshape(text[:, : LINES * n], [-1, LINES, n]), axis=2)
        for n in LENGTHS
    )
    # A poem with five characters per line ends at step 20.
    return tf.where(plan.active[:, LINES * 5, None], sevens, fives)


def _resize(ids: tf.Tensor, width: int) -> tf.Tensor:
    ids = tf.pad(ids, [[0, 0], [0, width]])[:, :width]
    return tf.ensure_shape(ids, [None, width])
