"""Poem generation: how it is built, measured, drawn, published and shown."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import evaluation_batches, steps_per_epoch, training_batches
from dlrecipes.data.cooccurrence import cooccurrence_embeddings
from dlrecipes.data.quatrains import Poem
from dlrecipes.data.streams import stream_batches, stream_steps
from dlrecipes.errors import DataError
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics.prosody import copied_lines, distinct_2, prosody_scores
from dlrecipes.models import character_lm
from dlrecipes.recipe import Exports, Recipe, Signature, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.prediction import plain
from dlrecipes.training import CharacterLanguageModel, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in
from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy

from . import data, encoding, exports, figures, predict, requests, scores, text_generation
from .config import Config, PredictOptions
from .decoding import Poet
from .text_generation import Writer

# Requests on which the published functions are compared with the model.
COMPARED = 6
# Poems on the page that a run draws.
PAGE = 12
# How poems are generated for the metrics: tones and rhyme enforced, given, or unknown.
MANNERS: dict[str, dict[str, Any]] = {
    "constrained": {"enforce": True},
    "unconstrained": {"enforce": False},
    "unconditional": {"enforce": False, "template": requests.NO_TEMPLATE},
}


class PoemGeneration(Recipe):
    """Writes quatrains, or goes on with a text."""

    Config = Config
    objective = ("perplexity", "min")
    pipeline_tag = "text-generation"
    metric_groups = ("constrained", "unconstrained", "unconditional")

    def load_data(self) -> Splits:
        """Returns the poems, or the text's parts."""
        return data.load(self.config)

    def build(self, splits: Splits) -> keras.Model:
        """Returns the language model, with the training data's characters."""
        config = self.config
        is_text = isinstance(splits.train, str)
        texts = [splits.train] if is_text else ["".join(poem.lines) for poem in splits.train]
        vocabulary = encoding.vocabulary(texts, config.minimum_count)
        with built_in(config.precision):
            network = self._network(len(vocabulary), {} if is_text else encoding.CONDITIONS)
        if is_text:
            model = CharacterLanguageModel(
                network, config.window, vocabulary, streams=self._streams(splits)
            )
        else:
            names = encoding.themes(splits.train)
            found = encoding.associations(splits.train, vocabulary, names)
            model = CharacterLanguageModel(
                network, config.window, vocabulary, names, found[0].shape[1]
            )
            model.associate(*found)
        if config.embeddings == "cooccurrence":
            self._begin_with_counts(model, splits.train)
        steps = self._chunks(splits) * config.epochs
        rate = learning_rate_schedule(config.lr_schedule, config.learning_rate, steps)
        model.compile(
            keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm),
            SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        )
        return model

    def _network(self, characters: int, conditions: Mapping[str, int]) -> keras.Model:
        config = self.config
        return character_lm(
            characters,
            conditions,
            cell=config.cell,
            units=config.units,
            depth=config.depth,
            embedding_units=config.embedding_units,
            condition_units=config.condition_units,
            tied=config.tied,
            dropout=config.dropout,
            seed=config.seed,
        )

    def _begin_with_counts(self, model, examples: Sequence[Poem] | str) -> None:
        """Has the embeddings of characters begin where the training data would have them."""
        if isinstance(examples, str):
            ids = text_generation.encode(model, examples)[None]
        else:
            ids = encoding.of(tuple(model.vocabulary)).encode(examples)["targets"]
        embeddings = model.network.get_layer("character_embedding").embeddings
        size, units = embeddings.shape
        counted = cooccurrence_embeddings(ids, size, units, seed=self.config.seed)
        # What does not occur, as the start, keeps what was drawn.
        embeddings.assign(np.where(counted != 0, counted, embeddings.numpy()))

    def _streams(self, splits: Splits) -> int:
        """Returns how many streams of a text there are: those that its shortest part has."""
        shortest = min(len(splits.train), len(splits.validation))
        return max(1, min(self.config.batch_size, (shortest - 1) // self.config.window))

    def _chunks(self, splits: Splits) -> int:
        """Returns how many updates one epoch makes."""
        config = self.config
        if isinstance(splits.train, str):
            return stream_steps(len(splits.train), self._streams(splits), config.window)
        steps = encoding.LINES * max(len(poem.lines[0]) for poem in splits.train)
        chunks = -(-steps // config.window)
        return steps_per_epoch(len(splits.train), config.batch_size) * chunks

    def dataset(
        self,
        model: CharacterLanguageModel,
        examples: Sequence[Poem] | str,
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of poems, or of the streams of a text."""
        config = self.config
        if isinstance(examples, str):
            ids = text_generation.encode(model, examples)
            streams = model.streams or 1
            steps = stream_steps(len(ids), streams, config.window)
            found = stream_batches(ids, streams, config.window)
            found = found.map(lambda x, y: ({"characters": x}, y))
            return (found if start_epoch is None else found.repeat()), steps
        arrays = encoding.of(tuple(model.vocabulary)).encode(examples)
        targets = {"targets": arrays.pop("targets")}
        if start_epoch is None:
            found = evaluation_batches(arrays, targets, scores.EVALUATION_BATCH)
            return found.map(_weighed), steps_per_epoch(len(examples), scores.EVALUATION_BATCH)
        steps = steps_per_epoch(len(examples), config.batch_size)
        found = training_batches(arrays, targets, config.batch_size, config.seed, start_epoch)
        # Numbered over all epochs: what a poem is not told of is drawn by that alone.
        found = found.enumerate(start_epoch * steps)
        return found.map(self._forgetful), steps

    def _forgetful(self, number: tf.Tensor, batch):
        inputs, targets = batch
        shape = [2, tf.shape(inputs["tone"])[0], 1]
        drawn = tf.random.stateless_uniform(shape, [self.config.seed, tf.cast(number, tf.int32)])
        forgotten = drawn < self.config.condition_dropout
        tone = tf.where(forgotten[0], 0, inputs["tone"])
        rhyme = tf.where(forgotten[1], encoding.NO_RHYME, inputs["rhyme"])
        return _weighed({**inputs, "tone": tone, "rhyme": rhyme}, targets)

    def evaluate(self, model: CharacterLanguageModel, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the per-character perplexity, and how well generated poems keep the rules."""
        examples = getattr(splits, part)
        if isinstance(examples, str) == ("place" in {x.name for x in model.network.inputs}):
            raise DataError(
                f"{self.config.data}: the model was trained on the other kind of data.",
                "Give quatrains to a model of quatrains, a text to one of a text.",
            )
        if isinstance(examples, str):
            found = text_generation.perplexity(model, examples)
            return {"perplexity": found, "bits": float(np.log2(found))}
        told, _ = scores.perplexities(model, examples)
        bare, _ = scores.perplexities(model, examples, told=False)
        metrics: dict[str, Any] = {"perplexity": told, "perplexity_unconditional": bare}
        # As many of each line length as the examples have.
        lengths = [
            len(examples[k % len(examples)].lines[0]) for k in range(self.config.num_samples)
        ]
        for name, request in MANNERS.items():
            poems = self._poems(model, lengths, **request)
            metrics[name] = {
                **prosody_scores(poems),
                "distinct_2": distinct_2(poems),
                "copied_lines": copied_lines(poems, splits.train),
            }
        return metrics

    def _poems(self, model, lengths: Sequence[int], **request: Any) -> list[list[str]]:
        first = self.config.seed * 100_000
        rows = self._write(
            model,
            len(lengths),
            line_length=lengths,
            seed=first + np.arange(len(lengths)),
            **request,
        )
        return [[line.decode() for line in row] for row in rows["lines"]]

    def _write(self, model, count: int, **request: Any) -> dict[str, np.ndarray]:
        """Returns what is written for so many requests, in batches."""
        values = requests.arrays(
            "quatrains",
            count,
            **{**requests.DEFAULTS["quatrains"], **self._defaults(), **request},
        )
        parts = [
            _writing(model)(
                *(tf.constant(v[start : start + scores.EVALUATION_BATCH]) for v in values.values())
            )
            for start in range(0, count, scores.EVALUATION_BATCH)
        ]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def _defaults(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in ("temperature", "top_k", "top_p")}

    def figures(
        self, model: CharacterLanguageModel, splits: Splits
    ) -> Iterator[tuple[str, Figure]]:
        """Yields the perplexity by position and a page of poems; of a text, nothing."""
        if isinstance(splits.test, str):
            return
        _, by_place = scores.perplexities(model, splits.test)
        yield "perplexity_by_position", figures.by_position(by_place)
        yield "poems", figures.page(self._page(model, splits.test))

    def _page(self, model, examples: Sequence[Poem]) -> list[dict[str, Any]]:
        """Returns poems with their patterns, about themes of the data or its first words."""
        themes = _page_themes(model, examples)
        length, seeds = _usual(examples), np.arange(len(themes))
        poems = self._write(
            model,
            len(themes),
            theme=np.array(themes, object),
            line_length=length,
            seed=seeds,
        )
        return [
            {"theme": theme, **{name: plain(value, row) for name, value in poems.items()}}
            for row, theme in enumerate(themes)
        ]

    def signatures(self, model: CharacterLanguageModel, splits: Splits) -> Exports:
        """Returns strings to poems as the SavedModel, one step of the network as LiteRT."""
        examples = splits.test
        if isinstance(examples, str):
            writer, fields = Writer(model, self._defaults()), requests.TEXT
            served = exports.text_requests(examples)
            write = writer.write
            files = exports.text_files(model, writer.defaults)
            notes = exports.text_notes()
        else:
            poet, fields = Poet(model, _usual(examples), self._defaults()), requests.POEM
            served = exports.poem_requests(model, examples, COMPARED)
            write = poet.write
            poems = self._page(model, examples)
            files = exports.poem_files(model, poet, poems)
            notes = exports.poem_notes(poems)
        signatures = {
            name: Signature(
                _named(write, values),
                [tf.TensorSpec([None], fields[key][0], name=key) for key in values],
                [tuple(values.values())],
            )
            for name, values in served.items()
        }
        litert = exports.step(model, examples)
        smaller = exports.measured(model, litert, examples)
        return Exports(signatures, litert, files, notes, smaller)

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns a poem for each theme, or each prompt with the text that follows."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns a text, or a poem with its tones."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[str]:
        """Returns a theme, or the beginning of the test text."""
        if isinstance(splits.test, str):
            return [" ".join(splits.test[:20].split()) or splits.test[:20]]
        return [splits.test[0].lines[0][:2]]


def _weighed(inputs, targets):
    targets = targets["targets"]
    return inputs, targets, tf.cast(targets > 0, tf.float32)


def _page_themes(model: CharacterLanguageModel, examples: Sequence[Poem]) -> list[str]:
    """Returns themes for a page: those of the data, or the first words of its poems."""
    themes = list(model.themes[:PAGE])
    for poem in examples:
        word = poem.lines[0][:2]
        if len(themes) < PAGE and word not in themes and all(c in model.vocabulary for c in word):
            themes.append(word)
    return themes or [""]


def _usual(poems: Sequence[Poem]) -> int:
    return Counter(len(poem.lines[0]) for poem in poems).most_common(1)[0][0]


def _named(write: Callable, values: Mapping[str, Any]) -> Callable:
    """Returns a function of tensors in the order of names."""
    names = list(values)
    return lambda *tensors: write(**dict(zip(names, tensors, strict=True)))


@functools.lru_cache(maxsize=1)
def _writing(model: CharacterLanguageModel) -> Callable:
    # Traced once for both evaluations and the page.
    specs = [tf.TensorSpec([None], dtype, name=n) for n, (dtype, _) in requests.POEM.items()]
    write = _named(Poet(model, encoding.LENGTHS[0], {}).write, requests.POEM)
    return tf.function(write, input_signature=specs)
