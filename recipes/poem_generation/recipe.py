"""Poem generation: model, metrics, figures and exports."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dlrecipes.data.batches import (
    evaluation_batches,
    passes_per_epoch,
    steps_per_epoch,
    training_batches,
)
from dlrecipes.data.cooccurrence import cooccurrence_embeddings
from dlrecipes.data.quatrains import Poem
from dlrecipes.data.quatrains.encoding import CONDITIONS, NO_RHYME
from dlrecipes.data.reports import DataReport
from dlrecipes.data.streams import stream_batches, stream_steps
from dlrecipes.errors import DataError
from dlrecipes.export.language_model import step_quantized, step_signature
from dlrecipes.export.version import ModelVersion
from dlrecipes.metrics.perplexity import text_perplexity
from dlrecipes.models import character_lm
from dlrecipes.recipe import Exports, Recipe, Signature, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.recipe.prediction import plain
from dlrecipes.training import CharacterLanguageModel, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in
from dlrecipes.training._engine.sparse_cross_entropy import SparseCategoricalCrossentropy

from . import data, encoding, exports, figures, predict, requests, scores
from .config import Config, PredictOptions
from .decoding import Poet
from .lite import check_litert
from .text_generation import Writer

# Settings that are arguments of the network.
NETWORK_SETTINGS = {"cell", "units", "depth", "tied", "dropout", "seed"}
NETWORK_SETTINGS |= {"embedding_units", "condition_units"}
EVALUATION_BATCH = 100
# Poems on the page that a run publishes.
PAGE = 12


class PoemGeneration(Recipe):
    """Writes quatrains, or continues a text."""

    Config = Config
    objective = ("perplexity", "min")
    pipeline_tag = "text-generation"
    metric_groups = tuple(scores.MODES)

    def load_data(self) -> Splits:
        """Returns the quatrains, or the parts of the text."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the poems or the text."""
        return data.check(self.config)

    def build(self, splits: Splits) -> keras.Model:
        """Returns the language model, with the characters of the training data."""
        config, train = self.config, splits.train
        is_text = isinstance(train, str)
        texts = [train] if is_text else ["".join(poem.lines) for poem in train]
        vocabulary = encoding.vocabulary(texts, config.minimum_count)
        with built_in(config.precision):
            settings = config.model_dump(include=NETWORK_SETTINGS)
            network = character_lm(len(vocabulary), {} if is_text else CONDITIONS, **settings)
        if is_text:
            streams = self._num_streams(splits)
            model = CharacterLanguageModel(network, config.window, vocabulary, streams=streams)
        else:
            themes = sorted({poem.theme for poem in train if poem.theme})
            ids, strengths = encoding.associate(train, vocabulary, themes)
            model = CharacterLanguageModel(network, config.window, vocabulary, themes, ids.shape[1])
            model.associate(ids, strengths)
        if config.embeddings == "cooccurrence":
            self._initialize_embeddings(model, train)
        steps = self._updates_per_epoch(splits) * config.epochs
        rate = learning_rate_schedule(config.lr_schedule, config.learning_rate, steps)
        model.compile(
            keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm),
            SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        )
        return model

    def row_names(self, model: CharacterLanguageModel) -> dict[str, Sequence[str]]:
        """Returns the characters of the rows of embedding and scores."""
        return dict.fromkeys(("character_embedding", "scores"), model.vocabulary)

    def _initialize_embeddings(
        self, model: CharacterLanguageModel, train: Sequence[Poem] | str
    ) -> None:
        """Sets the character embeddings from cooccurrence in the training data."""
        arrays = encoding.encode(model, train)
        ids = arrays["characters" if isinstance(train, str) else "targets"]
        embeddings = model.network.get_layer("character_embedding").embeddings
        size, units = embeddings.shape
        initial = cooccurrence_embeddings(ids, size, units, seed=self.config.seed)
        # Entries that do not occur, such as the start, keep their random embedding.
        embeddings.assign(np.where(initial != 0, initial, embeddings.numpy()))

    def _num_streams(self, splits: Splits) -> int:
        # The shortest part has to fill one window of each stream.
        shortest = min(len(splits.train), len(splits.validation))
        return max(1, min(self.config.batch_size, (shortest - 1) // self.config.window))

    def _updates_per_epoch(self, splits: Splits) -> int:
        config, train = self.config, splits.train
        if isinstance(train, str):
            return self._repeated(
                stream_steps(len(train), self._num_streams(splits), config.window)
            )
        chunks = -(-4 * max(len(poem.lines[0]) for poem in train) // config.window)
        return self._repeated(steps_per_epoch(len(train), config.batch_size)) * chunks

    def _repeated(self, steps: int) -> int:
        """Returns the steps of an epoch, given those of one pass over the data."""
        return steps * passes_per_epoch(steps, self.config.min_steps_per_epoch)

    def dataset(
        self,
        model: CharacterLanguageModel,
        examples: Sequence[Poem] | str,
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of poems, or of the streams of a text."""
        config = self.config
        if isinstance(examples, str):
            ids = encoding.text_ids(model, examples)
            shape = int(model.streams or 1), config.window
            steps, pairs = stream_steps(len(ids), *shape), stream_batches(ids, *shape)
            batches = pairs.map(lambda x, y: ({"characters": x}, y))
            if start_epoch is None:
                return batches, steps
            return batches.repeat(), self._repeated(steps)
        arrays = encoding.encode(model, examples)
        targets = {"targets": arrays.pop("targets")}
        if start_epoch is None:
            batches = evaluation_batches(arrays, targets, EVALUATION_BATCH)
            return batches.map(_weighted), steps_per_epoch(len(examples), EVALUATION_BATCH)
        steps = steps_per_epoch(len(examples), config.batch_size)
        repeated = self._repeated(steps)
        first = start_epoch * (repeated // steps)
        batches = training_batches(arrays, targets, config.batch_size, config.seed, first)
        # The number of a batch over all epochs decides which conditions it lacks.
        return batches.enumerate(start_epoch * repeated).map(self._drop_conditions), repeated

    def _drop_conditions(self, number: tf.Tensor, batch):
        inputs, targets = batch
        shape = [2, tf.shape(inputs["tone"])[0], 1]
        uniforms = tf.random.stateless_uniform(shape, [self.config.seed, tf.cast(number, tf.int32)])
        is_dropped = uniforms < self.config.condition_dropout
        tone = tf.where(is_dropped[0], 0, inputs["tone"])
        rhyme = tf.where(is_dropped[1], NO_RHYME, inputs["rhyme"])
        return _weighted({**inputs, "tone": tone, "rhyme": rhyme}, targets)

    def evaluate(self, model: CharacterLanguageModel, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns the per-character perplexity, and how well generated poems keep the rules."""
        examples = getattr(splits, part)
        is_text = isinstance(examples, str)
        if is_text == ("place" in {tensor.name for tensor in model.network.inputs}):
            raise DataError(
                f"{self.config.data}: the model was trained on the other form of data.",
                "Give quatrains to a model of quatrains, and a text to a model of a text.",
            )
        if is_text:
            perplexity = text_perplexity(model, encoding.text_ids(model, examples))
            return {"perplexity": perplexity, "bits": float(np.log2(perplexity))}
        return {
            "perplexity": self._perplexities(model, examples)[0],
            "perplexity_unconditional": scores.perplexities(model, examples, False)[0],
            # All parts share the same poems.
            **self.memo.get(
                "generation", model, splits.train, lambda: self._generation(model, splits)
            ),
        }

    def _generation(self, model: CharacterLanguageModel, splits: Splits) -> dict[str, Any]:
        """Returns the scores of generated poems."""
        count, poems = self.config.num_samples, splits.test
        # The line lengths are as frequent as in the test poems.
        lengths = [len(poems[k % len(poems)].lines[0]) for k in range(count)]
        seeds = self.config.seed * 100_000 + np.arange(count)
        generate = functools.partial(
            self._write, model, splits, count, line_length=lengths, seed=seeds
        )
        return scores.generation_scores(generate, splits.train)

    def _perplexities(
        self, model: CharacterLanguageModel, examples: Sequence[Poem]
    ) -> tuple[float, np.ndarray]:
        return self.memo.get(
            "perplexities", model, examples, lambda: scores.perplexities(model, examples)
        )

    def _write(
        self, model: CharacterLanguageModel, splits: Splits, count: int, **request: Any
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of `Poet.write`, computed in batches."""
        arrays = requests.arrays("quatrains", count, **request)
        size, write = EVALUATION_BATCH, self._poet(model, splits).write
        parts = [
            write(**{name: tf.constant(x[start : start + size]) for name, x in arrays.items()})
            for start in range(0, count, size)
        ]
        return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}

    def _poet(self, model: CharacterLanguageModel, splits: Splits) -> Poet:
        return _poet(model, _usual_length(splits.test), tuple(self._sampling().items()))

    def _sampling(self) -> dict[str, Any]:
        return self.config.model_dump(include={"temperature", "top_k", "top_p"})

    def figures(
        self, model: CharacterLanguageModel, splits: Splits
    ) -> Iterator[tuple[str, Figure]]:
        """Yields the perplexity by position and a page of poems; nothing for a text."""
        if not isinstance(splits.test, str):
            _, by_place = self._perplexities(model, splits.test)
            yield "perplexity_by_position", figures.by_position(by_place)
            yield "poems", figures.page(self._page(model, splits))

    def _page(self, model: CharacterLanguageModel, splits: Splits) -> list[dict[str, Any]]:
        """Returns poems with their patterns; written once for figure, files and reloaded model."""
        write = functools.partial(self._new_page, model, splits)
        return self.memo.get("page", model, splits.train, write, reloaded=True)

    def _new_page(self, model: CharacterLanguageModel, splits: Splits) -> list[dict[str, Any]]:
        """Returns poems about the data's themes or its first words."""
        themes = list(model.themes[:PAGE])
        for word in (poem.lines[0][:2] for poem in splits.test):
            if len(themes) < PAGE and word not in themes and set(word) <= set(model.vocabulary):
                themes.append(word)
        themes = themes or [""]
        seeds = np.arange(len(themes))
        outputs = self._write(
            model, splits, len(themes), theme=np.array(themes, object), seed=seeds
        )
        return [
            {"theme": theme, **{name: plain(value, row) for name, value in outputs.items()}}
            for row, theme in enumerate(themes)
        ]

    def signatures(self, model: CharacterLanguageModel, splits: Splits) -> Exports:
        """Returns strings to poems as the SavedModel, and one step of the network as LiteRT."""
        examples, sampling = splits.test, self._sampling()
        if isinstance(examples, str):
            form, write = "text", Writer(model, sampling).write
            examples_by_name = exports.text_requests(examples)
            files, notes = exports.text_files(model, sampling), exports.TEXT_NOTES
        else:
            poet, poems = self._poet(model, splits), self._page(model, splits)
            form, write = "quatrains", poet.write
            examples_by_name = exports.poem_requests(examples)
            files = exports.poem_files(model, sampling, poet.line_length, poems)
            notes = exports.poem_notes(poems)
        signatures = {
            name: Signature(
                _positional(write, values), _specs(form, values), [tuple(values.values())]
            )
            for name, values in examples_by_name.items()
        }
        values, generate = examples_by_name["generate"], signatures["generate"]

        def check(version: ModelVersion) -> None:
            pairs = zip(values.values(), generate.inputs, strict=True)
            outputs = generate.traced(*(tf.constant(x, spec.dtype) for x, spec in pairs))
            expected = {name: output.numpy() for name, output in outputs.items()}
            check_litert(version, form, values, expected)

        sequences = exports.measured_sequences(model, examples)
        litert = step_signature(model, sequences[0])
        return Exports(
            signatures,
            litert,
            files,
            notes,
            step_quantized(litert, sequences),
            check=check,
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: PredictOptions | None = None
    ) -> list[dict[str, Any]]:
        """Returns a poem for each theme, or each prompt with its continuation."""
        return predict.predict(version, inputs, options or PredictOptions())

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns a text, or a poem with its tones."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[str]:
        """Returns a theme, or the beginning of the test text."""
        if isinstance(splits.test, str):
            return [" ".join(splits.test[:20].split()) or splits.test[:20]]
        return [splits.test[0].lines[0][:2]]


def _weighted(inputs, targets):
    targets = targets["targets"]
    return inputs, targets, tf.cast(targets > 0, tf.float32)


def _usual_length(poems: Sequence[Poem]) -> int:
    return Counter(len(poem.lines[0]) for poem in poems).most_common(1)[0][0]


def _positional(write: Callable, names: Iterable[str]) -> Callable:
    """Returns a function that takes tensors in the order of names."""
    return lambda *tensors: write(**dict(zip(names, tensors, strict=True)))


def _specs(form: str, names: Iterable[str]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None], requests.FIELDS[form][name][0], name=name) for name in names]


@functools.lru_cache(maxsize=1)
def _poet(
    model: CharacterLanguageModel, line_length: int, sampling: tuple[tuple[str, Any], ...]
) -> Poet:
    # Traced once for the evaluation, the page and all signatures.
    return Poet(model, line_length, dict(sampling))
