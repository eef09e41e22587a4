"""Training and decoding of a tagger: a softmax per word, or a linear-chain CRF per sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlrecipes.data.tag_schemes import tag_constraints
from dlrecipes.data.tagged import NO_INTENT
from dlrecipes.data.text import TextEncoder
from dlrecipes.layers import LinearChainCRF
from dlrecipes.metrics import SpanF1
from dlrecipes.training._engine import values
from dlrecipes.training._engine.checks import refuse_losses_and_metrics
from dlrecipes.training.trainer import Trainer, batch_size

OUTPUTS = ("softmax", "crf")

# AutoGraph would only spend seconds on code that has no loops or branches over tensors.
_as_written = tf.autograph.experimental.do_not_convert


@keras.saving.register_keras_serializable(package="dlrecipes")
class SequenceTagger(Trainer):
    """Trains a network that scores tags, and tags raw sentences with it.

    The loss is the negative log-likelihood of a sentence's tags, in nats, averaged over the
    sentences of a batch: with `"softmax"` the sum of the words' cross-entropies, with `"crf"` the
    negative log-likelihood of the whole tag sequence. If the network has an output `intent`,
    `intent_weight` times its cross-entropy is added. Validation logs `span_f1` (and
    `intent_accuracy`). Padding is ignored everywhere. Sample weights multiply the losses of
    sentences, and the network's regularization losses are added, as in Keras.

    Args:
        network: Model from `words` (and `ngrams`) to `tags`, scores of shape
            `(batch, time, len(tag_names))`, and optionally `intent`, such as `models.tagger`.
        encoder: Text encoder that converts tokens to the network's inputs.
        tag_names: BIO tags, in the order of their ids.
        intent_names: Intents, in the order of their ids. Defaults to none, for a network without
            the output `intent`.
        output: `"softmax"` or `"crf"`. Defaults to `"crf"`.
        intent_weight: Weight of the intent's loss, at least 0. Defaults to 1.0.
        well_formed: Whether the CRF rules out tag sequences that are not valid BIO, such as
            `I-city` after `O`. Set it only if the training data are valid. Defaults to `False`.
        intent_threshold: Least probability of an intent, from 0 to 1. Below it, the intent is
            `"none"`, which must be one of `intent_names`. It may be set after training. Defaults
            to 0.0.
        none_has_slots: Whether a sentence may have slots if `"none"` is its most probable intent.
            If not, its tags are all `O`. Set it only if the training data have no such slots.
            Defaults to `True`.
        **kwargs: Keyword arguments of `keras.Model`, such as `name`.

    Call arguments:
        inputs: `words`, int32 of shape `(batch, time)`, and, if the network needs it, `ngrams`,
            int32 of shape `(batch, time, ngrams_per_word)`.
        training: Whether dropout is on. Defaults to `False`.

    Returns:
        The network's scores by name: `tags`, and `intent` if it has that output.

    Raises:
        ValueError: If `output` is unknown, or if `intent_threshold` or `none_has_slots` needs an
            intent `"none"`.

    Example:

    >>> import tensorflow as tf
    >>> from dlrecipes.data.text import TextEncoder
    >>> from dlrecipes.models import tagger
    >>> from dlrecipes.training import SequenceTagger
    >>> encoder = TextEncoder.fit([["to", "Rome"], ["from", "Rome"]])
    >>> network = tagger(encoder.num_words, num_tags=3, units=8)
    >>> model = SequenceTagger(network, encoder, ["O", "B-to", "B-from"], output="crf")
    >>> model.tag(tf.constant(["from Rome"]))["tokens"].numpy().tolist()
    [[b'from', b'Rome']]

    Reference:
        Lafferty, McCallum and Pereira, 2001, "Conditional random fields"; Huang, Xu and Yu, 2015,
        "Bidirectional LSTM-CRF models for sequence tagging". https://arxiv.org/abs/1508.01991
    """

    serializable_arguments = ("network", "encoder")

    def __init__(
        self,
        network: keras.Model,
        encoder: TextEncoder,
        tag_names: Sequence[str],
        intent_names: Sequence[str] = (),
        output: str = "crf",
        intent_weight: float = 1.0,
        well_formed: bool = False,
        intent_threshold: float = 0.0,
        none_has_slots: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if output not in OUTPUTS:
            raise ValueError(f"output must be one of {OUTPUTS}, not {output!r}.")
        if NO_INTENT not in intent_names and (intent_threshold or not none_has_slots):
            threshold = f"intent_threshold={intent_threshold}"
            what = threshold if intent_threshold else "none_has_slots=False"
            raise ValueError(f"{what} needs {NO_INTENT!r} among the intent_names.")
        if not none_has_slots and "O" not in tag_names:
            raise ValueError("none_has_slots=False needs 'O' among the tag_names.")
        self.network = network
        self.encoder = encoder
        self.tag_names = tuple(tag_names)
        self.intent_names = tuple(intent_names)
        self.output_layer = output
        self.intent_weight = intent_weight
        self.well_formed = well_formed
        self.intent_threshold = intent_threshold
        self.none_has_slots = none_has_slots
        self.crf = None
        if output == "crf":
            constraints = tag_constraints(self.tag_names, "BIO") if well_formed else {}
            self.crf = LinearChainCRF(len(self.tag_names), name="crf", **constraints)
        self.span_f1 = SpanF1(self.tag_names, name="span_f1")
        self.intent_accuracy = keras.metrics.SparseCategoricalAccuracy(name="intent_accuracy")
        if self.crf is not None:
            self.crf.build((None, None, len(self.tag_names)))
        self.built = True

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the network's inputs, in their order."""
        return tuple(tensor.name for tensor in self.network.inputs)

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """Configures training, as `keras.Model.compile` does without losses and metrics.

        Args:
            optimizer: A name or a Keras optimizer. Defaults to `"rmsprop"`, as in Keras.
            loss: Must be `None`, the default; the place of Keras' argument.
            **kwargs: Other keyword arguments of `keras.Model.compile`.

        Raises:
            ValueError: If a loss or metrics are given.
        """
        refuse_losses_and_metrics(type(self).__name__, {"loss": loss, **kwargs})
        super().compile(optimizer=optimizer, **kwargs)

    def call(self, inputs, training=False):
        return self.network(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss of a batch, in nats per sentence."""
        scores = tf.cast(y_pred["tags"], tf.float32)
        # An ensemble in training stacks its members' scores along the batch axis.
        members = tf.shape(scores)[0] // tf.shape(y["tags"])[0]
        targets, mask = tf.tile(y["tags"], [members, 1]), tf.tile(x["words"] != 0, [members, 1])
        # A tag of the validation data that is missing in the training data has no score.
        known = targets < len(self.tag_names)
        tags = tf.where(known, targets, 0)
        if self.crf is not None:
            whole = tf.reduce_all(known | ~mask, axis=1)
            likelihood = tf.where(whole, self.crf.log_likelihood(scores, tags, mask=mask), 0.0)
        else:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tags, scores)
            likelihood = -tf.reduce_sum(tf.where(mask & known, each, 0.0), axis=1)
        loss = -_weighted_mean(likelihood, _weight_of("tags", sample_weight), members)
        if "intent" in y_pred and "intent" in y:
            intents = tf.tile(y["intent"], [members])
            known = intents < len(self.intent_names)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.where(known, intents, 0), tf.cast(y_pred["intent"], tf.float32)
            )
            each = tf.where(known, each, 0.0)
            loss += self.intent_weight * _weighted_mean(
                each, _weight_of("intent", sample_weight), members
            )
        return tf.add_n([loss, *self.losses])

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=batch_size(x))
        mask = x["words"] != 0
        self.span_f1.update_state(y["tags"], self._best_tags(y_pred, mask), mask)
        logs = {"loss": self._loss_tracker.result(), "span_f1": self.span_f1.result()}
        if "intent" in y_pred and "intent" in y:
            self.intent_accuracy.update_state(y["intent"], y_pred["intent"])
            logs["intent_accuracy"] = self.intent_accuracy.result()
        return logs

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the loss alone; decoding every training batch would cost a third of the time."""
        return {"loss": self._loss_tracker.result()}

    def check_values(self, x, y=None, sample_weight=None) -> None:
        """Raises an error for words, tags or intents outside of their vocabularies.

        One more tag and intent than are known stands for those that are not.
        """
        super().check_values(x, None, sample_weight)
        for name, known in (("tags", self.tag_names), ("intent", self.intent_names)):
            if isinstance(y, Mapping) and name in y and known:
                rule = f"ids from 0 to {len(known) - 1}, or {len(known)} if unknown"
                values.check_bounds(f"y[{name!r}]", y[name], 0, len(known), rule, "")

    @_as_written
    def decode(self, inputs) -> dict[str, tf.Tensor]:
        """Returns the best tags of encoded sentences.

        Args:
            inputs: Inputs of `call`.

        Returns:
            `tags`, int32 of shape `(batch, time)`, the best sequence (Viterbi, with a CRF);
            `probabilities`, float32 of the same shape, the probability of each tag at its word (the
            CRF's marginal); and, if there are intents, `intent`, int32, and `intent_probability`,
            its probability, float32, of shape `(batch,)`. If no intent's probability is at least
            `intent_threshold`, the intent is `"none"`. Tags and probabilities of padding are 0.
        """
        scores = self(inputs, training=False)
        mask = inputs["words"] != 0
        tags = self._best_tags(scores, mask)
        if self.crf is not None:
            probabilities = self.crf(scores["tags"], mask=mask)
        else:
            probabilities = tf.nn.softmax(tf.cast(scores["tags"], tf.float32))
        chosen = tf.gather(probabilities, tags, axis=2, batch_dims=2)
        outputs = {"tags": tags, "probabilities": tf.where(mask, chosen, 0.0)}
        if "intent" in scores:
            probabilities = tf.nn.softmax(tf.cast(scores["intent"], tf.float32))
            intent = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
            if self.intent_threshold:
                is_sure = tf.reduce_max(probabilities, axis=-1) >= self.intent_threshold
                intent = tf.where(is_sure, intent, self.intent_names.index(NO_INTENT))
            outputs["intent"] = intent
            outputs["intent_probability"] = tf.gather(probabilities, intent, axis=1, batch_dims=1)
        return outputs

    @_as_written
    def tag(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tags raw sentences: tokenization, encoding and decoding in one graph.

        Args:
            sentences: String tensor of shape `(batch,)`, UTF-8.

        Returns:
            `tokens` and `tags`, strings of shape `(batch, time)`, padded with `""`;
            `probabilities`, float32 of the same shape, padded with 0; and, if there are intents,
            `intent`, string, and `intent_probability`, float32, of shape `(batch,)`. An empty
            sentence has no tokens, the intent `""` and the probability 0.
        """
        return self.tag_tokens(self.encoder.tokenize(sentences).to_tensor(""))

    def encode(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the inputs of `call` for tokenized sentences.

        Args:
            tokens: String tensor of shape `(batch, time)`, padded with `""`.
        """
        encoded = self.encoder(_at_least_one_word(tokens))
        return {name: encoded[name] for name in self.input_names}

    @_as_written
    def tag_tokens(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tags tokenized sentences, as `tag` does.

        Args:
            tokens: String tensor of shape `(batch, time)`, padded with `""`.
        """
        padded = _at_least_one_word(tokens)
        decoded = self.decode(self.encode(padded))
        words = tf.shape(tokens)[1]
        tags = tf.gather(tf.constant(self.tag_names), decoded["tags"])
        outputs = {
            "tokens": tokens,
            "tags": tf.where(padded == "", "", tags)[:, :words],
            "probabilities": decoded["probabilities"][:, :words],
        }
        if "intent" in decoded:
            has_words = tf.reduce_any(padded != "", axis=1)
            intents = tf.gather(tf.constant(self.intent_names), decoded["intent"])
            outputs["intent"] = tf.where(has_words, intents, "")
            outputs["intent_probability"] = tf.where(has_words, decoded["intent_probability"], 0.0)
        return outputs

    def _best_tags(self, scores: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
        if self.crf is not None:
            tags = tf.cast(self.crf.decode(scores["tags"], mask=mask), tf.int32)
        else:
            tags = tf.where(mask, tf.argmax(scores["tags"], axis=-1, output_type=tf.int32), 0)
        if self.none_has_slots:
            return tags
        best = tf.argmax(scores["intent"], axis=-1, output_type=tf.int32)
        is_none = (best == self.intent_names.index(NO_INTENT))[:, None]
        return tf.where(is_none & mask, self.tag_names.index("O"), tags)

    def get_config(self):
        return {
            **super().get_config(),
            "tag_names": list(self.tag_names),
            "intent_names": list(self.intent_names),
            "output": self.output_layer,
            "intent_weight": self.intent_weight,
            "well_formed": self.well_formed,
            "intent_threshold": self.intent_threshold,
            "none_has_slots": self.none_has_slots,
        }


def _at_least_one_word(tokens: tf.Tensor) -> tf.Tensor:
    """Returns sentences for the network to read; a batch of empty ones gets a word of padding."""
    return tf.pad(tokens, [[0, 0], [0, tf.cast(tf.shape(tokens)[1] == 0, tf.int32)]])


def _weight_of(output: str, sample_weight: Any) -> tf.Tensor | None:
    """Returns the weights of an output; `fit` gives each output those of the sentences."""
    return sample_weight.get(output) if isinstance(sample_weight, Mapping) else sample_weight


def _weighted_mean(
    values: tf.Tensor, sample_weight: tf.Tensor | None, members: tf.Tensor
) -> tf.Tensor:
    """Returns the sum of weighted values by their number, for each member's sentences."""
    if sample_weight is None:
        return tf.reduce_mean(values)
    return tf.reduce_mean(values * tf.tile(tf.cast(sample_weight, values.dtype), [members]))
