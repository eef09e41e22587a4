"""Slot filling: model, metrics, figures and exports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from dlrecipes.data.reports import DataReport
from dlrecipes.data.tagged import NO_INTENT, TaggedSentence
from dlrecipes.data.text import TextEncoder
from dlrecipes.export.processing import Processing
from dlrecipes.export.version import ModelVersion
from dlrecipes.figures import bars, confusion, confusion_counts, tagged_sentences
from dlrecipes.metrics import is_well_formed, rejection_threshold, span_scores, token_accuracy
from dlrecipes.models import ensemble, tagger
from dlrecipes.recipe import ExampleFile, Exports, Quantized, Recipe, Signature, Splits
from dlrecipes.recipe.base import Part
from dlrecipes.training import SequenceTagger, learning_rate_schedule
from dlrecipes.training._engine.precision import built_in

from . import data, predict
from .config import Config

EVALUATION_BATCH = 64
# Number of test sentences on which every published file is verified.
VERIFIED = 200
CALIBRATION = 200
# Test sentences that a run keeps as a file.
EXAMPLES = 5
# Maximum loss of span F1 of a smaller LiteRT file.
MAX_DROP = 0.005
# Names of the ids of padding and of unknown words.
RESERVED = ("", "[unknown]")


class SlotFilling(Recipe):
    """Tags the words of a sentence and classifies its intent."""

    Config = Config
    objective = ("span_f1", "max")
    pipeline_tag = "token-classification"

    @property
    def monitor(self) -> str:
        """Validation metric that chooses the best epoch."""
        return f"val_{self.config.monitor}"

    @property
    def mode(self) -> str:
        """Whether to minimize or maximize the monitored metric."""
        return "min" if self.config.monitor == "loss" else "max"

    def load_data(self) -> Splits:
        """Returns the sentences."""
        return data.load(self.config)

    def check(self) -> DataReport:
        """Returns the report on the sentences."""
        return data.check(self.config)

    def build(self, splits: Splits) -> keras.Model:
        """Returns a tagger with the vocabulary of the training sentences."""
        config = self.config
        encoder = TextEncoder.fit(
            [sentence.tokens for sentence in splits.train],
            ngram_sizes=config.ngram_sizes,
            lowercase=config.lowercase,
            fold_digits=config.fold_digits,
        )
        tags = data.tag_names(splits.train)
        intents = data.intent_names(splits.train)
        with built_in(config.precision):
            networks = [
                self._network(encoder, len(tags), len(intents), member)
                for member in range(config.ensemble_size)
            ]
        network = networks[0] if len(networks) == 1 else ensemble(networks)
        model = SequenceTagger(
            network,
            encoder,
            tags,
            intents,
            config.output,
            config.intent_weight,
            well_formed=all(is_well_formed(s.tags) for s in splits.train),
            none_has_slots=data.none_has_slots(splits.train),
        )
        _, steps = self._passes(len(splits.train))
        rate = learning_rate_schedule(
            config.lr_schedule, config.learning_rate, steps * config.epochs
        )
        model.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm))
        return model

    def _passes(self, examples: int) -> tuple[int, int]:
        """Returns the passes over the data per epoch, and the steps per epoch."""
        steps = steps_per_epoch(examples, self.config.batch_size)
        passes = passes_per_epoch(steps, self.config.min_steps_per_epoch)
        return passes, passes * steps

    def _network(
        self, encoder: TextEncoder, num_tags: int, num_intents: int, member: int
    ) -> keras.Model:
        config = self.config
        return tagger(
            num_words=encoder.num_words,
            num_ngrams=encoder.num_ngrams,
            num_tags=num_tags,
            num_intents=num_intents,
            encoding=config.encoding,
            word_units=config.word_units,
            ngram_units=config.ngram_units,
            cell=config.cell,
            units=config.units,
            depth=config.depth,
            bidirectional=config.bidirectional,
            context=config.context,
            dropout=config.dropout,
            word_dropout=config.word_dropout,
            # Each member has fewer than 1,000 dropout layers, so no two layers share a seed.
            seed=config.seed + 1000 * member,
            name=f"member_{member + 1}",
        )

    def row_names(self, model: SequenceTagger) -> dict[str, Sequence[str]]:
        """Returns the words, letter n-grams, tags and intents of the layers' rows."""
        encoder = model.encoder
        return {
            "embedding": (*RESERVED, *encoder.words),
            "hashing": (*RESERVED, *encoder.ngrams),
            "tag_scores": model.tag_names,
            "crf": model.tag_names,
            "intent_scores": model.intent_names,
        }

    def dataset(
        self,
        model: SequenceTagger,
        examples: Sequence[TaggedSentence],
        start_epoch: int | None = None,
    ) -> tuple[tf.data.Dataset, int]:
        """Returns batches of sentences of similar length."""
        rows, targets, lengths, encodings = data.to_arrays(model, examples)
        inputs = {"rows": rows}

        def encoded(inputs, targets):
            ids = {name: tf.gather(table, inputs["rows"]) for name, table in encodings.items()}
            return ids, targets

        if start_epoch is None:
            size = EVALUATION_BATCH
            batches = evaluation_batches(inputs, targets, size, lengths)
            return batches.map(encoded), steps_per_epoch(len(examples), size)
        size, seed = self.config.batch_size, self.config.seed
        passes, steps = self._passes(len(examples))
        batches = training_batches(inputs, targets, size, seed, start_epoch * passes, lengths)
        return batches.map(encoded), steps

    def set_thresholds(self, model: SequenceTagger, splits: Splits) -> None:
        """Chooses the least probability of an intent if the data have sentences without one."""
        truth = np.array([s.intent for s in splits.validation])
        if NO_INTENT not in model.intent_names or NO_INTENT not in truth:
            return
        batches, steps = self.dataset(model, splits.validation)

        # The intents alone: decoding the tags takes most of the time.
        @tf.function(input_signature=[batches.element_spec[0]], autograph=False)
        def probabilities_of(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
            return tf.nn.softmax(tf.cast(model(inputs, training=False)["intent"], tf.float32))

        parts = [probabilities_of(inputs).numpy() for inputs, _ in batches.take(steps)]
        probabilities = np.concatenate(parts)
        predicted = np.array(model.intent_names)[probabilities.argmax(axis=1)]
        model.intent_threshold = rejection_threshold(
            truth, predicted, probabilities.max(axis=1), NO_INTENT
        )

    def describe(self, model: SequenceTagger, splits: Splits) -> dict[str, Any]:
        """Returns the least probability of an intent."""
        return {"intent_threshold": model.intent_threshold} if model.intent_threshold else {}

    def evaluate(self, model: SequenceTagger, splits: Splits, part: Part) -> dict[str, Any]:
        """Returns span F1 as in the CoNLL evaluation, and accuracies."""
        examples = getattr(splits, part)
        truth, (tags, intents) = [s.tags for s in examples], self._tag(model, examples)
        spans = span_scores(truth, tags)
        metrics: dict[str, Any] = {
            "span_f1": spans.f1,
            "precision": spans.precision,
            "recall": spans.recall,
            "token_accuracy": token_accuracy(truth, tags),
            "sentence_accuracy": float(
                np.mean([list(t) == guess for t, guess in zip(truth, tags, strict=True)])
            ),
        }
        pairs = zip(examples, intents, strict=False)
        right = [s.intent == intent for s, intent in pairs if s.intent is not None]
        if right:
            metrics["intent_accuracy"] = float(np.mean(right))
        metrics["span_f1_by_slot"] = {slot: score.f1 for slot, score in spans.by_slot.items()}
        return metrics

    def _tag(
        self, model: SequenceTagger, examples: Sequence[TaggedSentence]
    ) -> tuple[list[list[str]], list[str]]:
        kind = "tags", model.intent_threshold
        return self.memo.get(kind, model, examples, lambda: _tag(model, examples))

    def labels(
        self, model: SequenceTagger, examples: Sequence[TaggedSentence]
    ) -> tuple[list[str], list[str]]:
        """Returns the slots of the model and of the examples."""
        used = {tag for sentence in examples for tag in sentence.tags}
        known, names = (
            sorted({tag.partition("-")[2] for tag in tags} - {""})
            for tags in (model.tag_names, used)
        )
        return known, names

    def figures(self, model: SequenceTagger, splits: Splits) -> Iterator[tuple[str, Figure]]:
        """Yields F1 by slot, the confusion of slots, and tagged sentences of the test split."""
        truth, (tags, _) = [s.tags for s in splits.test], self._tag(model, splits.test)
        by_slot = span_scores(truth, tags).by_slot
        f1 = {slot: score.f1 for slot, score in by_slot.items()}
        supports = {slot: f"({score.support})" for slot, score in by_slot.items()}
        title = "Span F1 by slot, test (number of spans in parentheses)"
        yield "f1_by_slot", bars(f1, title, supports)
        names, counts = confusion_counts(_slots(truth), _slots(tags))
        yield "confusion", confusion(counts, names, "Words by slot, test")
        yield "sentences", tagged_sentences([s.tokens for s in splits.test], truth, tags)

    def signatures(self, model: SequenceTagger, splits: Splits) -> Exports:
        """Returns the signatures: sentences to tags for the SavedModel, ids to ids for LiteRT."""
        verified = splits.test[:VERIFIED]
        sentences = np.array([" ".join(s.tokens) for s in verified], object)
        parts = np.split(sentences, range(EVALUATION_BATCH, len(sentences), EVALUATION_BATCH))
        serving = Signature(
            model.tag,
            [tf.TensorSpec([None], tf.string, name="sentences")],
            [(part,) for part in parts] + [(np.array([""], object),)],
        )
        shapes = {"words": [1, None], "ngrams": [1, None, None]}
        litert = Signature(
            lambda *ids: model.decode(dict(zip(model.input_names, ids, strict=True))),
            [tf.TensorSpec(shapes[name], tf.int32, name=name) for name in model.input_names],
            _ids(model, verified),
        )
        return Exports(
            {"serving_default": serving},
            litert,
            data.vocabularies(model),
            data.export_notes(model),
            _quantized(model, litert, splits.test),
            processing=_processing(model),
        )

    def predict(
        self, version: ModelVersion, inputs: Sequence[str], options: None = None
    ) -> list[dict[str, Any]]:
        """Returns tokens, tags, slots and intent of each sentence."""
        return predict.predict(version, inputs)

    def present(self, prediction: Mapping[str, Any]) -> str:
        """Returns the sentence with its slots marked."""
        return predict.present(prediction)

    def example_inputs(self, splits: Splits) -> list[str | ExampleFile]:
        """Returns a test sentence of about eight words, as a user would type it, and a file."""
        ordered = sorted(splits.test, key=lambda s: abs(len(s.tokens) - 8))[:EXAMPLES]
        sentences = [predict.join(sentence.tokens) for sentence in ordered]
        return [sentences[0], ExampleFile("sentences.txt", "".join(f"{s}\n" for s in sentences))]


def _processing(model: SequenceTagger) -> Processing:
    """Returns how `model.tflite` answers sentences."""
    encoder = model.encoder
    before = {
        "kind": "sentences",
        "tokenizer": encoder.tokenizer,
        "names": model.input_names,
        "ngram_sizes": encoder.ngram_sizes,
        "lowercase": encoder.lowercase,
        "fold_digits": encoder.fold_digits,
    }

    def tensors(sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        return model.encode(encoder.tokenize(sentences).to_tensor(""))

    return Processing(before, {"kind": "tags"}, tensors)


def _quantized(
    model: SequenceTagger, litert: Signature, examples: Sequence[TaggedSentence]
) -> Quantized:
    """Returns the calibration and the metric of smaller LiteRT files; none is made by default."""

    def span_f1(decode: Callable[..., Mapping[str, np.ndarray]]) -> float:
        predicted = []
        for ids in _ids(model, examples):
            tags = decode(**dict(zip(model.input_names, ids, strict=True)))["tags"][0]
            predicted.append([model.tag_names[tag] for tag in tags])
        return span_scores([s.tags for s in examples], predicted).f1

    return Quantized((), litert.examples[:CALIBRATION], "span_f1", span_f1, MAX_DROP)


def _slots(tags: Sequence[Sequence[str]]) -> list[str]:
    """Returns the slot of each word of all sentences, `O` for none."""
    return [tag.partition("-")[2] or "O" for sentence in tags for tag in sentence]


def _ids(
    model: SequenceTagger, sentences: Sequence[TaggedSentence]
) -> list[tuple[np.ndarray, ...]]:
    """Returns the ids of each sentence as `model.tflite` takes them, without padding."""
    ids = []
    for start in range(0, len(sentences), EVALUATION_BATCH):
        part = sentences[start : start + EVALUATION_BATCH]
        encoded = model.encoder(data.pad([s.tokens for s in part]))
        arrays = [encoded[name].numpy() for name in model.input_names]
        for row, sentence in enumerate(part):
            own = [array[row : row + 1, : len(sentence.tokens)] for array in arrays]
            ids.append(tuple(_without_padding(x) if x.ndim == 3 else x for x in own))
    return ids


def _without_padding(ngrams: np.ndarray) -> np.ndarray:
    """Returns n-grams `(1, time, ngrams_per_word)` that are padded to the longest word."""
    return ngrams[..., : 1 + np.flatnonzero(ngrams.any(axis=(0, 1))).max()]


def _tag(
    model: SequenceTagger, examples: Sequence[TaggedSentence]
) -> tuple[list[list[str]], list[str]]:
    """Returns the tags of each sentence, and the intents if the model has an output for them."""
    tags, intents = [], []
    for start in range(0, len(examples), EVALUATION_BATCH):
        part = examples[start : start + EVALUATION_BATCH]
        outputs = _tagging(model, model.intent_threshold)(data.pad([s.tokens for s in part]))
        rows = outputs["tags"].numpy().tolist()
        tags += [
            [t.decode() for t in row[: len(s.tokens)]] for row, s in zip(rows, part, strict=True)
        ]
        if "intent" in outputs:
            intents += [intent.decode() for intent in outputs["intent"].numpy()]
    return tags, intents


@functools.lru_cache(maxsize=1)
def _tagging(
    model: SequenceTagger, threshold: float
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    # Traced once for all evaluations and the figures, and again for another threshold.
    return tf.function(model.tag_tokens, input_signature=[tf.TensorSpec([None, None], tf.string)])
